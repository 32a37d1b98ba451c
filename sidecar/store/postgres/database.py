"""Connections to the server, each on a thread of its own that runs whole functions, and connects again when it is lost.

While a connection is away its calls are refused at once: no caller waits for a server that is not there.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.types.numeric import IntDumper

from sidecar.core.server_url import without_password
from sidecar.ports.errors import StorageUnavailable
from sidecar.store.postgres import server_check, transactions
from sidecar.store.postgres.address import parameters
from sidecar.store.postgres.connection import PostgresConnection
from sidecar.store.postgres.server_errors import is_of_server, refused, unavailable
from sidecar.system.thread_names import name_thread

T = TypeVar("T")

Opened = TypeVar("Opened", bound="PostgresDatabase")

Work = Callable[[PostgresConnection], T]

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 0.5
"""Seconds between two attempts to connect: it is found again within a second of its return."""

CALL_SECONDS = 60.0
"""A call that takes longer has met a server that answers no more, although its system is there."""

CLOSE_SECONDS = 2.0
"""So long the end of a connection waits for the call at work."""

_LEADS_NOWHERE = (
    errors.ReadOnlySqlTransaction,  # it became a standby: another connection leads to the new primary
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.DatabaseDropped,
    errors.IdleInTransactionSessionTimeout,
)
"""Errors after which a connection is of no use, also where it is open still."""


class _FlagDumper(IntDumper):
    """A flag as the tables have it: 1 or 0."""

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


class PostgresDatabase:
    """A connection on its own thread, for functions that make their own transactions."""

    def __init__(self, url: str, thread: str) -> None:
        self._url = url
        self._thread = ThreadPoolExecutor(1, thread, initializer=name_thread, initargs=(thread,))
        self._connection: PostgresConnection | None = None
        self._away: StorageUnavailable | None = None
        """Why there is no connection; what each call is answered until there is one again."""
        self._closing = threading.Event()
        self._began = monotonic()
        """When the call at work began."""
        self.on_return: Work[None] = lambda db: None
        """Called with each connection that replaces a lost one, before any call gets it; an error keeps it away."""

    async def open(self) -> None:
        """Connect; OutboxRefused says why that is not possible."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)

    async def call(self, work: Work[T]) -> T:
        """The result of `work(connection)`, run on the connection's thread; StorageUnavailable while it is away.

        Work that has begun to write is never run again when the connection is lost: its commit may have been done.
        """
        if self._away is not None:
            raise _again(self._away)
        loop = asyncio.get_running_loop()
        watch = loop.call_later(CALL_SECONDS, self._hang_up_if_stuck)
        try:
            return await loop.run_in_executor(self._thread, self._call, work)
        finally:
            watch.cancel()

    def give_up(self) -> None:
        """End the call at work, whose server does not answer, and refuse all others."""
        self._closing.set()
        self._away = self._away or _again(None)
        self._hang_up()

    async def close(self) -> None:
        """End the connection, also while it is away."""
        self._closing.set()
        loop = asyncio.get_running_loop()
        watch = loop.call_later(CLOSE_SECONDS, self._hang_up)
        await loop.run_in_executor(self._thread, self._end)
        watch.cancel()
        self._thread.shutdown()

    def _open(self) -> None:
        try:
            self._connection = self._connected()
        except psycopg.Error as error:
            raise refused(error, self._url) from error

    def _connected(self) -> PostgresConnection:
        return connect(self._url)

    def _run(self, connection: PostgresConnection, work: Work[T]) -> T:
        return work(connection)

    def _call(self, work: Work[T]) -> T:
        self._began = monotonic()
        try:
            connection = self._present()
            connection.has_begun = False
            try:
                return self._run(connection, work)
            except psycopg.Error as error:
                if not _is_lost(connection, error) or not self._may_repeat(connection):
                    raise
                return self._run(self._replaced(connection), work)
        except psycopg.Error as error:
            self._leave_if_lost(error)
            if is_of_server(error):
                raise unavailable(error, self._url) from error
            raise

    def _may_repeat(self, connection: PostgresConnection) -> bool:
        """Whether nothing of the work was carried out: the connection was lost before, while it was idle."""
        return not (connection.has_begun or self._closing.is_set())

    def _present(self) -> PostgresConnection:
        if self._away is not None or self._connection is None:
            raise _again(self._away)
        return self._connection

    def _replaced(self, lost: PostgresConnection) -> PostgresConnection:
        """A new connection in the place of a lost one, if there is one at the first attempt."""
        lost.raw.close()
        self._connection = self._connected_again()
        return self._connection

    def _connected_again(self) -> PostgresConnection:
        connection = self._connected()
        try:
            self.on_return(connection)
        except BaseException:
            connection.raw.close()
            raise
        return connection

    def _leave_if_lost(self, error: psycopg.Error) -> None:
        """Refuse all calls from now on when the connection is lost, and connect again meanwhile."""
        if self._away is None and self._connection is not None and _is_lost(self._connection, error):
            self._connection.raw.close()
            self._away = unavailable(error, self._url)
            self._thread.submit(self._return)

    def _return(self) -> None:
        """Connect again, as often as it takes."""
        pause = FIRST_PAUSE
        while not self._closing.wait(pause):
            try:
                connection = self._connected_again()
            except Exception as error:  # of any kind: nothing may end the attempts
                self._away = unavailable(error, self._url)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._connection, self._away = connection, None
                return

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.raw.close()

    def _hang_up_if_stuck(self) -> None:
        if monotonic() - self._began >= CALL_SECONDS:
            self._hang_up()

    def _hang_up(self) -> None:
        """End the connection beneath the thread that waits for its answer, which then has an error."""
        connection = self._connection
        with contextlib.suppress(OSError, psycopg.Error):
            if connection is not None:
                with socket.socket(fileno=os.dup(connection.raw.pgconn.socket)) as wire:
                    wire.shutdown(socket.SHUT_RDWR)


