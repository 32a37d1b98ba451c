"""A PostgreSQL server of a trial's own: durable, on the same disk as SQLite's files, watched from outside."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg

from bench.started import TICKS_PER_SECOND
from bench.store import NOW, lanes_opened
from sidecar.core.instant import DAY_SECONDS

SETTINGS = {
    "max_connections": 60,
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "dynamic_shared_memory_type": "mmap",  # a killed server leaves none behind
    "unix_socket_directories": "''",
}
"""What an owner of a small server would set; commits are durable by default."""

FILL = """
    INSERT INTO entries (lane, state, key_hash, key_digest, content, order_id, time, time_given, value, currency,
        msclkid, email_sha256, request_id, received_at, due_at)
    SELECT %(lane)s, 'pending', hashint8extended(n, 1), md5(n::text), md5((n + 1)::text), 'FILL-' || n,
        %(at)s / 1000 - n %% 500000, 1, '9.99', 'USD', lpad(to_hex(n), 32, '0'),
        md5(n::text || 'e') || md5(n::text || 'm'), 'bench', %(at)s + n / 1000, %(at)s + n / 1000
    FROM generate_series(CAST(%(first)s AS bigint), CAST(%(last)s AS bigint)) AS n"""

COUNTED = """
    UPDATE counts SET rows = rows + %s WHERE ctid = (SELECT min(ctid) FROM counts WHERE state = 'pending')"""

INDEXES = """
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid = 'entries'::regclass AND NOT indisprimary"""

_names = count(1)


@dataclass(frozen=True)
class Postgres:
    """The server, seen from outside."""

    url: str
    """Without a database."""
    pid: int

    def database(self) -> str:
        """The URL of a new one."""
        name = f"bench{next(_names)}"
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}")
        return f"{self.url}/{name}"

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)


def cpu_seconds(pid: int) -> float:
    """What the server's processes have used, also those that have ended."""
    used = sum(_fields(Path(f"/proc/{pid}/stat"))[11:15])
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                used += sum(_fields(Path(f"/proc/{child}/stat"))[11:13])
    return used / TICKS_PER_SECOND


def _fields(stat: Path) -> list[int]:
    """From the third on, the state; as numbers."""
    return [int(field) if field.lstrip("-").isdigit() else 0 for field in stat.read_text().rpartition(")")[2].split()]


def is_installed() -> bool:
    return bool(_binaries())


@contextlib.contextmanager
def server() -> Iterator[Postgres]:
    """Start one, and remove it with everything in it."""
    folder = Path(tempfile.mkdtemp(prefix="bench-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        _run("initdb", "-D", str(folder / "data"), "-U", "sidecar", "-A", "trust", "-E", "UTF8", "--locale=C", "-k")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        options = " ".join(f"-c {name}={value}" for name, value in {**SETTINGS, "port": port}.items())
        _run("pg_ctl", "start", "-D", str(folder / "data"), "-w", "-s", "-l", str(folder / "log"), "-o", options)
        try:
            pid = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
            yield Postgres(f"postgresql://sidecar@127.0.0.1:{port}", pid)
        finally:
            _run("pg_ctl", "stop", "-D", str(folder / "data"), "-m", "immediate", "-s")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> list[Path]:
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return sorted((path.parent for path in found), key=lambda path: int(path.parts[-2]))


def _run(command: str, *arguments: str) -> None:
    """One of the server's commands, as its user: it refuses to run as root."""
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryFile("w+") as output:  # not a pipe: the server keeps what its starter was given
        path = str(_binaries()[-1] / command)
        done = subprocess.run([*user, path, *arguments], stdout=output, stderr=output, cwd="/", timeout=300)
        output.seek(0)
        assert done.returncode == 0, f"{command}: {output.read()}"


MANY = 100_000
"""Rows at a time for which it is quicker to create the indexes again afterwards."""


def filled(url: str, rows: int, *lanes: tuple[str, str]) -> None:
    """Put a number of pending rows of yesterday into each lane, an event of an account."""
    lanes_opened(url, *lanes)
    with psycopg.connect(url, autocommit=True) as db:
        indexes = db.execute(INDEXES).fetchall() if rows >= MANY else []
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")  # type: ignore[call-overload]
        for number, (event, account) in enumerate(lanes):
            lane = db.execute("SELECT id FROM lanes WHERE event = %s AND account = %s", (event, account)).fetchone()
            assert lane is not None
            first, last = number * rows + 1, (number + 1) * rows
            db.execute(FILL, {"first": first, "last": last, "lane": lane[0], "at": NOW - DAY_SECONDS * 1000})
        for _, statement in indexes:
            db.execute(statement)
        db.execute(COUNTED, (rows * len(lanes),))
        db.execute("VACUUM ANALYZE entries")
        db.execute("CHECKPOINT")
