"""The process is killed at every named point: inside each transaction, before its answer, and around each upload.

A small shop does everything that writes; a baseline, which is not killed, shows how it must end.
"""

import asyncio
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from process_kit import kill_points
from process_kit.emulator import Microsoft, microsoft
from process_kit.running import Running, Starter
from process_kit.service import GOALS, LISTENING, Answer, Json, Services, Sidecar, config
from promises import Show

PATIENCE_SECONDS = 60.0
CLICK, LATER = "f894f652ea334e739002f7167ab8f8e3", "0badcafe" * 4
PERSON = {"email": "person@example.com"}

End = dict[str, object]
"""How a shop ended: what Microsoft holds, and the state of each row."""


def order(name: str, number: int = 0, **more: object) -> Json:
    return {"event": "purchase", "order_id": name, "value": 10, "msclkid": f"{number:032x}", **more}


@dataclass
class Shop:
    """A backend and an operator who repeat what was not answered, and start again what died."""

    services: Services
    there: Microsoft
    settings: Json
    point: str
    number: int = 1
    trace: Path = field(default_factory=Path)
    starts: int = 0
    sidecar: Sidecar | None = None

    async def up(self) -> Sidecar:
        """A sidecar that listens: the one that does, or a new one, which is to die at the point if none was yet."""
        while self.sidecar is None or self.sidecar.running.is_over:
            self.starts += 1
            running = await self.services.launch(self.settings, before=self._points() if self.starts == 1 else ())
            if (url := await self._listening(running)) is not None:
                self.sidecar = Sidecar(running, url, self.services.session)
        return self.sidecar

    def _points(self) -> tuple[str, ...]:
        script = str(Path(kill_points.__file__))
        return sys.executable, script, str(self.trace), self.point, str(self.number)

    async def _listening(self, running: Running) -> str | None:
        try:
            return await running.output_matching(LISTENING)
        except AssertionError:
            assert running.process.returncode == -9, running.err
            return None

    async def call(self, method: str, path: str, body: object = None) -> Answer:
        """The answer, however often it takes."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert time.monotonic() < until, path
            sidecar = await self.up()
            try:
                answer = await sidecar.call(method, path, body)
            except (aiohttp.ClientError, ConnectionError):
                await sidecar.running.process.wait()
                continue
            if answer.status != 503:
                assert answer.status < 500, answer.text
                return answer
            await asyncio.sleep(0.05)

    async def rows(self) -> list[Json]:
        items: list[Json] = (await self.call("GET", "/v1/conversions?limit=1000")).json()["items"]
        return items

    async def until(self, done: Callable[[], Awaitable[bool]]) -> None:
        limit = time.monotonic() + PATIENCE_SECONDS
        while not await done():
            assert time.monotonic() < limit, await self.rows()
            await asyncio.sleep(0.05)

    async def settled(self) -> None:
        async def nothing_waits() -> bool:
            return (await self.call("GET", "/healthz")).json()["outbox"]["pending"] == 0

        await self.until(nothing_waits)

    async def until_state(self, order_id: str, state: str) -> None:
        async def is_there() -> bool:
            found = (await self.call("GET", f"/v1/conversions?order_id={order_id}")).json()["items"]
            return any(row["state"] == state for row in found)

        await self.until(is_there)


async def _live(shop: Shop) -> None:
    """Everything that writes, so that each transaction of the product is passed at least once."""
    call = shop.call
    await call("POST", "/v1/conversions", [order(f"FIRST-{n}", n) for n in range(1, 6)])
    clicked = int(time.time()) - 60
    await call("POST", "/v1/clicks", {"visitor_id": "visitor-1", "msclkid": CLICK, "time": clicked})
    await call("POST", "/v1/conversions", order("VISITED", msclkid=None, visitor_id="visitor-1"))
    await call("POST", "/v1/conversions", order("WAITING", msclkid=None, visitor_id="visitor-2"))
    await call("POST", "/v1/conversions", order("FIRST-1", 1))
    await shop.until_state("VISITED", "delivered")
    await call("POST", "/v1/clicks", {"visitor_id": "visitor-2", "msclkid": LATER, "time": clicked})
    await shop.settled()
    await shop.there.fault("partial_errors", code=5604, times=None, match={"goal": "Shop Subscription"})
    await call("POST", "/v1/conversions", order("DEAD", 20, event="subscription", currency="USD"))
    await shop.until_state("DEAD", "dead")
    await shop.there.call("DELETE", "faults")
    await call("POST", "/v1/replay", {"state": "dead"})
    await shop.settled()
    await shop.there.fault("expire_tokens")
    await shop.there.fault("reset_after")
    await call("POST", "/v1/conversions", order("LOST", 30))
    await shop.until_state("LOST", "delivered")
    await call("POST", "/v1/adjustments", {"type": "restate", "order_id": "FIRST-2", "value": 4, "event": "purchase"})
    await call("POST", "/v1/adjustments", {"type": "retract", "order_id": "FIRST-3", "event": "purchase"})
    await shop.settled()
    await _operate(shop)


async def _operate(shop: Shop) -> None:
    call = shop.call
    await call("POST", "/v1/accounts/default/pause", {})
    await call("POST", "/v1/conversions", [order("KEPT", 40), order("DISCARDED", 41), order("REFUNDED", 42)])
    [discarded] = (await call("GET", "/v1/conversions?order_id=DISCARDED")).json()["items"]
    await call("POST", f"/v1/conversions/{discarded['id']}/discard", {})
    await call("POST", "/v1/adjustments", {"type": "retract", "order_id": "REFUNDED", "event": "purchase"})
    await call("POST", "/v1/conversions", order("FORGOTTEN", 43, user=PERSON))
    erasure = (await call("POST", "/v1/erasures", PERSON)).json()["id"]

    async def forgotten() -> bool:
        return (await call("GET", f"/v1/erasures/{erasure}")).json()["state"] == "done"

    await shop.until(forgotten)
    await call("POST", "/v1/accounts/default/resume", {})
    await shop.settled()


async def _end(shop: Shop) -> End:
    rows = await shop.there.ledger()
    assert not [row["raw"] for row in rows if row["changed"]], "the same bytes again, or nothing"
    held = sorted(
        (row["row"]["MicrosoftClickId"], str(row["row"]["ConversionValue"]), row["adjusted"], row["adjusted_value"])
        for row in rows
    )
    states = sorted((str(row["order_id"]), row["state"], row["reason"]) for row in await shop.rows())
    metrics = await (await shop.up()).metrics()
    counted = {state: int(number) for (name, state), number in metrics.items() if name == "sidecar_outbox_rows"}
    with closing(sqlite3.connect(f"file:{shop.trace.with_name('outbox.db')}?mode=ro", uri=True)) as db:
        by_state = dict(db.execute("SELECT state, count(*) FROM entries GROUP BY state"))
    assert by_state == {state: number for state, number in counted.items() if number}, "the accounts balance"
    return {"held": held, "states": states, "counted": counted}


async def _shop(starter: Starter, services: Services, folder: Path, point: str, number: int = 1) -> tuple[Shop, End]:
    """A whole life in `folder`, killed at that point."""
    folder.mkdir()
    starter.folder = folder
    async with microsoft(starter, *GOALS) as there:
        settings = config(
            there,
            delivery={"linger": "20ms", "click_settle": "0s", "goal_settle": "0s"},
            adjustments={"settle": "0s"},
            clicks={"wait": "1h"},
        )
        shop = Shop(services, there, settings, point, number, folder / "points.txt")
        await _live(shop)
        end = await _end(shop)
        assert shop.sidecar is not None
        await shop.sidecar.running.kill()
        return shop, end


async def _points(starter: Starter, services: Services) -> tuple[list[str], End]:
    """Every point that a life passes, and how it ends without a kill."""
    shop, end = await _shop(starter, services, starter.folder / "baseline", "none")
    assert shop.starts == 1
    return sorted(set(shop.trace.read_text().splitlines())), end


async def _kill_at(starter: Starter, services: Services, points: Sequence[str], wanted: End) -> list[str]:
    """The points at which the life ended otherwise than the baseline."""
    base, wrong = starter.folder.parent, []
    for number, point in enumerate(points):
        shop, end = await _shop(starter, services, base / f"life-{number}", point)
        assert shop.starts >= 2, f"no process died at {point}"
        if end != wanted:
            wrong.append(f"{point}: {end}")
    return wrong


SHORT = ("SqlOutbox.claim: after commit", "upload: after Taken")


async def test_killed_at_some_points_everything_ends_as_without_a_kill(starter: Starter, services: Services) -> None:
    """The short form: the two moments that matter most."""
    points, wanted = await _points(starter, services)
    assert set(SHORT) <= set(points), points
    assert await _kill_at(starter, services, SHORT, wanted) == []


@pytest.mark.faults
@pytest.mark.promise("A3")
@pytest.mark.timeout(7_200)
async def test_killed_at_every_point_everything_ends_as_without_a_kill(
    starter: Starter, services: Services, shown: Show
) -> None:
    points, wanted = await _points(starter, services)
    wrong = await _kill_at(starter, services, points, wanted)
    works = {point.rpartition(":")[0] for point in points}
    shown(f"a kill at each of {len(points)} named points of {len(works)} kinds of work", len(wrong), "\n".join(wrong))
