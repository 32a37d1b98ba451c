"""The one task that writes: it takes what waits, has it written in one transaction, then answers all who wait.

The fsync itself is the batching window: while one transaction is on its way to disk the next one gathers, no timer.
Where many callers put little, those that were just answered may join it too, for a few rounds of the event loop.
Queues, groups, priorities and limits are here; an engine runs the transactions. What is written is unknown here.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from sidecar.ports.errors import StorageBroken, StorageUnavailable

T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")
Connection = TypeVar("Connection")
Connection_co = TypeVar("Connection_co", covariant=True)

MAX_WAITING_ROWS = 20_000
"""Beyond it intake is refused at once: memory stays bounded when the disk is slower than the callers.

In bytes too, since intake bounds a row at some 4 KiB.
"""

MAX_GROUP_ROWS = 2_000
"""Rows in one transaction: keeps the slowest answer near the others'."""

SMALL_GROUP_ROWS = 100
"""A group of fewer rows is worth gathering further: there the cost of a transaction is more than that of its rows."""

GATHERING_ROUNDS = 5
"""Rounds of the event loop that a small group gathers further: it takes some from an answer to the next request.

At 32 connections a group then has 20 rows in place of 14, and a request takes 8 to 10 % less CPU time.
"""

GATHERING_SECONDS = 0.01
"""Where the rounds are long, gathering ends after this."""

URGENT_IN_TURN = 8
"""Claims and settlements between two groups of intake: as many as one account has in flight.

A batch needs two of them. With one at a time delivery beside full intake kept 41 % of the limit, not 45.
"""

PATIENCE = 20
"""Rounds that idle work waits at most: neither journal nor pruning may starve in a busy hour."""


class StoreFault(NamedTuple):
    """The store is to blame for an error: what its callers get, and whether the data can no longer be trusted."""

    refusal: StorageUnavailable
    is_broken: bool


class Engine(Protocol[Connection_co]):
    """Runs transactions on the one connection that writes."""

    async def transact(self, work: Callable[[Connection_co], T], *, needs_room: bool = False) -> T:
        """The result of `work(connection)`, run in one transaction that is durable on return; an error undoes it.

        With `needs_room`, StorageUnavailable when only the reserve for settling and pruning is left.
        """

    def fault(self, error: Exception) -> StoreFault | None:
        """What an error of a transaction says of the store; None when one caller's items are to blame."""


@dataclass(slots=True)
class _Waiting(Generic[Item]):
    items: Sequence[Item]
    done: "asyncio.Future[list[Any]]"


@dataclass(frozen=True, slots=True)
class _Work:
    run: Callable[[Any], Any]
    done: "asyncio.Future[Any]"
    needs_room: bool


