"""How long look-up and claim take, the more clicks are stored: `make bench`, or `python -m bench.clicks 100000`.

Everything lies in a temporary folder, which is deleted at the end. Ten million clicks need some 3 GB of disk and a few
minutes. Only the ratios within one run mean anything.
"""

import argparse
import asyncio
import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from time import perf_counter

from bench.store import open_running
from sidecar.core.attribution import AttributionRules, GoalTraits
from sidecar.core.batch import as_sent, ranges, with_goals
from sidecar.core.conversion import Conversion
from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds, seconds
from sidecar.delivery.click_matching import ClickMatcher
from sidecar.ports.delivery import Claim, Note
from sidecar.ports.intake import Arrival
from sidecar.ports.outbox import Outbox
from sidecar.store.sql.visitors import hasher
from sidecar.store.store import Store
from sidecar.telemetry import Telemetry

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
BATCH = 1_000
BATCHES = 30
"""Rounds at each size, after one that warms up. The quickest counts: others shared the machine."""

NOW = UnixMillis(1_800_000_000_000)
LEASE_END = UnixMillis(NOW + 60_000)
ACCOUNT, EVENT, GOAL = "main", "purchase", "Sidecar Purchase"
RULES = AttributionRules(3_600_000, 3_600_000, 90 * DAY_SECONDS)
TRAITS = GoalTraits(90 * DAY_SECONDS, enhanced=True)

CLICKS_OF_ONE = 2
"""Clicks of each visitor; the look-up has to find the later one."""

FILL = """
    INSERT INTO clicks (visitor, visitor_id, msclkid, clicked_at, captured_at)
    WITH RECURSIVE visitors (number) AS (SELECT :first UNION ALL SELECT number + 1 FROM visitors WHERE number < :last)
    SELECT hash, 'v-' || number, printf('%016x%016x', number, click.value),
        :first_at + click.value * 1000 + number % 1000, :captured_at
    FROM (SELECT number, visitor_hash('v-' || number) AS hash FROM visitors), json_each(:clicks) AS click"""

INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'clicks'"


@dataclass
class Times:
    """Seconds, a batch each."""

    look_ups: list[float] = field(default_factory=list)
    claims: list[float] = field(default_factory=list)


