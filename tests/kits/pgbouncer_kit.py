"""pgbouncer before the tests' PostgreSQL server: each transaction may get another connection to it.

What a session has (settings, locks, prepared statements, LISTEN) is discarded at the end of each transaction.

https://www.pgbouncer.org/features.html lists what does not survive that.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from leash_kit import POSTGRES_LEASH
from postgres_kit import free_port, run_folder
from postgres_server_kit import wait_for

INSTALLED = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")

CONNECTIONS = 2
"""Connections to the server, which all clients share; fewer than one replica has."""


@contextlib.contextmanager
def pooled(url: str) -> Iterator[str]:
    """The URL of the same database by way of a pooler that gives out connections for one transaction each."""
    assert INSTALLED is not None, "pgbouncer is not installed"
    server = urlsplit(url)
    folder, port = Path(tempfile.mkdtemp(prefix="pgbouncer-", dir=run_folder())), free_port()
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port} user=sidecar\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = transaction\ndefault_pool_size = {CONNECTIONS}\n"
        "server_round_robin = 1\nserver_reset_query = DISCARD ALL\nserver_reset_query_always = 1\n"
    )
    if os.geteuid() == 0:
        for each in (folder, settings):
            shutil.chown(each, "postgres", "postgres")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*POSTGRES_LEASH, INSTALLED, str(settings)], stdout=log, stderr=log)
    through = f"postgresql://sidecar@127.0.0.1:{port}{server.path}"
    try:
        wait_for(lambda: _answers(through))
        yield through
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
