"""The one task that writes: it takes whatever is waiting, writes it in one transaction, then answers all who wait.

The fsync itself is the batching window: while one transaction is on its way to disk the next one gathers, no timer.
Knows nothing of what is written.
"""

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, TypeVar

from sidecar.ports.errors import StorageBroken, StorageUnavailable
from sidecar.store.sqlite.database import Database, code_of, is_damage
from sidecar.store.sqlite.soundness import COUNT_COMMIT

T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")

Work = Callable[[sqlite3.Connection], T]

MAX_WAITING_ROWS = 20_000
"""Beyond it intake is refused at once: memory stays bounded when the disk is slower than the callers.

In bytes too, since intake bounds a row at some 4 KiB.
"""

MAX_GROUP_ROWS = 2_000
"""Rows in one transaction: keeps the slowest answer near the others'."""

PATIENCE = 20
"""Rounds that work which can wait lets pass: a busy hour must neither keep the journal nor pruning from going on."""

_ITEM_ERRORS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
"""What SQLite raises for what it was given, not for its own state."""


@dataclass(slots=True)
class _Waiting(Generic[Item]):
    items: Sequence[Item]
    done: "asyncio.Future[list[Any]]"


@dataclass(slots=True)
class Committer(Generic[Item, Result]):
    """Owns the writing connection. `intake` writes the items of many callers in one transaction, results in order.

    Its work goes in this order: intake, then claims and settlements, then whatever can wait (pruning, journal).
    """

    database: Database
    path: Path
    intake: Callable[[sqlite3.Connection, list[Item]], list[Result]]
    committed: Callable[[sqlite3.Connection], None] = lambda db: None
    """Called on the connection's thread after each commit and before anybody is answered."""
    noted: Callable[[int], None] = lambda number: None
    """Called there too, with the number of the commit."""
    min_free_bytes: int = 0
    on_group: Callable[[int, float], None] = lambda rows, seconds: None
    _intake: deque[_Waiting[Item]] = field(default_factory=deque)
    _urgent: deque[tuple[Work[Any], "asyncio.Future[Any]"]] = field(default_factory=deque)
    _idle: deque[tuple[Work[Any], "asyncio.Future[Any]"]] = field(default_factory=deque)
    _waiting_rows: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False
    _ended: bool = False
    _passed_over: int = 0
    """Rounds since work that can wait was last done."""
    _singly: int = 0
    """How many of the first waiting callers get a transaction of their own."""
    _broken: StorageBroken | None = None

    async def put(self, items: Sequence[Item]) -> list[Result]:
        """Write `items`; returns once they are fsynced. StorageUnavailable when that cannot be said.

        The write goes on when the caller is cancelled: a client that hangs up does not undo what others wait for.
        """
        if self._stopping:
            raise _stopped()
        if self._waiting_rows + len(items) > MAX_WAITING_ROWS:
            raise StorageUnavailable("outbox_growing", "too many conversions are waiting for the disk")
        done: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        self._waiting_rows += len(items)
        self._intake.append(_Waiting(items, done))
        self._wake.set()
        return await asyncio.shield(done)

    async def write(self, work: Work[T], *, can_wait: bool = False) -> T:
        """The result of `work(connection)`, run in a transaction of its own and fsynced.

        Taken until `run` ends, also while it stops: what is in hand must still be settled. StorageUnavailable as in
        `put`; what `work` itself raises undoes the transaction and comes back as it is.
        """
        if self._ended:
            raise _stopped()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        (self._idle if can_wait else self._urgent).append((work, done))
        self._wake.set()
        return await asyncio.shield(done)

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
        """Somebody who reads has found the file damaged: `run` ends with StorageBroken."""
        self._broken = StorageBroken(str(error))
        self._wake.set()

    async def _next(self) -> bool:
        """Do one round of work; False when there will be none any more."""
        if self._broken is not None:
            raise self._broken
        if self._intake:
            await self._commit_group()
        if self._urgent:
            await self._commit_one(*self._urgent.popleft())
        if self._idle and self._idle_may_go():
            self._passed_over = 0
            await self._commit_one(*self._idle.popleft())
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

    async def _commit_group(self) -> None:
        group = self._take_group()
        items = [item for waiting in group for item in waiting.items]
        started = perf_counter()
        try:
            results = await self.database.call(lambda db: self._write_group(db, items))
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
        if len(group) > 1 and not _is_storage_error(error):
            self._go_singly(group)
            return
        self._refuse(group, _for_caller(error))
        _raise_if_fatal(error)

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

    def _write_group(self, db: sqlite3.Connection, items: list[Item]) -> list[Result]:
        self.refuse_if_disk_is_full()
        return self._transact(db, lambda db: self.intake(db, items))

    def _transact(self, db: sqlite3.Connection, work: Work[T]) -> T:
        result, number = _in_transaction(db, work)
        self.noted(number)
        self.committed(db)
        return result

    def refuse_if_disk_is_full(self) -> None:
        """Keep a reserve, so that settling and pruning still work when intake no longer may write."""
        disk = os.statvfs(self.path.parent)
        if disk.f_bavail * disk.f_frsize < self.min_free_bytes:
            raise StorageUnavailable("disk_nearly_full", "less than storage.min_free_disk is left")

    async def _commit_one(self, work: Work[Any], done: "asyncio.Future[Any]") -> None:
        try:
            result = await self.database.call(lambda db: self._transact(db, work))
        except asyncio.CancelledError:
            _fail(done, _stopped())
            raise
        except Exception as error:
            _fail(done, _for_caller(error))
            _raise_if_fatal(error)
        else:
            if not done.done():
                done.set_result(result)

    def _refuse(self, group: list[_Waiting[Item]], error: Exception) -> None:
        for waiting in group:
            _fail(waiting.done, error)

    def _refuse_all(self) -> None:
        self._refuse(list(self._intake), _stopped())
        for _, done in (*self._urgent, *self._idle):
            _fail(done, _stopped())


def _in_transaction(db: sqlite3.Connection, work: Work[T]) -> tuple[T, int]:
    """Run `work` between BEGIN and COMMIT; its result, and the number of the commit.

    Whatever happens, the connection is out of the transaction afterwards.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        result = work(db)
        number: int = db.execute(COUNT_COMMIT).fetchone()[0]
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result, number


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
    done.exception()  # the caller may have been cancelled: nobody else will look at it


def _stopped() -> StorageUnavailable:
    return StorageUnavailable("stopping", "the sidecar is stopping")


def _is_storage_error(error: Exception) -> bool:
    """Whether the store is to blame; else it is what one caller gave, or our own mistake about it."""
    return isinstance(error, sqlite3.Error | StorageUnavailable) and not isinstance(error, _ITEM_ERRORS)


def _for_caller(error: Exception) -> Exception:
    if not isinstance(error, sqlite3.Error) or isinstance(error, _ITEM_ERRORS):
        return error
    code = "disk_nearly_full" if code_of(error) == sqlite3.SQLITE_FULL else "storage_failed"
    return StorageUnavailable(code, f"SQLite could not write: {error}")


def _raise_if_fatal(error: Exception) -> None:
    if code_of(error) == sqlite3.SQLITE_IOERR_FSYNC or is_damage(error):
        raise StorageBroken(str(error)) from error
