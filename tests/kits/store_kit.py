"""What the tests of stores are built from: conversions, the short way to a claim, and houses that can burn down."""

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from sidecar.core.batch import as_sent, with_goals
from sidecar.core.conversion import Conversion
from sidecar.core.entry import Entry, Fault
from sidecar.core.instant import UnixMillis, UnixSeconds, millis, seconds
from sidecar.core.record import Record
from sidecar.ports.delivery import Claim, Note
from sidecar.ports.erasure import Erasures
from sidecar.ports.intake import Arrival, Clicks, PutResult
from sidecar.ports.outbox import Outbox
from sidecar.store.sqlite.clicks import SqliteClicks
from sidecar.store.sqlite.erasing import SqliteErasures
from sidecar.store.sqlite.outbox import SqliteOutbox, open_outbox

NOW = UnixMillis(1_795_000_000_000)
SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

CLICK = "f894f652ea334e739002f7167ab8f8e3"
LANES = (("main", "purchase"), ("main", "lead"), ("other", "purchase"))
GOALS = {"purchase": "Sidecar Purchase", "lead": "Sidecar Lead"}
TAKEN = Note("taken", tracking_id="tracking-1")
LOST = Note("lost", error="ConnectionResetError")
POISONED = Note("refused: poison", "tracking-2", "OfflineConversionError")
REFUSED = Fault("OfflineConversionNameInvalid", 5600, "The name is not valid.")


def later(amount: int, start: UnixMillis = NOW) -> UnixMillis:
    """`amount` milliseconds after `start`."""
    return UnixMillis(start + amount)


def conversion(order_id: str | None = "ORDER-1", **given: Any) -> Conversion:
    """A conversion as intake would give it, an hour old; `value` and `currency` count as the caller's own."""
    value = Decimal(given.pop("value", "99.99"))
    event = given.pop("event", "purchase")
    fields: dict[str, Any] = {
        "account": "main",
        "goal": GOALS[event],
        "time": UnixSeconds(seconds(NOW) - 3_600),
        "time_given": True,
        "currency": "USD",
        "given_currency": "USD",
        "msclkid": CLICK,
        **given,
    }
    return Conversion(event=event, order_id=order_id, value=value, given_value=value, **fields)


def orders(count: int, start: int = 0, **given: Any) -> list[Conversion]:
    """`count` different orders."""
    return [conversion(f"ORDER-{number}", **given) for number in range(start, start + count)]


async def put(outbox: Outbox, *conversions: Conversion, at: UnixMillis = NOW) -> list[PutResult]:
    """What became of each, received in one request."""
    return await outbox.put([Arrival(conversion, at, "request-1") for conversion in conversions])


async def seqs_of(outbox: Outbox, *conversions: Conversion, at: UnixMillis = NOW) -> list[int]:
    """Their numbers once they are stored."""
    return [result.record.seq for result in await put(outbox, *conversions, at=at)]


async def record_of(outbox: Outbox, seq: int) -> Record:
    """The row with that number, which is there."""
    record = await outbox.get(seq)
    assert record is not None
    return record


async def due(outbox: Outbox, now: UnixMillis = NOW, limit: int = 1_000, account: str = "main") -> list[Entry]:
    """What may be claimed for an account."""
    return await outbox.due([lane for lane in outbox.lanes if lane.account == account], now, limit)


async def claim(
    outbox: Outbox, entries: Sequence[Entry], now: UnixMillis = NOW, lease: int = MINUTE, account: str = "main"
) -> Claim | None:
    """The way the courier claims: goal from the mapping, each with its own second where none was frozen."""
    candidates = with_goals(entries, GOALS)
    frozen, identities = [as_sent(one) for one in candidates], [one.identity for one in candidates]
    return await outbox.claim(account, frozen, identities, now, later(lease, now))


async def claimed(outbox: Outbox, now: UnixMillis = NOW, limit: int = 1_000, lease: int = MINUTE) -> Claim:
    """A claim of what is due now."""
    taken = await claim(outbox, await due(outbox, now, limit), now, lease)
    assert taken is not None
    return taken


async def retaken(outbox: Outbox, now: UnixMillis, lease: int = MINUTE) -> Claim:
    """The open batch that is due, taken again."""
    taken = await outbox.claim_resend("main", now, later(lease, now))
    assert taken is not None
    return taken


def seqs(entries: Sequence[Entry] | Claim) -> list[int]:
    """The numbers of entries, in their order."""
    return [entry.seq for entry in (entries.entries if isinstance(entries, Claim) else entries)]


def first_of_day(day: int) -> UnixSeconds:
    """A second that lies `day` days before NOW."""
    return UnixSeconds(seconds(NOW) - day * 86_400)


def when(second: UnixSeconds) -> UnixMillis:
    """The first millisecond of that second."""
    return millis(second)


class House(Protocol):
    """A place where an outbox lives; a second store joins the suite by having one."""

    @property
    def clicks(self) -> Clicks:
        """The clicks beside the outbox that is open."""

    @property
    def erasures(self) -> Erasures:
        """The erasures beside it."""

    async def open(self, now: UnixMillis = NOW, **limits: int) -> Outbox:
        """The outbox, with what was in it, and LANES; `limits` are `max_pending` and `min_free_bytes`."""

    async def crash(self) -> None:
        """End its process without a word: what was not written down is gone."""

    async def close(self) -> None:
        """End it in order, when it is open."""


class SqliteHouse:
    """An outbox in a file, with its committer running."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened = 0
        self._stack = contextlib.AsyncExitStack()
        self.outbox: SqliteOutbox | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def clicks(self) -> SqliteClicks:
        assert self.outbox is not None
        return SqliteClicks(self.outbox.committer, self.outbox.reader)

    @property
    def erasures(self) -> SqliteErasures:
        assert self.outbox is not None
        return SqliteErasures(self.outbox.committer, self.outbox.reader)

    @property
    def path(self) -> Path:
        return self._folder / str(self._opened) / "outbox.db"

    async def open(self, now: UnixMillis = NOW, **limits: int) -> SqliteOutbox:
        opening = open_outbox(self.path, "emulator", now, **{"max_pending": 100_000, **limits})
        self.outbox = await self._stack.enter_async_context(opening)
        self._running = asyncio.create_task(self.outbox.committer.run())
        await self.outbox.open_lanes(LANES)
        return self.outbox

    async def crash(self) -> None:
        """The files as they lie there are what the next process finds: a copy, since this process goes on."""
        before = self.path
        self._opened += 1
        self.path.parent.mkdir()
        for suffix in ("", "-wal", ".last"):
            shutil.copy(f"{before}{suffix}", f"{self.path}{suffix}")
        await self.close()

    async def close(self) -> None:
        if self.outbox is not None and self._running is not None:
            self.outbox.committer.stop()
            await self._running
            await self._stack.aclose()
            self.outbox = None


HOUSES: dict[str, Callable[[Path], House]] = {"sqlite": SqliteHouse}
"""Every store there is, with a house for it."""
