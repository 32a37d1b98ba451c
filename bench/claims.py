"""CPU milliseconds of claiming and settling a thousand rows: `python -m bench.claims outbox.db 20` prints JSON.

In place of a file it takes the URL of a PostgreSQL database, and then the process id of its server.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import median

from bench.postgres import cpu_seconds
from bench.processes import GOAL
from bench.store import ACCOUNT, NOW, opened
from sidecar.core.batch import SEARCH_SECONDS, as_sent, ranges, used_identity, with_goals, with_seconds
from sidecar.core.instant import UnixMillis
from sidecar.ports.delivery import Note
from sidecar.ports.outbox import Outbox

BATCH = 1_000
REACH = SEARCH_SECONDS[0]


async def claim_and_settle(outbox: Outbox) -> None:
    """The courier's way through the store with one full batch."""
    lanes = [lane for lane in await outbox.lanes() if lane.event == "purchase"]
    entries = await outbox.due(lanes, NOW, BATCH)
    candidates = with_goals(entries, {"purchase": GOAL})
    used = await outbox.used_seconds(ranges(candidates, REACH))
    placed, left = with_seconds(candidates, used, NOW, REACH)
    assert not left
    frozen = [as_sent(one) for one in placed]
    claim = await outbox.claim(ACCOUNT, frozen, [used_identity(one) for one in placed], NOW, UnixMillis(NOW + 60_000))
    assert claim is not None
    assert len(claim.entries) == BATCH
    assert await outbox.settle(claim, {}, Note("taken"), NOW)


async def run(place: Path | str, count: int, server: int | None = None) -> dict[str, float]:
    """In the middle of `count` batches, after one that warms up; of the server, the mean."""
    took = []
    async with opened(place) as outbox:
        await claim_and_settle(outbox)
        before = cpu_seconds(server) if server else 0.0
        for _ in range(count):
            used = time.process_time()
            await claim_and_settle(outbox)
            took.append(time.process_time() - used)
        of_server = cpu_seconds(server) - before if server else 0.0
    return {"cpu_ms": median(took) * 1000, "server_cpu_ms": of_server / count * 1000}


if __name__ == "__main__":
    where, batches, *pid = sys.argv[1:]
    place = where if where.startswith("postgresql:") else Path(where)
    print(json.dumps(asyncio.run(run(place, int(batches), *map(int, pid)))))
