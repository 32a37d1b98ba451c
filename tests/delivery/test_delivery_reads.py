"""Delivery beside a backlog in PostgreSQL reads only what it sends, also with old statistics.

Those of a table that was filled at once know of no row that was ever sent, or refused: a planner may then read it all.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery_kit import Clock, Rig, options
from place_kit import PLACES, OutboxPlace

from bench import postgres
from sidecar.emulator import Emulator

pytestmark = pytest.mark.skipif("postgres" not in PLACES, reason="no PostgreSQL server is installed")

BACKLOG = 20_000
BATCH, BATCHES = 50, 12

ROWS_READ = """
    SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname IN ('entries', 'batches'))
        + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN ('entries', 'batches')) AS rows"""


@pytest.fixture
def backlog(tmp_path: Path) -> Iterator[OutboxPlace]:
    with PLACES["postgres"](tmp_path) as place:
        yield place


async def test_delivery_beside_a_backlog_reads_only_the_rows_that_it_sends(backlog: OutboxPlace) -> None:
    await asyncio.to_thread(postgres.filled, backlog.url, BACKLOG, ("purchase", "main"))
    backlog.execute("SELECT pg_stat_reset()")
    clock = Clock()
    async with Emulator(options(), clock) as emulator:
        rig = await Rig.of(backlog, emulator, clock, batch_size=BATCH)
        await rig.start()
        await rig.until_requests(BATCHES)
        await rig.stop()  # its connections end, and so what they read is counted
        sent = BATCH * len(await rig.requests())
    assert backlog.scalar(ROWS_READ) < 10 * sent + 1_000
