"""PostgreSQL servers that a test may stop, kill, restart and promote, with a synchronous standby beside one.

The run's own server (`postgres_kit`) belongs to all tests; what breaks a server takes one of these.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
from postgres_kit import SETTINGS, free_port, run_as_server, run_folder

DEADLINE = 60
"""Seconds for what a test waits for; only a test that fails waits so long."""


class PostgresServer:
    """A server of its own, in a folder of its own, on a port that it keeps over restarts."""

    def __init__(self, folder: Path, settings: Mapping[str, object] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.settings: dict[str, object] = {**SETTINGS, "max_connections": 60, **(settings or {})}
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def address(self) -> str:
        """As a URL has it: a host and a port."""
        return f"127.0.0.1:{self.port}"

    def url(self, database: str = "postgres", query: str = "") -> str:
        return f"postgresql://sidecar@{self.address}/{database}{query}"

    def create(self) -> None:
        """Make an empty cluster."""
        names = ("-U", "sidecar", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        run_as_server("initdb", "-D", str(self.data), *names)

    def copy_of(self, primary: "PostgresServer", name: str) -> None:
        """Become a standby of `primary`, which knows it by `name`; what this server held before is gone."""
        shutil.rmtree(self.data, ignore_errors=True)
        source = f"host=127.0.0.1 port={primary.port} user=sidecar application_name={name}"
        copied = ("-X", "stream", "-c", "fast", "--no-sync")
        run_as_server("pg_basebackup", "-d", source, "-D", str(self.data), "-R", *copied)

    def start(self) -> None:
        """Start it, and return once it takes connections."""
        options = " ".join(f"-c {name}={value}" for name, value in {**self.settings, "port": self.port}.items())
        log = str(self.folder / "log")
        run_as_server(
            "pg_ctl", "start", "-D", str(self.data), "-w", "-t", str(DEADLINE), "-s", "-l", log, "-o", options
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `smart`, `fast`, or `immediate`, which is what a crash leaves."""
        run_as_server("pg_ctl", "stop", "-D", str(self.data), "-m", mode, "-w", "-t", str(DEADLINE), "-s")

    def restart(self, mode: str = "immediate") -> None:
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """End all its processes with SIGKILL, as the loss of its machine does."""
        processes = self.processes()
        for signalled in (signal.SIGSTOP, signal.SIGKILL):  # stopped first: none may start another
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signalled)
        wait_for(lambda: not any(_lives(process) for process in processes))
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def processes(self) -> list[int]:
        """Its processes, the one that starts the others first; none when it does not run."""
        try:
            first = int((self.data / "postmaster.pid").read_text().split()[0])
            children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        except FileNotFoundError:
            return []
        return [first, *map(int, children)]

    def promote(self) -> None:
        """Make a standby the primary, and return once it takes writes."""
        run_as_server("pg_ctl", "promote", "-D", str(self.data), "-w", "-t", str(DEADLINE), "-s")

    def run(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """The rows of the last statement; each runs in a transaction of its own."""
        rows: list[tuple[object, ...]] = []
        with psycopg.connect(self.url(database), autocommit=True) as db:
            for statement in statements:
                cursor = db.execute(statement)  # type: ignore[call-overload]
                rows = cursor.fetchall() if cursor.description else []
        return rows


class ServerPair:
    """A primary, and a standby that every commit waits for. They change places with `fail_over`."""

    def __init__(self, primary: PostgresServer, standby: PostgresServer) -> None:
        self.primary, self.standby = primary, standby
        self._hosts = f"{primary.address},{standby.address}"

    def url(self, database: str = "postgres") -> str:
        """The URL with both hosts, in an order that stays."""
        return f"postgresql://sidecar@{self._hosts}/{database}?target_session_attrs=read-write"

    def join(self) -> None:
        """Make the standby a fresh copy, and let every commit of the primary wait for it from now on."""
        self.standby.copy_of(self.primary, "standby")
        self.standby.start()
        self.primary.run("ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()")
        wait_for(self.is_synchronous)

    def is_synchronous(self) -> bool:
        """Whether the primary's commits wait for the standby."""
        return self.primary.run("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'") != []

    def fail_over(self) -> None:
        """Kill the primary and promote the standby, which then is a primary alone; `join` gives it one again."""
        self.primary.kill()
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary


@contextlib.contextmanager
def running_server(**settings: object) -> Iterator[PostgresServer]:
    """A server at work, with these settings; gone afterwards."""
    with _new_server(settings) as server:
        server.create()
        server.start()
        yield server


@contextlib.contextmanager
def running_pair(**settings: object) -> Iterator[ServerPair]:
    """A primary and its synchronous standby at work; gone afterwards."""
    with running_server(**settings) as primary, _new_server(settings) as standby:
        pair = ServerPair(primary, standby)
        pair.join()
        yield pair


@contextlib.contextmanager
def _new_server(settings: Mapping[str, object]) -> Iterator[PostgresServer]:
    folder = Path(tempfile.mkdtemp(prefix="own-", dir=run_folder()))
    server = PostgresServer(folder, settings)
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def wait_for(condition: Callable[[], object]) -> None:
    """Return once the condition holds; an AssertionError when it does not in time."""
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.02)
