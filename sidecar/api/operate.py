"""POST replay and discard: dead or skipped rows are sent again, rows that shall not be sent are ended."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from aiohttp import web

from sidecar.api.http.problem import NO_CONVERSION, WRONG_STATE, HttpProblem
from sidecar.api.http.reply import json_reply
from sidecar.api.replay_query import STATES, Wish, read_wish
from sidecar.api.request import query as parameters
from sidecar.api.request.body import read_body
from sidecar.api.row_json import Rows
from sidecar.core.conversion import Kind
from sidecar.core.entry import too_old
from sidecar.core.instant import UnixMillis
from sidecar.core.record import Record, seq_of
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.outbox import Outbox
from sidecar.ports.upkeep import Moved, ReplaySlice, Unmoved
from sidecar.telemetry import Telemetry

SLICE_ROWS = 500
"""Rows that one transaction looks at: it delays an answer of intake by a few milliseconds at most."""

MAX_SLICES = 100
"""Transactions of one request; beyond them the answer has a cursor to go on with."""

_Move = Callable[[int, UnixMillis], Awaitable[Moved | Unmoved | None]]


@dataclass(frozen=True, slots=True)
class OperatorCalls:
    """Replays and discards rows. `stored` is called with the number of rows of each account that are due again."""

    outbox: Outbox
    rows: Rows
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    stored: Callable[[Mapping[str, int]], None]
    identity: Callable[[str], str | None] = lambda account: None
    """Which account it is at Microsoft now; None where it left the configuration."""

    async def replay(self, request: web.Request) -> web.Response:
        """Replay the rows of the query, slice by slice; or only count them."""
        wish = read_wish(await read_body(request))
        done = await self._walk(wish)
        if done.matched and not wish.dry_run:
            self.telemetry.delivery.replayed(done.matched, wish.query.state)
        number = {"matched" if wish.dry_run else "replayed": done.matched}
        cursor = parameters.to_cursor(done.next_seq)
        return json_reply({**number, "too_old": done.too_old, "dry_run": wish.dry_run, "next_cursor": cursor})

    async def replay_one(self, request: web.Request) -> web.Response:
        """Make one row due again."""
        before, record = await self._move(request, self.outbox.replay, why_not_replayed)
        self.stored({record.account: 1})
        self.telemetry.delivery.replayed(1, before.state, record)
        return json_reply({"replayed": 1, "dry_run": False, "conversion": self.rows.show(record)})

    async def discard(self, request: web.Request) -> web.Response:
        """End one row that was never sent, or that waits for another account at Microsoft to come back."""
        _, record = await self._move(request, self._discard, why_not_discarded)
        self.telemetry.delivery.discarded(record)
        return json_reply(self.rows.show(record))

    async def _discard(self, seq: int, now: UnixMillis) -> Moved | Unmoved | None:
        record = await self.outbox.get(seq)
        return None if record is None else await self.outbox.discard(seq, now, self.identity(record.account))

    async def _walk(self, wish: Wish) -> ReplaySlice:
        """All slices of one request; couriers are woken after each, once it is on disk."""
        now, total = self.now(), ReplaySlice(0, 0, Counter(), wish.after_seq)
        for _ in range(MAX_SLICES):
            if total.next_seq is None:
                break
            try:
                done = await self.outbox.replay_slice(wish.query, total.next_seq, SLICE_ROWS, now, dry_run=wish.dry_run)
            except StorageUnavailable:
                if not total.matched:
                    raise
                break  # slices before it are done and reported; the cursor continues after them
            if done.matched and not wish.dry_run:
                self.stored(done.accounts)
            total = ReplaySlice(total.matched + done.matched, total.too_old + done.too_old, {}, done.next_seq)
        return total

    async def _move(
        self, request: web.Request, move: _Move, why_not: Callable[[Record, UnixMillis], str]
    ) -> tuple[Record, Record]:
        """The row of that id before and after it was moved; HttpProblem where it may not be.

        The body is not used, but requiring JSON refuses web pages.
        """
        await read_body(request)
        seq = seq_of(Kind.CONVERSION, request.match_info["id"])
        before = None if seq is None else await self.outbox.get(seq)
        if seq is None or before is None or before.kind is not Kind.CONVERSION:
            raise _unknown()
        now = self.now()
        result = await move(seq, now)
        match result:
            case Moved(record):
                return before, record
            case Unmoved(record):
                members = {"conversion_id": record.id, "state": record.state, "reason": record.reason}
                raise HttpProblem(WRONG_STATE, f"{record.id} {why_not(record, now)}.", members=members)
            case None:
                raise _unknown()
            case _:
                assert_never(result)


def _unknown() -> HttpProblem:
    hint = "An id looks like conv_17; GET /v1/conversions?order_id= finds it by the order."
    return HttpProblem(NO_CONVERSION, hint)


def why_not_replayed(record: Record, now: UnixMillis) -> str:
    """Why the row cannot be replayed, in words."""
    if record.state in STATES:
        if too_old(record.time, now):
            return "is more than 90 days old: Microsoft takes no conversion that old"
        if record.reason == Reason.ERASED or not record.matched_by:
            return "was erased: nothing is left that it could be matched by"
        return "was taken back, perhaps at Microsoft: it must not be sent again"
    if record.state is State.PENDING:
        return "is pending: it is sent without being replayed"
    if record.state is State.DELIVERED:
        return "is delivered: sent again it could count twice"
    return "is canceled; send it again under another order_id if it shall count after all"


def why_not_discarded(record: Record, now: UnixMillis) -> str:
    """Why the row cannot be discarded, in words."""
    if record.state in (State.PENDING, State.DEAD):
        return "is on its way, or may have been sent: it can no longer end as if it had not"
    return f"is {record.state} already"