def fill(path: Path, before: int, clicks: int) -> None:
    """From `before` to `clicks` stored clicks. Indexes are created afterwards: row by row that takes an hour."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;")
        hashed = hasher(db)
        db.create_function("visitor_hash", 1, lambda visitor: hashed(ACCOUNT, visitor), deterministic=True)
        indexes = db.execute(INDEXES).fetchall()
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")
        given = {
            "first": before // CLICKS_OF_ONE,
            "last": clicks // CLICKS_OF_ONE - 1,
            "first_at": seconds(NOW) - 20 * DAY_SECONDS,
            "captured_at": NOW - 20 * DAY_SECONDS * 1000,
            "clicks": str(list(range(CLICKS_OF_ONE))),
        }
        db.execute(FILL, given)
        for _, statement in indexes:
            db.execute(statement)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (found,) = db.execute("SELECT count(*) FROM clicks").fetchone()
        assert found == clicks, (found, clicks)
    with path.open("rb") as file:
        os.fsync(file)  # else every claim's own fsync waits for gigabytes that are on their way to the disk


def spread(clicks: int, start: int) -> Iterator[str]:
    """The visitors of one batch, far apart from each other: neither cache nor order helps."""
    visitors = clicks // CLICKS_OF_ONE
    for number in range(start * BATCH, (start + 1) * BATCH):
        yield f"v-{number * 7_368_787 % visitors}"


async def measure(store: Store, clicks: int, batches: int) -> Times:
    """One batch after another: posted, looked up, claimed, delivered; only look-up and claim are timed."""
    times, outbox = Times(), store.outbox
    telemetry = Telemetry(lambda: NOW, level="error")
    click_matcher = ClickMatcher(
        outbox, store.clicks, telemetry, lambda: NOW, lambda: RULES, lambda account, goal: TRAITS
    )
    for number in range(batches + 1):
        await put(outbox, list(spread(clicks, number)), f"{clicks}-{number}", seconds(NOW) - number * 2 * BATCH)
        entries = await outbox.due(await outbox.lanes(), NOW, BATCH)
        started = perf_counter()
        found = await store.clicks.seen(entries)
        looked_up = perf_counter()
        assert len(found) == len(entries) == BATCH
        claimed = await claim(outbox, click_matcher)
        ended = perf_counter()
        await outbox.settle(claimed, {}, Note("taken"), NOW)
        if number:
            times.look_ups.append(looked_up - started)
            times.claims.append(ended - looked_up)
    telemetry.close()
    return times


async def put(outbox: Outbox, visitors: Sequence[str], name: str, last: int) -> None:
    """A conversion of each, in the seconds up to `last`: few visitors buy several times, but never at one time."""
    arrivals = [
        Arrival(_conversion(visitor, f"{name}-{place}", last - place), NOW, "bench")
        for place, visitor in enumerate(visitors)
    ]
    await outbox.put(arrivals)


def _conversion(visitor: str, order_id: str, time: int) -> Conversion:
    return Conversion(
        account=ACCOUNT,
        event=EVENT,
        goal=GOAL,
        time=UnixSeconds(time),
        time_given=True,
        order_id=order_id,
        value=Decimal("9.99"),
        currency="USD",
        visitor_id=visitor,
    )


async def claim(outbox: Outbox, click_matcher: ClickMatcher) -> Claim:
    """The courier's way from due rows, with another look-up, to a claim that is fsynced."""
    attributed = await click_matcher.attribute(ACCOUNT, GOAL, await outbox.due(await outbox.lanes(), NOW, BATCH))
    assert not attributed.deferrals
    candidates = with_goals(attributed.ready, {EVENT: GOAL})
    await outbox.used_seconds(ranges(candidates, 0))
    frozen, identities = [as_sent(one) for one in candidates], [one.identity for one in candidates]
    claimed = await outbox.claim(ACCOUNT, frozen, identities, NOW, LEASE_END)
    assert claimed is not None
    assert all(entry.clicked_at is not None for entry in claimed.entries)
    return claimed


async def run(folder: Path, sizes: Sequence[int], batches: int) -> None:
    """Grow and measure, and print a line for each size."""
    path = folder / "outbox.db"
    async with open_running(path, EVENT, ACCOUNT, NOW):
        pass  # makes the schema
    print(f"{'stored clicks':>13}  {'look-up of 1,000 visitors':>26}  {'claim of 1,000 rows':>26}")
    before, smallest = 0, None
    for size in sizes:
        await asyncio.to_thread(fill, path, before, size)
        async with open_running(path, EVENT, ACCOUNT, NOW) as store:
            times = await measure(store, size, batches)
        look_up, claimed = min(times.look_ups), min(times.claims)
        smallest = smallest or (look_up, claimed)
        print(f"{size:>13,}  {_shown(look_up, smallest[0])}  {_shown(claimed, smallest[1])}", flush=True)
        before = size


def _shown(took: float, smallest: float) -> str:
    return f"{took * 1000:>15.1f} ms  x {took / smallest:>5.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("largest", nargs="?", type=int, default=SIZES[-1], help="how many clicks at most")
    parser.add_argument("--batches", type=int, default=BATCHES, help="how many to measure at each size")
    given = parser.parse_args()
    largest = given.largest
    sizes = [size for size in SIZES if size < largest] + [largest]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        os.environ["SQLITE_TMPDIR"] = folder  # where it sorts what an index is made of
        asyncio.run(run(Path(folder), sizes, given.batches))


if __name__ == "__main__":
    main()
