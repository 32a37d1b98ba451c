"""CPU microseconds a conversion for each step of the path, in one process: `python -m bench.steps` prints JSON.

Other than the headline this has no HTTP, no TLS and nothing beside it: it says where the time goes, not how much
there is of it in all.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from bench.bodies import Bodies
from bench.processes import EVENTS, GOAL
from bench.store import ACCOUNT, NOW, RULES, opened
from sidecar.api.conversion_answers import ItemResult, result, summary
from sidecar.api.http.reply import encode
from sidecar.api.row_json import Rows
from sidecar.core.batch import SEARCH_SECONDS, as_sent, ranges, used_identity, with_goals, with_seconds
from sidecar.core.instant import UnixMillis
from sidecar.core.intake.conversion import Accepted, read
from sidecar.core.intake.json_text import parse
from sidecar.microsoft import wire
from sidecar.ports.delivery import Note
from sidecar.ports.intake import Arrival
from sidecar.ports.outbox import Outbox

ARRAY, BATCH = 100, 1_000
REACH = SEARCH_SECONDS[0]
ROUNDS = 21

T = TypeVar("T")

ROWS = Rows(lambda account, event: EVENTS[event]["goal"], lambda record: None, lambda: NOW)


class Steps:
    """The times of each step, in the order in which they were first taken."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = {}

    def time(self, name: str, work: Callable[[], T]) -> T:
        """Do a part of the work of one batch."""
        began = time.process_time()
        made = work()
        self._note(name, began)
        return made

    async def wait(self, name: str, work: Any) -> Any:
        """The same for what is awaited."""
        began = time.process_time()
        made = await work
        self._note(name, began)
        return made

    def _note(self, name: str, began: float) -> None:
        self.took.setdefault(name, []).append((time.process_time() - began) / BATCH * 1e6)

    def medians(self) -> dict[str, float]:
        return {name: round(median(took[1:]), 1) for name, took in self.took.items()}


async def take_in(outbox: Outbox, bodies: Bodies, steps: Steps) -> None:
    """A thousand orders, in arrays of a hundred."""
    came = [bodies.next() for _ in range(BATCH // ARRAY)]
    items = steps.time("parse", lambda: [item for body in came for item in parse(body)])
    readings = steps.time("read, normalise, hash", lambda: [read(item, now=NOW, rules=RULES) for item in items])
    arrivals = [Arrival(reading.conversion, NOW, "bench") for reading in readings if isinstance(reading, Accepted)]

    async def put() -> list[Any]:
        return [one for first in range(0, BATCH, ARRAY) for one in await outbox.put(arrivals[first : first + ARRAY])]

    stored = await steps.wait("write, in groups of 100", put())
    judged = [ItemResult(one, ()) for one in stored]
    parts = [judged[first : first + ARRAY] for first in range(0, BATCH, ARRAY)]
    steps.time("answer", lambda: [answer(part) for part in parts])


def answer(items: Sequence[ItemResult]) -> bytes:
    """What is answered to one array."""
    rows = ROWS.of_one_answer()
    return summary(items).with_results(encode(result(place, item, rows)) for place, item in enumerate(items))


async def send_off(outbox: Outbox, steps: Steps) -> None:
    """The same thousand, as one batch."""
    entries = await steps.wait("read what is due", outbox.due(await outbox.lanes(), NOW, BATCH))
    candidates = steps.time("goal and identity", lambda: with_goals(entries, {"purchase": GOAL}))
    used = await steps.wait("seconds in use", outbox.used_seconds(ranges(candidates, REACH)))
    placed, _ = steps.time("give seconds", lambda: with_seconds(candidates, used, NOW, REACH))
    frozen, identities = [as_sent(one) for one in placed], [used_identity(one) for one in placed]
    until = UnixMillis(NOW + 60_000)
    claim = await steps.wait("claim", outbox.claim(ACCOUNT, frozen, identities, NOW, until))
    steps.time("encode for Microsoft", lambda: wire.encode(claim.entries))
    await steps.wait("settle", outbox.settle(claim, {}, Note("taken"), NOW))


async def run(path: Path) -> dict[str, float]:
    """Round after round; the first one warms up."""
    steps, bodies = Steps(), Bodies(ARRAY)
    async with opened(path) as outbox:
        for _ in range(ROUNDS):
            await take_in(outbox, bodies, steps)
            await send_off(outbox, steps)
    return steps.medians()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        print(json.dumps(asyncio.run(run(Path(folder) / "outbox.db"))))


if __name__ == "__main__":
    main()