@dataclass(slots=True)
class Committer(Generic[Connection, Item, Result]):
    """The only user of the engine. `intake` writes the items of many callers in one transaction, results in order.

    Its work goes in this order: intake, then claims and settlements, then what can wait (pruning, journal).
    """

    engine: Engine[Connection]
    intake: Callable[[Connection, list[Item]], list[Result]]
    on_group: Callable[[int, float], None] = lambda rows, seconds: None
    _intake: deque[_Waiting[Item]] = field(default_factory=deque)
    _urgent: deque[_Work] = field(default_factory=deque)
    _idle: deque[_Work] = field(default_factory=deque)
    _waiting_rows: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False
    _ended: bool = False
    _callers: int = 0
    """Of the last group."""
    _passed_over: int = 0
    """Rounds since idle work was last done."""
    _singly: int = 0
    """How many of the first waiting callers get a transaction of their own."""
    _broken: StorageBroken | None = None

    async def put(self, items: Sequence[Item]) -> list[Result]:
        """Write `items`; returns once they are fsynced. StorageUnavailable when that is unknown.

        The write goes on when the caller is cancelled, which cancels only `done`: a client that hangs up does not undo
        what others wait for.
        """
        if self._stopping:
            raise _stopped()
        if self._waiting_rows + len(items) > MAX_WAITING_ROWS:
            raise StorageUnavailable("outbox_growing", "too many conversions are waiting for the disk")
        done: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        self._waiting_rows += len(items)
        self._intake.append(_Waiting(items, done))
        self._wake.set()
        return await done

    async def write(self, work: Callable[[Connection], T], *, can_wait: bool = False, needs_room: bool = False) -> T:
        """The result of `work(connection)`, run in a transaction of its own and fsynced.

        Taken until `run` ends, also while it stops: what is in hand must still be settled. StorageUnavailable as in
        `put`; what `work` itself raises undoes the transaction and comes back as it is.
        """
        if self._ended:
            raise _stopped()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        (self._idle if can_wait else self._urgent).append(_Work(work, done, needs_room))
        self._wake.set()
        return await done

    async def run(self) -> None:
        """Work until `stop` was called and nothing waits. StorageBroken when the file cannot be trusted any more."""
        try:
            while await self._next():
                pass
        finally:
            self._stopping = self._ended = True
            self._refuse_all()

    def stop(self) -> None:
        """Take no more intake; `run` ends when what waits is written."""
        self._stopping = True
        self._wake.set()

    def damaged(self, error: Exception) -> None:
        """A reader has found damage: `run` ends with StorageBroken."""
        self._broken = StorageBroken(str(error))
        self._wake.set()

    async def _next(self) -> bool:
        """Do one round of work; False when there will be no more."""
        if self._broken is not None:
            raise self._broken
        if self._intake:
            await self._gather()
            await self._commit_group()
        for _ in range(min(len(self._urgent), URGENT_IN_TURN)):
            await self._commit_one(self._urgent.popleft())
        if self._idle and self._idle_may_go():
            self._passed_over = 0
            await self._commit_one(self._idle.popleft())
        if self._intake or self._urgent or self._idle:
            return True
        if self._stopping:
            return False
        self._wake.clear()
        await self._wake.wait()
        return True

    def _idle_may_go(self) -> bool:
        self._passed_over += 1
        return self._passed_over >= PATIENCE or not (self._intake or self._urgent)

    async def _gather(self) -> None:
        """Let others join those that wait, unless the last group shows that there are none."""
        if self._callers < 2:
            return
        until = perf_counter() + GATHERING_SECONDS
        for _ in range(GATHERING_ROUNDS):
            if self._waiting_rows >= SMALL_GROUP_ROWS or perf_counter() > until:
                return
            await asyncio.sleep(0)

    async def _commit_group(self) -> None:
        group = self._take_group()
        self._callers = len(group)
        items = [item for waiting in group for item in waiting.items]
        started = perf_counter()
        try:
            results = await self.engine.transact(lambda db: self.intake(db, items), needs_room=True)
        except asyncio.CancelledError:
            self._refuse(group, _stopped())
            raise
        except Exception as error:
            self._failed(group, error)
        else:
            self.on_group(len(items), perf_counter() - started)
            _answer(group, results)
        finally:
            self._waiting_rows -= len(items)

    def _failed(self, group: list[_Waiting[Item]], error: Exception) -> None:
        """One caller's odd rows must not fail the others: they go again one by one, the culprit alone fails."""
        fault = self.engine.fault(error)
        if fault is None and len(group) > 1:
            self._go_singly(group)
            return
        self._refuse(group, fault.refusal if fault else error)
        _raise_if_broken(fault, error)

    def _go_singly(self, group: list[_Waiting[Item]]) -> None:
        self._singly += len(group)
        self._waiting_rows += sum(len(waiting.items) for waiting in group)
        self._intake.extendleft(reversed(group))

    def _take_group(self) -> list[_Waiting[Item]]:
        group = [self._intake.popleft()]
        if self._singly:
            self._singly -= 1
            return group
        rows = len(group[0].items)
        while self._intake and rows + len(self._intake[0].items) <= MAX_GROUP_ROWS:
            group.append(self._intake.popleft())
            rows += len(group[-1].items)
        return group

    async def _commit_one(self, work: _Work) -> None:
        try:
            result = await self.engine.transact(work.run, needs_room=work.needs_room)
        except asyncio.CancelledError:
            _fail(work.done, _stopped())
            raise
        except Exception as error:
            fault = self.engine.fault(error)
            _fail(work.done, fault.refusal if fault else error)
            _raise_if_broken(fault, error)
        else:
            if not work.done.done():
                work.done.set_result(result)

    def _refuse(self, group: list[_Waiting[Item]], error: Exception) -> None:
        for waiting in group:
            _fail(waiting.done, error)

    def _refuse_all(self) -> None:
        self._refuse(list(self._intake), _stopped())
        for work in (*self._urgent, *self._idle):
            _fail(work.done, _stopped())


def _answer(group: list[_Waiting[Item]], results: list[Result]) -> None:
    start = 0
    for waiting in group:
        end = start + len(waiting.items)
        if not waiting.done.done():
            waiting.done.set_result(results[start:end])
        start = end


def _fail(done: "asyncio.Future[Any]", error: Exception) -> None:
    if done.done():
        return
    done.set_exception(error)
    done.exception()  # a cancelled caller never retrieves it


def _stopped() -> StorageUnavailable:
    return StorageUnavailable("stopping", "the sidecar is stopping")


def _raise_if_broken(fault: StoreFault | None, error: Exception) -> None:
    if fault is not None and fault.is_broken:
        raise StorageBroken(str(error)) from error
