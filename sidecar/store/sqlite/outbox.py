"""The SQLite outbox: the port's calls, each handed to the committer or to a reading connection."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sidecar.core.attribution import Deferral
from sidecar.core.conversion import Kind
from sidecar.core.entry import Entry, Lane, LongestWaits, State, Step
from sidecar.core.instant import SecondRange, UnixMillis, UnixSeconds
from sidecar.core.record import Record
from sidecar.core.waiting import Waiting
from sidecar.ports.delivery import Claim, Note, OpenBatches
from sidecar.ports.errors import OutboxRefused, StorageUnavailable
from sidecar.ports.intake import Adjusting, AdjustResult, Arrival, Captured, PutResult
from sidecar.ports.queries import Backlog, Counts, Page, Query, Retried
from sidecar.ports.upkeep import Moved, ReplayQuery, ReplaySlice, Unmoved
from sidecar.store.adjustments import AdjustmentWriter
from sidecar.store.sqlite import bounding, clicks, delivery, fixed, pruning, reading, replaying
from sidecar.store.sqlite.adjustment_rows import SqliteAdjustmentRows
from sidecar.store.sqlite.clicks import NOBODY, Woken
from sidecar.store.sqlite.committer import Committer
from sidecar.store.sqlite.counting import counts
from sidecar.store.sqlite.database import Database, owned, reader, unusable, writer
from sidecar.store.sqlite.intake import known_results, write_arrivals
from sidecar.store.sqlite.soundness import (
    CHECKED_FIRST_BYTES,
    LastCommit,
    examine_beside_work,
    examined,
    last_commit,
)
from sidecar.troubles import CATALOGUE, Scope

OPEN_LANE = "INSERT OR IGNORE INTO lanes (account, event, kind) VALUES (?, ?, ?)"

Incoming = Arrival | Captured | Adjusting
Outcome = AdjustResult | Woken

SETTLE_MILLIS = 6 * 3_600_000
"""How long after its conversion an adjustment goes out, where nobody says."""


NOTE_WAIT = "INSERT OR REPLACE INTO facts VALUES (?, ?)"

PROBE = "INSERT OR REPLACE INTO facts VALUES ('probe', 'written')"


class SqliteOutbox:
    """Implements `ports.Outbox` over one file; `committer.run` must be running while it is used."""

    def __init__(
        self,
        database: Database,
        due_reader: Database,
        reader: Database,
        path: Path,
        last: LastCommit,
        *,
        max_pending: int,
        min_free_bytes: int,
        settle_millis: int,
        on_group: Callable[[int, float], None],
    ) -> None:
        self.due_reader = due_reader
        """For the flusher alone."""
        self.reader = reader
        """For everybody but the flusher: a long list must not hold up a claim."""
        self._path = path
        self._last = last
        self._max_pending = max_pending
        self._settle_millis = settle_millis
        self._lanes: dict[int, Lane] = {}
        self._lane_ids: dict[tuple[str, str], int] = {}
        self._counts = Counts()
        self._lanes_opened = False
        """Whether a lane was opened in a transaction that may not be committed yet."""
        self.committer: Committer[Incoming, Outcome] = Committer(
            database,
            path,
            self._write_group,
            committed=self._recount,
            noted=last.note,
            min_free_bytes=min_free_bytes,
            on_group=on_group,
        )
        for reading_connection in (due_reader, reader):
            reading_connection.on_damage = self.committer.damaged

    @property
    def lanes(self) -> Sequence[Lane]:
        return tuple(self._lanes.values())

    @property
    def counts(self) -> Counts:
        return self._counts

    async def recover(self, now: UnixMillis) -> None:
        """Take over what the process before left behind."""
        await self.committer.database.call(lambda db: delivery.recover(db, now))
        await self.committer.database.call(lambda db: bounding.bound_batches(db, now))
        self._know_lanes(await self.due_reader.call(delivery.load_lanes))
        self._counts = await self.due_reader.call(counts)

    async def check(self) -> None:
        """Check a file that was too large to be checked before it was used; damage ends the committer."""
        if self._path.stat().st_size <= CHECKED_FIRST_BYTES:
            return
        async with reader(self._path) as database:
            try:
                await examine_beside_work(self._path, database)
            except OutboxRefused as refused:
                self._last.note_damage(str(refused))
                self.committer.damaged(refused)
            except sqlite3.Error as error:  # the disk does not read, which says nothing against the file
                self.committer.damaged(error)
            except asyncio.CancelledError:
                await database.interrupt()
                raise

    async def open_lanes(self, lanes: Sequence[tuple[str, str]]) -> None:
        missing = [lane for lane in lanes if lane not in self._lane_ids]
        if missing:
            rows = [(account, event, Kind.CONVERSION.value) for account, event in missing]
            await self.committer.write(lambda db: db.executemany(OPEN_LANE, rows) and None)
            self._know_lanes(await self.due_reader.call(delivery.load_lanes))

    async def put(self, arrivals: Sequence[Arrival]) -> list[PutResult]:
        try:
            if self._counts.pending + len(arrivals) > self._max_pending:
                raise StorageUnavailable("outbox_growing", "storage.max_pending rows are waiting")
            results = await self.committer.put(arrivals)
            return [result for result in results if isinstance(result, PutResult)]
        except StorageUnavailable as error:
            known = await self._known(arrivals) if _keeps_out_new_rows(error) else None
            if known is None:
                raise
            return known

    async def _known(self, arrivals: Sequence[Arrival]) -> list[PutResult] | None:
        """What needs no room: the results when all of `arrivals` were stored before, None when one was not."""
        return await self.reader.call(lambda db: known_results(db, arrivals))

    async def adjust(self, adjustings: Sequence[Adjusting]) -> list[AdjustResult]:
        if self._counts.pending + len(adjustings) > self._max_pending:
            raise StorageUnavailable("outbox_growing", "storage.max_pending rows are waiting")
        results = await self.committer.put(adjustings)
        return [result for result in results if not isinstance(result, Woken)]

    async def adjustments(self, seq: int) -> Sequence[Record]:
        return await self.reader.call(lambda db: reading.adjustments(db, seq))

    async def due(
        self, lanes: Sequence[Lane], now: UnixMillis, limit: int, held: Collection[str] = (), ids: str | None = None
    ) -> list[Entry]:
        return await self.due_reader.call(lambda db: reading.due(db, lanes, now, limit, held, ids))

    async def defer(self, deferrals: Sequence[Deferral], now: UnixMillis) -> Mapping[int, State]:
        return await self.committer.write(lambda db: clicks.defer(db, deferrals, now))

    async def used_seconds(self, wanted: Mapping[int, Sequence[SecondRange]]) -> dict[int, set[UnixSeconds]]:
        return await self.due_reader.call(lambda db: reading.used_seconds(db, wanted))

    async def claim(
        self,
        account: str,
        entries: Sequence[Entry],
        identities: Sequence[int | None],
        now: UnixMillis,
        until: UnixMillis,
        ids: str | None = None,
    ) -> Claim | None:
        return await self.committer.write(lambda db: delivery.take(db, account, entries, identities, now, until, ids))

    async def record_throttle(self, account: str, until: UnixMillis) -> None:
        await self.committer.write(lambda db: db.execute(NOTE_WAIT, (f"waits:{account}", str(until))) and None)

    async def throttled(self, now: UnixMillis) -> Mapping[str, UnixMillis]:
        return await self.due_reader.call(lambda db: reading.throttled(db, now))

    async def know_ids(self, accounts: Mapping[str, str]) -> None:
        await self.committer.write(lambda db: fixed.know_ids(db, accounts))

    async def open_batches(self, account: str, goals: Mapping[str, str], ids: str = "") -> OpenBatches:
        return await self.due_reader.call(lambda db: fixed.open_batches(db, account, self.lanes, goals, ids))

    async def release_astray(self, account: str, goals: Mapping[str, str], now: UnixMillis, ids: str = "") -> int:
        return await self.committer.write(
            lambda db: fixed.release_astray(db, account, self.lanes, goals, ids, now, self._settle_millis)
        )

    async def waiting_elsewhere(self, account: str, ids: str) -> Mapping[str, Waiting]:
        return await self.reader.call(lambda db: fixed.waiting_elsewhere(db, account, self.lanes, ids))

    async def waiting_by_goal(self, account: str) -> Mapping[str, Waiting]:
        return await self.reader.call(lambda db: fixed.waiting_by_goal(db, account, self.lanes))

    async def has_resend(
        self, account: str, now: UnixMillis, held: Collection[str] = (), ids: str | None = None
    ) -> bool:
        return await self.due_reader.call(lambda db: delivery.open_batch(db, account, now, held, ids)) is not None

    async def claim_resend(
        self,
        account: str,
        now: UnixMillis,
        until: UnixMillis,
        held: Collection[str] = (),
        ids: str | None = None,
    ) -> Claim | None:
        return await self.committer.write(
            lambda db: delivery.retake(db, account, self._lanes, now, until, self._settle_millis, held, ids)
        )

    async def settle(self, claim: Claim, exceptions: Mapping[int, Step], note: Note, now: UnixMillis) -> bool:
        return await self.committer.write(
            lambda db: delivery.settle(db, claim, exceptions, note, now, self._settle_millis)
        )

    async def postpone(
        self, claim: Claim, due_at: UnixMillis, note: Note, *, maybe_sent: bool, isolated: bool = False
    ) -> bool:
        return await self.committer.write(
            lambda db: delivery.postpone(db, claim, due_at, note, maybe_sent=maybe_sent, isolated=isolated)
        )

    async def halve(self, claim: Claim, note: Note, now: UnixMillis, *, maybe_sent: bool = False) -> bool:
        return await self.committer.write(lambda db: delivery.halve(db, claim, note, now, maybe_sent=maybe_sent))

    async def clock_stepped_back(self, now: UnixMillis, limit: int, waits: LongestWaits | None = None) -> bool:
        longest = self._longest(waits)
        return await self.committer.write(lambda db: bounding.bound(db, self._lanes.values(), now, limit, longest))

    def _longest(self, waits: LongestWaits | None) -> LongestWaits:
        return replace(waits or LongestWaits(), adjustment_millis=self._settle_millis)

    async def expire(self, now: UnixMillis, limit: int) -> list[Record]:
        return await self.committer.write(lambda db: delivery.expire(db, now, limit, self._settle_millis))

    async def backlog(self) -> Backlog:
        return await self.reader.call(lambda db: reading.backlog(db, self.lanes))

    async def waiting(self, lanes: Sequence[Lane]) -> Waiting:
        return await self.reader.call(lambda db: reading.waiting(db, lanes))

    async def at_stake(self, lanes: Sequence[Lane]) -> Waiting:
        return await self.reader.call(lambda db: reading.at_stake(db, lanes))

    async def retried(self, lanes: Sequence[Lane], now: UnixMillis) -> Sequence[Retried]:
        return await self.reader.call(lambda db: reading.retried(db, lanes, now))

    async def get(self, seq: int) -> Record | None:
        return await self.reader.call(lambda db: reading.get(db, seq))

    async def find(self, query: Query) -> Page:
        return await self.reader.call(lambda db: reading.find(db, query, self.lanes))

    async def replay(self, seq: int, now: UnixMillis) -> Moved | Unmoved | None:
        return await self.committer.write(lambda db: replaying.replay(db, seq, now, self._max_pending))

    async def replay_slice(
        self, query: ReplayQuery, after_seq: int, limit: int, now: UnixMillis, *, dry_run: bool
    ) -> ReplaySlice:
        given = (query, self.lanes, after_seq, limit, now)
        if dry_run:
            return await self.reader.call(lambda db: replaying.preview(db, *given))
        return await self.committer.write(
            lambda db: replaying.replay_slice(db, *given, self._max_pending), can_wait=True
        )

    async def discard(self, seq: int, now: UnixMillis, ids: str | None = None) -> Moved | Unmoved | None:
        return await self.committer.write(lambda db: replaying.discard(db, seq, now, self._settle_millis, ids))

    async def prune(self, before: UnixMillis, after_seq: int, limit: int) -> int | None:
        return await self.committer.write(lambda db: pruning.prune(db, before, after_seq, limit), can_wait=True)

    async def probe(self) -> None:
        await self.committer.write(self._probe)

    def _write_group(self, db: sqlite3.Connection, items: list[Incoming]) -> list[Outcome]:
        """Conversions first: clicks and adjustments of the same group then find those that they are about."""
        arrivals = [item for item in items if isinstance(item, Arrival)]
        captures = [item for item in items if isinstance(item, Captured)]
        stored = iter(write_arrivals(db, arrivals, self._lane_ids) if arrivals else ())
        woken = iter((clicks.write_captures(db, captures),) if captures else ())  # told to the first who asked
        results: list[Outcome] = []
        for item in items:
            match item:
                case Arrival():
                    results.append(next(stored))
                case Captured():
                    results.append(next(woken, NOBODY))
                case Adjusting():
                    results.append(self._adjust(db, item))
        return results

    def _adjust(self, db: sqlite3.Connection, item: Adjusting) -> AdjustResult:
        rows = SqliteAdjustmentRows(db, tuple(self._lanes.values()))
        result = AdjustmentWriter(rows, item, self._settle_millis).write()
        self._lanes_opened = self._lanes_opened or rows.opened_lane
        return result

    def _probe(self, db: sqlite3.Connection) -> None:
        self.committer.refuse_if_disk_is_full()
        db.execute(PROBE)

    def _know_lanes(self, lanes: Sequence[Lane]) -> None:
        self._lanes = {lane.id: lane for lane in lanes}
        self._lane_ids = {(lane.account, lane.event): lane.id for lane in lanes if lane.kind is Kind.CONVERSION}

    def _recount(self, db: sqlite3.Connection) -> None:
        """Called on the writer's thread after each commit, before anybody is answered."""
        self._counts = counts(db)
        if self._lanes_opened:
            self._lanes_opened = False
            self._know_lanes(delivery.load_lanes(db))


