"""One account's way to Microsoft: asks what goes next, claims it, sends it.

What goes next is decided in `core.schedule`. `claims` freezes it; `sender` sends it and hands over the answer.
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar, assert_never

from sidecar import loops
from sidecar.core.in_flight import Request
from sidecar.core.instant import UnixMillis
from sidecar.core.schedule import IDLE_SECONDS, Fresh, Resend, Schedule, Sleep, may_resend, next_move, ripe_at
from sidecar.delivery.claims import Claims, DueRows
from sidecar.delivery.sender import Sender
from sidecar.delivery.timetable import Timetable
from sidecar.ports.delivery import Claim
from sidecar.ports.errors import NotConnected
from sidecar.ports.platform import Platform
from sidecar.telemetry import Telemetry

T = TypeVar("T")

RETIRE_SECONDS = 60.0
"""A courier that has nothing to do for longer ends: ten thousand idle accounts shall cost nothing."""


@dataclass(slots=True, eq=False)
class Courier:
    """Carries the rows of one account."""

    account: str
    timetable: Timetable
    platform: Platform
    claims: Claims
    sender: Sender
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _arrived: int = 0
    """Rows that were stored since it last looked around."""
    _awaited: float = math.inf
    """How many of them end the sleep."""

    def wake(self, arrived: int = 0) -> None:
        """Look around once enough has `arrived`, or at once where something opened."""
        self._arrived += arrived
        if not arrived or self._arrived >= self._awaited:
            self._wake.set()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Carry until `stop`, then wait for the requests that are on their way."""
        async with asyncio.TaskGroup() as sends:
            while not self._stopping.is_set():
                claim = await self._guarded("claim", self._next_claim())
                if claim is not None:
                    request = Request(claim.entries[0].goal or "", claim.kind, claim.resend, loops.monotonic())
                    sends.create_task(self._carry(claim, self.timetable.state.in_flight.started(request)))

    async def _carry(self, claim: Claim, number: int) -> None:
        is_heard = None
        try:
            is_heard = await self._guarded("deliver", self.sender.send(claim))
        finally:
            self.timetable.state.in_flight.finished(number, loops.monotonic(), answered=bool(is_heard))
            self._wake.set()

    async def _next_claim(self) -> Claim | None:
        """Return the next batch that may go; None after a wait, so that the caller can stop."""
        self._arrived = 0
        schedule = await self._look_around()
        while not self._stopping.is_set():
            match next_move(schedule, loops.monotonic()):
                case Resend():
                    return await self._resend()
                case Fresh(goal):
                    due = await self.claims.attribute(goal)
                    if (ripe_in := self._ripe_in(due)) <= 0:
                        return await self._send_new(due)
                    read_again_in = 0.0 if due.has_more else ripe_in
                    schedule = schedule.postponed(goal, loops.monotonic() + read_again_in, len(due.entries))
                case Sleep(until, rows):
                    if self.timetable.state.awaits_reading:
                        await loops.wait_for_wake(
                            self._wake, None
                        )  # its end wakes: a thousand must not ask each second
                    elif not await self._has_retired(schedule):
                        await self._sleep_until(until, rows)
                    return None
                case move:
                    assert_never(move)
        return None

    @property
    def is_over(self) -> bool:
        """Whether it claims nothing more."""
        return self._stopping.is_set()

    async def _has_retired(self, schedule: Schedule) -> bool:
        """End where nothing is on its way and nothing will be due for long, unless something happened meanwhile.

        Another one begins once something is due. One that waits for a gate, or for rows that it has read, asks nothing.
        """
        waits_for_rows = any(one.rows for one in schedule.unripe.values())
        if not schedule.is_open or waits_for_rows or not self.timetable.state.in_flight.is_empty:
            return False
        self._wake.clear()
        if await self.timetable.idle_seconds() <= RETIRE_SECONDS or self._wake.is_set() or self._arrived:
            return False
        self._stopping.set()
        return True

    async def _look_around(self) -> Schedule:
        schedule = await self.timetable.schedule()
        if may_resend(schedule, loops.monotonic()):
            schedule = replace(schedule, has_resend=await self.claims.has_resend())
        return schedule

    def _ripe_in(self, due: DueRows) -> float:
        """Seconds until the rows may go; 0 or less when they may."""
        now = self.now()
        return (ripe_at(due.entries, due.goal.rows, self.timetable.rules().linger_millis, now) - now) / 1000

    async def _resend(self) -> Claim | None:
        await self.platform.permit(self.account)
        if self._stopping.is_set() or not await self.timetable.may_resend(loops.monotonic()):
            return None
        claim = await self.claims.resend(self._lease_end())
        if claim is None:
            self.timetable.state.in_flight.expects_nothing()
        else:
            self.timetable.state.resent_last = True
        return claim

    async def _send_new(self, due: DueRows) -> Claim | None:
        """A new batch of a goal; what was not a full one, or waited long for its permit, is read again."""
        goal, asked_at = due.goal, loops.monotonic()
        await self.platform.permit(self.account)
        if self._stopping.is_set() or not await self.timetable.may_send(goal, loops.monotonic()):
            return None
        if not due.is_full or loops.monotonic() - asked_at >= IDLE_SECONDS:
            due = await self.claims.attribute(goal)
            if self._ripe_in(due) > 0:
                return None
        self.timetable.take_turn(goal)
        return await self.claims.freeze(due, self._lease_end())

    def _lease_end(self) -> UnixMillis:
        return UnixMillis(self.now() + self.timetable.rules().lease_millis)

    async def _guarded(self, where: str, work: Awaitable[T]) -> T | None:
        """One odd batch must not become a crash: it stays claimed, and its lease brings it back."""
        with loops.reported(self.telemetry.service, f"{where} {self.account}"), contextlib.suppress(NotConnected):
            return await work  # without a connection the gates are closed already, and open when there is one
        await self._sleep(IDLE_SECONDS)
        return None

    async def _sleep_until(self, until: float, rows: int) -> None:
        """Until then, until `rows` arrived, or until something else wakes this courier.

        Rows that arrive are only counted: to wake for each and sleep on costs 11 µs.
        """
        self._awaited = rows
        if self._arrived < rows:
            await self._sleep(until - loops.monotonic())
        self._awaited = math.inf

    async def _sleep(self, seconds: float) -> None:
        """Until something wakes this courier, at most `seconds`."""
        await loops.wait_for_wake(self._wake, seconds)
