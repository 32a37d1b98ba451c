"""A PostgreSQL server of the tests' own, shared by all workers of a run, and an empty database for each that asks.

The server starts when the first test asks for it. It runs as a user without rights, since it refuses to run as root.
"""

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from leash_kit import RunFolder

FOLDER = "SIDECAR_TEST_POSTGRES"
"""The variable of the environment that names the run's folder to its workers."""

SETTINGS = {
    "max_connections": 400,
    "shared_buffers": "64MB",
    "full_page_writes": "off",  # no test pulls the plug of this machine
    "autovacuum": "off",  # of many small databases, none of which lives long
    "log_min_messages": "fatal",
    "dynamic_shared_memory_type": "mmap",  # with the data: a killed server leaves none behind
    "unix_socket_directories": "''",
}

MEMORY_BYTES = 2 * 2**30
"""What some hundred small databases may take."""

TEMPLATE = "sidecar_template"
"""A database with the tables of the newest schema: a copy takes a third of the time that the migrations do."""


_folders: list[RunFolder] = []
"""The folder that this process has made."""

_free: list[str] = []
"""Databases of this worker that were given back."""


def binaries() -> Path | None:
    """Where Debian puts the newest server; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def prepare() -> None:
    """Name the folder of this run's servers, in the process that starts the workers."""
    if FOLDER not in os.environ and binaries() is not None:
        folder = RunFolder(_in_memory(), "postgres-")
        if os.geteuid() == 0:
            shutil.chown(folder.path, "postgres", "postgres")
        os.environ[FOLDER] = str(folder.path)
        _folders.append(folder)


def _in_memory() -> Path | None:
    """A file system in memory, where there is one with room: a container may have 64 MiB."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() and shutil.disk_usage(shared).free > MEMORY_BYTES else None


def finish() -> None:
    """End all servers that tests have started, and remove what they kept."""
    for folder in _folders:
        del os.environ[FOLDER]
        folder.remove()
    _folders.clear()


def run_folder() -> Path:
    """Where servers of this run have their data; they end with the run, however that ends."""
    return Path(os.environ[FOLDER])


def server_url() -> str:
    """The address of the run's server, without a database; started by the first that asks."""
    folder = run_folder()
    with _locked(folder / "lock"):
        port = folder / "port"
        if not port.exists():
            number = _start(folder)
            port.write_text(str(number))
        return f"postgresql://sidecar@127.0.0.1:{port.read_text()}"


def empty_database(more: str = "") -> str:
    """The URL of a new database without tables; `more` are words of CREATE DATABASE."""
    return _create(more)


def database_with_tables(fill: Callable[[str], None]) -> str:
    """The URL of a database with the tables that `fill` made in the first one, as they were then."""
    if _free:
        return _free.pop()
    url = server_url()
    made = run_folder() / "template"
    with _locked(made.with_suffix(".lock")):
        if not made.exists():
            with psycopg.connect(f"{url}/postgres", autocommit=True) as db:
                db.execute(f"CREATE DATABASE {TEMPLATE}")
            fill(f"{url}/{TEMPLATE}")
            with psycopg.connect(f"{url}/{TEMPLATE}", autocommit=True) as db:
                db.execute("CREATE SCHEMA at_first")
                for table in _tables(db):
                    db.execute(f"CREATE TABLE at_first.{table} AS TABLE {table}")  # type: ignore[call-overload]
            made.touch()
    return _create(f"TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")


def give_back(url: str) -> None:
    """Keep a database with tables for the next test that asks: half the work of a new one."""
    restore(url)
    _free.append(url)


def restore(url: str) -> None:
    """Make a database with tables as it was at first; every other connection to it is cut off."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s", _own(db))
        db.execute("DROP FUNCTION IF EXISTS sidecar_moved CASCADE")  # and the triggers of a move
        tables = _tables(db)
        again = "; ".join(f"INSERT INTO {table} SELECT * FROM at_first.{table}" for table in tables)
        db.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY; {again}")  # type: ignore[call-overload]


def _tables(db: psycopg.Connection[tuple[str]]) -> list[str]:
    return [row[0] for row in db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]


def _own(db: psycopg.Connection[tuple[str]]) -> tuple[str, int]:
    return db.info.dbname, db.info.backend_pid


def _create(more: str) -> str:
    url, name = server_url(), f"t{uuid.uuid4().hex}"
    with psycopg.connect(f"{url}/postgres", autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name} {more}")  # type: ignore[call-overload]
    return f"{url}/{name}"


def drop(url: str) -> None:
    """Remove a database, also while others are connected to it."""
    server, _, name = url.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as db:
        db.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[call-overload]


def run_as_server(command: str, *arguments: str) -> None:
    """Run one of the server's commands as the user that it belongs to."""
    folder = binaries()
    assert folder is not None
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryFile("w+") as output:  # not a pipe: the server keeps what its starter was given
        done = subprocess.run([*user, str(folder / command), *arguments], stdout=output, stderr=output, cwd="/")
        output.seek(0)
        assert done.returncode == 0, f"{command}: {output.read()}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _start(folder: Path) -> int:
    data, port = folder / "data", free_port()
    run_as_server("initdb", "-D", str(data), "-U", "sidecar", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
    options = " ".join(f"-c {name}={value}" for name, value in {**SETTINGS, "port": port}.items())
    run_as_server("pg_ctl", "start", "-D", str(data), "-w", "-s", "-l", str(folder / "log"), "-o", options)
    return port


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