class ReadingDatabase(PostgresDatabase):
    """A connection whose calls are transactions that only read."""

    def _connected(self) -> PostgresConnection:
        connection = connect(self._url)
        connection.begin = transactions.READ
        return connection

    def _run(self, connection: PostgresConnection, work: Work[T]) -> T:
        with connection.transaction():
            return work(connection)

    def _may_repeat(self, connection: PostgresConnection) -> bool:
        return not self._closing.is_set()


def connect(url: str) -> PostgresConnection:
    """A new connection for one thread, whose transactions are durable once they have ended.

    OutboxRefused for a server that may lose what it took, psycopg.Error where there is none.
    """
    # The parameters go by name: the types of psycopg know only its own.
    given: dict[str, Any] = parameters(url)
    raw: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(**given, autocommit=True, prepare_threshold=None)
    try:
        raw.adapters.register_dumper(bool, _FlagDumper)
        connection = PostgresConnection(raw)
        connection.begin = transactions.write(server_check.checked(connection, without_password(url)))
    except BaseException:
        raw.close()
        raise
    return connection


@contextlib.asynccontextmanager
async def connected(url: str, thread: str) -> AsyncIterator[PostgresDatabase]:
    """A connection that writes, and the name of its thread; OutboxRefused when there is none."""
    async with _opened(PostgresDatabase(url, thread)) as database:
        yield database


@contextlib.asynccontextmanager
async def reader(url: str, thread: str) -> AsyncIterator[ReadingDatabase]:
    """A connection that only reads, and the name of its thread; OutboxRefused when there is none."""
    async with _opened(ReadingDatabase(url, thread)) as database:
        yield database


@contextlib.asynccontextmanager
async def _opened(database: Opened) -> AsyncIterator[Opened]:
    try:
        await database.open()
        yield database
    finally:
        await database.close()


def _is_lost(connection: PostgresConnection, error: psycopg.Error) -> bool:
    return connection.raw.closed or isinstance(error, _LEADS_NOWHERE)


def _again(refusal: StorageUnavailable | None) -> StorageUnavailable:
    """The same for another caller: an error that is raised twice would gather the traces of both."""
    if refusal is None:
        return StorageUnavailable("stopping", "the connection to PostgreSQL is closed")
    return StorageUnavailable(refusal.code, str(refusal))
