"""The SQLite outbox: the port's calls, each handed to the committer or to a reading connection."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from sidecar.core.adaptive_rate import HalvedRate
from sidecar.core.attribution import Deferral
from sidecar.core.conversion import Kind
from sidecar.core.entry import Entry, Lane, LongestWaits, Step
from sidecar.core.instant import SecondRange, UnixMillis, UnixSeconds
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State
from sidecar.core.waiting_summary import Waiting
from sidecar.ports.delivery import Claim, Note, OpenBatches
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.intake import Adjusting, AdjustResult, Arrival, PutResult
from sidecar.ports.queries import Backlog, Counts, Page, Query, Retried
from sidecar.ports.upkeep import Moved, ReplayQuery, ReplaySlice, Unmoved
from sidecar.store.committer import Committer
from sidecar.store.sql import (
    claiming,
    clicks,
    clock_bounds,
    due_rows,
    expiry,
    fixed_goals,
    pruning,
    replaying,
    row_lists,
    settling,
    waiting_rows,
)
from sidecar.store.sql.clicks import Woken
from sidecar.store.sql.connection import BulkStatement, Reader
from sidecar.store.sql.dialects import sql
from sidecar.store.sql.intake import known_results
from sidecar.store.sql.intake_group import Incoming, Outcome
from sidecar.store.sql.snapshot import Snapshot
from sidecar.store.store import StoreLimits
from sidecar.troubles import CATALOGUE, Scope

NOTE_WAIT = "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

NOTE_RATES = BulkStatement(
    "INSERT INTO facts (name, value)", "text text", "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)

RATES = sql("SELECT substr(name, 6), value FROM facts WHERE [begins name, 'rate:']")

PROBE = "INSERT INTO facts VALUES ('probe', 'written') ON CONFLICT (name) DO UPDATE SET value = excluded.value"


@dataclass
class SqlOutbox:
    """Implements `ports.Outbox` over one file; `committer.run` must be running while it is used."""

    committer: Committer[Any, Incoming, Outcome]
    due_reader: Reader
    """For the flusher alone: a long list must not hold up a claim."""
    reader: Reader
    snapshot: Snapshot
    limits: StoreLimits

    async def lanes(self) -> Sequence[Lane]:
        return self._lanes

    async def lanes_of(self, account: str) -> Sequence[Lane]:
        return self._own(account)

    async def keeping_accounts(self) -> Collection[str]:
        return await self.reader.call(fixed_goals.keeping_accounts)

    async def next_due(self, account: str) -> UnixMillis | None:
        return await self.due_reader.call(lambda db: due_rows.next_due(db, account))

    async def counts(self) -> Counts:
        return await self.snapshot.counts_now(self.reader)

    def _own(self, account: str) -> Sequence[Lane]:
        """The lanes of the account."""
        return self.snapshot.by_account.get(account, ())

    @property
    def _lanes(self) -> Sequence[Lane]:
        return tuple(self.snapshot.lanes.values())

    @property
    def _delay(self) -> int:
        return self.limits.adjustment_delay_millis

    async def open_lanes(self, lanes: Sequence[tuple[str, str]]) -> None:
        missing = [(*lane, Kind.CONVERSION) for lane in lanes if lane not in self.snapshot.conversion_lanes]
        if missing:
            await self.committer.write(lambda db: self.snapshot.open_lanes(db, missing))

    async def put(self, arrivals: Sequence[Arrival]) -> list[PutResult]:
        try:
            self._refuse_beyond_limit(len(arrivals))
            return cast("list[PutResult]", await self.committer.put(arrivals))  # other items have other results
        except StorageUnavailable as error:
            known = await self._known(arrivals) if _keeps_out_new_rows(error) else None
            if known is None:
                raise
            return known

    def _refuse_beyond_limit(self, rows: int) -> None:
        if self.snapshot.counts.pending + rows > self.limits.max_pending:
            raise StorageUnavailable("outbox_growing", "storage.max_pending rows are waiting")

    async def _known(self, arrivals: Sequence[Arrival]) -> list[PutResult] | None:
        """What needs no room: the results when all of `arrivals` were stored before, None when one was not."""
        return await self.reader.call(lambda db: known_results(db, arrivals))

    async def adjust(self, adjustings: Sequence[Adjusting]) -> list[AdjustResult]:
        self._refuse_beyond_limit(len(adjustings))
        results = await self.committer.put(adjustings)
        return [result for result in results if not isinstance(result, Woken)]

    async def adjustments(self, seq: int) -> Sequence[Record]:
        return await self.reader.call(lambda db: row_lists.adjustments(db, seq))

    async def due(
        self, lanes: Sequence[Lane], now: UnixMillis, limit: int, held: Collection[str] = (), ids: str | None = None
    ) -> list[Entry]:
        return await self.due_reader.call(lambda db: due_rows.due(db, lanes, now, limit, held, ids))

    async def defer(self, deferrals: Sequence[Deferral], now: UnixMillis) -> Mapping[int, State]:
        return await self.committer.write(lambda db: clicks.defer(db, deferrals, now))

    async def used_seconds(self, wanted: Mapping[int, Sequence[SecondRange]]) -> dict[int, set[UnixSeconds]]:
        return await self.due_reader.call(lambda db: due_rows.used_seconds(db, wanted))

    async def claim(
        self,
        account: str,
        entries: Sequence[Entry],
        identities: Sequence[int | None],
        now: UnixMillis,
        until: UnixMillis,
        ids: str | None = None,
    ) -> Claim | None:
        return await self.committer.write(lambda db: claiming.take(db, account, entries, identities, now, until, ids))

    async def record_throttle(self, account: str, until: UnixMillis) -> None:
        await self.committer.write(lambda db: db.execute(NOTE_WAIT, (f"waits:{account}", str(until))) and None)

    async def record_rates(self, rates: Mapping[str, HalvedRate]) -> None:
        rows = [(f"rate:{account}", json.dumps(rate)) for account, rate in sorted(rates.items())]
        await self.committer.write(lambda db: NOTE_RATES.change(db, rows))

    async def halved_rates(self) -> Mapping[str, HalvedRate]:
        found = await self.due_reader.call(lambda db: db.execute(RATES).fetchall())
        return {account: HalvedRate(*json.loads(text)) for account, text in found}

    async def throttled(self, now: UnixMillis) -> Mapping[str, UnixMillis]:
        return await self.due_reader.call(lambda db: due_rows.throttled(db, now))

    async def know_ids(self, accounts: Mapping[str, str]) -> None:
        await self.committer.write(lambda db: fixed_goals.know_ids(db, accounts))

    async def open_batches(self, account: str, goals: Mapping[str, str], ids: str = "") -> OpenBatches:
        return await self.due_reader.call(
            lambda db: fixed_goals.open_batches(db, account, self._own(account), goals, ids)
        )

    async def release_astray(self, account: str, goals: Mapping[str, str], now: UnixMillis, ids: str = "") -> int:
        return await self.committer.write(
            lambda db: fixed_goals.release_astray(db, account, self._own(account), goals, ids, now, self._delay)
        )

    async def waiting_elsewhere(self, account: str, ids: str) -> Mapping[str, Waiting]:
        return await self.reader.call(lambda db: fixed_goals.waiting_elsewhere(db, account, self._own(account), ids))

    async def waiting_by_goal(self, account: str) -> Mapping[str, Waiting]:
        return await self.reader.call(lambda db: fixed_goals.waiting_by_goal(db, account, self._own(account)))

    async def has_resend(
        self, account: str, now: UnixMillis, held: Collection[str] = (), ids: str | None = None
    ) -> bool:
        return await self.due_reader.call(lambda db: claiming.open_batch(db, account, now, held, ids)) is not None

    async def claim_resend(
        self,
        account: str,
        now: UnixMillis,
        until: UnixMillis,
        held: Collection[str] = (),
        ids: str | None = None,
    ) -> Claim | None:
        return await self.committer.write(
            lambda db: claiming.retake(db, account, self.snapshot.lanes, now, until, self._delay, held, ids)
        )

    async def settle(self, claim: Claim, exceptions: Mapping[int, Step], note: Note, now: UnixMillis) -> bool:
        return await self.committer.write(lambda db: settling.settle(db, claim, exceptions, note, now, self._delay))

    async def postpone(
        self, claim: Claim, due_at: UnixMillis, note: Note, *, maybe_sent: bool, isolated: bool = False
    ) -> bool:
        return await self.committer.write(
            lambda db: settling.postpone(db, claim, due_at, note, maybe_sent=maybe_sent, isolated=isolated)
        )

    async def halve(self, claim: Claim, note: Note, now: UnixMillis, *, maybe_sent: bool = False) -> bool:
        return await self.committer.write(lambda db: settling.halve(db, claim, note, now, maybe_sent=maybe_sent))

    async def clock_stepped_back(self, now: UnixMillis, limit: int, waits: LongestWaits | None = None) -> bool:
        longest = replace(waits or LongestWaits(), adjustment_millis=self._delay)
        lanes = self.snapshot.lanes.values()
        return await self.committer.write(lambda db: clock_bounds.bound(db, lanes, now, limit, longest))

    async def expire(self, now: UnixMillis, limit: int) -> list[Record]:
        return await self.committer.write(lambda db: expiry.expire(db, now, limit, self._delay))

    async def backlog(self) -> Backlog:
        return await self.reader.call(lambda db: waiting_rows.backlog(db, self._lanes))

    async def waiting(self, lanes: Sequence[Lane]) -> Waiting:
        return await self.reader.call(lambda db: waiting_rows.waiting(db, lanes))

    async def at_stake(self, lanes: Sequence[Lane]) -> Waiting:
        return await self.reader.call(lambda db: waiting_rows.at_stake(db, lanes))

    async def retried(self, lanes: Sequence[Lane], now: UnixMillis) -> Sequence[Retried]:
        return await self.reader.call(lambda db: waiting_rows.retried(db, lanes, now))

    async def get(self, seq: int) -> Record | None:
        return await self.reader.call(lambda db: row_lists.get(db, seq))

    async def find(self, query: Query) -> Page:
        return await self.reader.call(lambda db: row_lists.find(db, query, self._lanes))

    async def replay(self, seq: int, now: UnixMillis) -> Moved | Unmoved | None:
        return await self.committer.write(lambda db: replaying.replay(db, seq, now, self.limits.max_pending))

    async def replay_slice(
        self, query: ReplayQuery, after_seq: int, limit: int, now: UnixMillis, *, dry_run: bool
    ) -> ReplaySlice:
        given = (query, self._lanes, after_seq, limit, now)
        if dry_run:
            return await self.reader.call(lambda db: replaying.preview(db, *given))
        return await self.committer.write(
            lambda db: replaying.replay_slice(db, *given, self.limits.max_pending), can_wait=True
        )

    async def discard(self, seq: int, now: UnixMillis, ids: str | None = None) -> Moved | Unmoved | None:
        return await self.committer.write(lambda db: replaying.discard(db, seq, now, self._delay, ids))

    async def prune(self, before: UnixMillis, after_seq: int, limit: int) -> int | None:
        return await self.committer.write(lambda db: pruning.prune(db, before, after_seq, limit), can_wait=True)

    async def probe(self) -> None:
        await self.committer.write(lambda db: db.execute(PROBE) and None, needs_room=True)


def _keeps_out_new_rows(error: StorageUnavailable) -> bool:
    """Whether there is no room for new rows, while what is stored already can be read."""
    trouble = CATALOGUE.get(error.code)
    return trouble is not None and trouble.scope is Scope.INTAKE
