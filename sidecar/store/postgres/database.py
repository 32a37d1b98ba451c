"""Connections to the server, each on a thread of its own that runs whole functions."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import psycopg
from psycopg.types.numeric import IntDumper

from sidecar.store.postgres.connection import PostgresConnection
from sidecar.system.thread_names import name_thread

T = TypeVar("T")

CONNECT_SECONDS = 5


class _FlagDumper(IntDumper):
    """A flag as the tables have it: 1 or 0."""

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


class PostgresDatabase:
    """A connection on its own thread; opened again when it was lost."""

    def __init__(self, url: str, thread: str, options: str) -> None:
        self._url = url
        self._options = options
        self._thread = ThreadPoolExecutor(1, thread, initializer=name_thread, initargs=(thread,))
        self._connection: PostgresConnection | None = None

    async def call(self, work: Callable[[PostgresConnection], T]) -> T:
        """The result of `work(connection)`, run on the connection's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._call, work)

    def _call(self, work: Callable[[PostgresConnection], T]) -> T:
        connection = self._connection
        if connection is None or connection.raw.closed:
            connection = self._connection = self._open()
        return work(connection)

    def _open(self) -> PostgresConnection:
        return connect(self._url, self._options)

    async def close(self) -> None:
        def close() -> None:
            if self._connection is not None:
                self._connection.raw.close()

        await asyncio.get_running_loop().run_in_executor(self._thread, close)
        self._thread.shutdown()


def connect(url: str, options: str = "") -> PostgresConnection:
    """A new connection for one thread."""
    raw: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(
        url, autocommit=True, connect_timeout=CONNECT_SECONDS, options=options, prepare_threshold=None
    )
    raw.adapters.register_dumper(bool, _FlagDumper)
    return PostgresConnection(raw)


@contextlib.asynccontextmanager
async def connected(url: str, thread: str, options: str = "") -> AsyncIterator[PostgresDatabase]:
    """A connection to the server, and the name of its thread."""
    database = PostgresDatabase(url, thread, options)
    try:
        yield database
    finally:
        await database.close()


__all__ = ["PostgresDatabase", "connect", "connected"]
