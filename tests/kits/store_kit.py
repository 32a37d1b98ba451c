"""What the tests of stores are built from: conversions, the short way to a claim, and houses that can burn down."""

import asyncio
import contextlib
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.adjustment import Adjustment, ByOrder
from sidecar.core.batch import as_sent, with_goals
from sidecar.core.conversion import AdjustmentType, Click, Conversion
from sidecar.core.entry import Entry, Fault
from sidecar.core.instant import UnixMillis, UnixSeconds, millis, seconds
from sidecar.core.record import Record
from sidecar.core.unstored import Unstored, What, unstored
from sidecar.ports.delivery import Claim, Note, StoredMatchShares
from sidecar.ports.erasure import Erasures
from sidecar.ports.intake import (
    Adjusting,
    AdjustResult,
    Arrival,
    Captured,
    Clicks,
    PutResult,
    Stored,
)
from sidecar.ports.journal import Journal
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Traces, UnstoredItems
from sidecar.ports.upkeep import Goals, Pauses, Secrets
from sidecar.store.opening import open_store
from sidecar.store.sqlite import erasures, reading, visitors
from sidecar.store.sqlite.outbox import SqliteOutbox
from sidecar.store.store import Store, StoreLimits

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
    return await outbox.due([lane for lane in outbox.lanes() if lane.account == account], now, limit)


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


def captured(
    msclkid: str = CLICK, ago: int = 7_200, visitor_id: str = "v-1", account: str = "main", at: UnixMillis = NOW
) -> Captured:
    """A click of `ago` seconds ago."""
    clicked_at = UnixSeconds(seconds(NOW) - ago)
    return Captured(Click(account=account, visitor_id=visitor_id, msclkid=msclkid, clicked_at=clicked_at), at)


def trace(order_id: str = "R-1", at: UnixMillis = NOW, event: str = "purchase") -> Unstored:
    """The trace of a refused item."""
    made = unstored({"order_id": order_id, "event": event}, What.REFUSED, ("too_old", "odd"), at, "request-1")
    assert made is not None
    return made


@contextlib.asynccontextmanager
async def open_outbox(path: Path, environment: str, now: UnixMillis, **limits: Any) -> AsyncIterator[SqliteOutbox]:
    """The outbox of a store that does not run yet."""
    async with open_store(path, environment, lambda: now, StoreLimits(**limits)) as store:
        assert isinstance(store.outbox, SqliteOutbox)
        yield store.outbox


@contextlib.asynccontextmanager
async def running_store(path: Path, now: Callable[[], UnixMillis] = lambda: NOW, **limits: Any) -> AsyncIterator[Store]:
    """A store at work, ended in order."""
    async with open_store(path, "emulator", now, StoreLimits(**limits)) as store:
        running = asyncio.create_task(store.run())
        try:
            yield store
        finally:
            store.stop()
            await running


class House(ABC):
    """A place where a store lives, with everything that it gives; a second store joins the suite by having one."""

    store: Store | None = None

    @abstractmethod
    async def open(self, now: UnixMillis = NOW, **limits: int) -> Outbox:
        """Open the store with what was in it, and LANES; `limits` are `max_pending` and `min_free_bytes`."""

    @abstractmethod
    async def crash(self) -> None:
        """End its process without a word: what was not written down is gone."""

    @abstractmethod
    async def close(self) -> None:
        """End it in order, when it is open."""

    @abstractmethod
    async def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table as they are stored, by their first column; also after it was closed."""

    @abstractmethod
    def use_small_slices(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let lists and erasures read a few rows at a time, so that few rows take many slices."""

    @abstractmethod
    def give_all_visitors_one_hash(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As if their ids had been chosen for that."""

    @property
    def opened(self) -> Store:
        assert self.store is not None, "open the house first"
        return self.store

    @property
    def outbox(self) -> Outbox:
        return self.opened.outbox

    @property
    def clicks(self) -> Clicks:
        return self.opened.clicks

    @property
    def goals(self) -> Goals:
        return self.opened.goals

    @property
    def journal(self) -> Journal:
        return self.opened.journal

    @property
    def pauses(self) -> Pauses:
        return self.opened.pauses

    @property
    def secrets(self) -> Secrets:
        return self.opened.secrets

    @property
    def traces(self) -> Traces:
        return self.opened.traces

    @property
    def erasures(self) -> Erasures:
        return self.opened.erasures

    @property
    def unstored(self) -> UnstoredItems:
        return self.opened.unstored

    @property
    def shares(self) -> StoredMatchShares:
        return self.opened.shares


class SqliteHouse(House):
    """A store in a file, with its committer running."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened = 0
        self._stack = contextlib.AsyncExitStack()

    @property
    def path(self) -> Path:
        return self._folder / str(self._opened) / "outbox.db"

    @property
    def outbox(self) -> SqliteOutbox:
        """With the committer and the reader that SQLite's own tests look at."""
        outbox = self.opened.outbox
        assert isinstance(outbox, SqliteOutbox)
        return outbox

    async def open(self, now: UnixMillis = NOW, **limits: int) -> SqliteOutbox:
        opening = running_store(self.path, lambda: now, **{"max_pending": 100_000, **limits})
        self.store = await self._stack.enter_async_context(opening)
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
        if self.store is not None:
            await self._stack.aclose()
            self.store = None

    async def rows(self, table: str) -> list[dict[str, Any]]:
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY 1")]

    def use_small_slices(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "SCAN_ROWS", 2)
        for name, rows in {"SCAN_ROWS": 7, "SLICE_ROWS": 2, "JOURNAL_ROWS": 2}.items():
            monkeypatch.setattr(erasures, name, rows)

    def give_all_visitors_one_hash(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(visitors, "visitor_hash", lambda account, visitor_id, key: 7)


HOUSES: dict[str, Callable[[Path], House]] = {"sqlite": SqliteHouse}
"""Every store there is, with a house for it."""


def wish(value: str | None = None, target: Any = None, at: UnixMillis = NOW, **given: Any) -> Adjusting:
    """A restate to `value`, else a retract, of ORDER-1 unless `target` is another."""
    type_ = AdjustmentType.RETRACT if value is None else AdjustmentType.RESTATE
    time = given.pop("time", None)
    adjustment = Adjustment(
        type=type_,
        target=target or ByOrder("ORDER-1", None),
        value=None if value is None else Decimal(value),
        currency=given.pop("currency", None),
        time=seconds(at) if time is None else time,
        time_given=time is not None,
        idempotency_key=given.pop("key", None),
    )
    return Adjusting(adjustment, at, "request-2")


async def adjust(outbox: Outbox, value: str | None = None, at: UnixMillis = NOW, **given: Any) -> AdjustResult:
    (result,) = await outbox.adjust([wish(value, at=at, **given)])
    return result


async def adjusted(outbox: Outbox, value: str | None = None, at: UnixMillis = NOW, **given: Any) -> Record:
    """The row of an adjustment that was stored."""
    result = await adjust(outbox, value, at, **given)
    assert isinstance(result, Stored), result
    return result.record
