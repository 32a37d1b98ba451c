"""PostgreSQL looks keys up through their index, also in a table of which it knows nothing yet."""

from pathlib import Path
from typing import Any

import postgres_kit
import psycopg
import pytest
from conversion_kit import conversion
from outbox_kit import put
from store_kit import PostgresHouse

pytestmark = pytest.mark.skipif(postgres_kit.binaries() is None, reason="no PostgreSQL server is installed")

READ = "SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = 'entries'"


def rows_read_in_order(url: str) -> int:
    """How many rows were read without an index; the server counts them at the latest when a connection ends."""
    with psycopg.connect(url, autocommit=True) as db:
        [(count,)] = db.execute(READ).fetchall()
    return int(count)


async def test_new_orders_are_looked_up_without_reading_those_that_are_there(tmp_path: Path) -> None:
    house = PostgresHouse(tmp_path)
    try:
        outbox = await house.open()
        for group in range(30):
            await put(outbox, *(conversion(f"ORDER-{group}-{number}") for number in range(100)))
        await house.close()
        before = rows_read_in_order(house.url)
        outbox = await house.open()
        for group in range(3):
            await put(outbox, *(conversion(f"ORDER-{group}-{number}") for number in range(0, 200, 2)))
        await house.close()
        assert rows_read_in_order(house.url) - before < 1_000
    finally:
        await house.remove()


async def test_no_statement_is_compiled_which_takes_longer_than_to_run_it(tmp_path: Path) -> None:
    house = PostgresHouse(tmp_path)

    def jit(db: Any) -> Any:
        return db.execute("SHOW jit").fetchone()

    try:
        outbox = await house.open()
        assert await outbox.committer.write(jit) == ("off",)
        assert await outbox.due_reader.call(jit) == ("off",)
        assert await outbox.reader.call(jit) == ("off",)
    finally:
        await house.remove()