def _keeps_out_new_rows(error: StorageUnavailable) -> bool:
    """Whether there is no room for new rows, while what is stored already can be read."""
    trouble = CATALOGUE.get(error.code)
    return trouble is not None and trouble.scope is Scope.INTAKE


@contextlib.asynccontextmanager
async def open_outbox(
    path: Path,
    environment: str,
    now: UnixMillis,
    *,
    max_pending: int = 10_000_000,
    min_free_bytes: int = 0,
    settle_millis: int = SETTLE_MILLIS,
    on_group: Callable[[int, float], None] = lambda rows, seconds: None,
) -> AsyncIterator[SqliteOutbox]:
    """The outbox in the file `path`, owned by this process alone; OutboxRefused says why it cannot be.

    `settle_millis` is how long after its conversion an adjustment goes out at the earliest.
    The caller runs `outbox.committer.run()` for as long as the outbox is used.
    """
    async with contextlib.AsyncExitStack() as stack:
        path = stack.enter_context(owned(path))
        with examined(path):
            database = await stack.enter_async_context(writer(path, environment))
        last = stack.enter_context(last_commit(path))
        due_reader = await stack.enter_async_context(reader(path))
        list_reader = await stack.enter_async_context(reader(path))
        outbox = SqliteOutbox(
            database,
            due_reader,
            list_reader,
            path,
            last,
            max_pending=max_pending,
            min_free_bytes=min_free_bytes,
            settle_millis=settle_millis,
            on_group=on_group,
        )
        try:
            await outbox.recover(now)
        except sqlite3.DatabaseError as error:
            raise unusable(path, error) from error
        yield outbox
