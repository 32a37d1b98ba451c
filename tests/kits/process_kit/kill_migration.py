"""Starts the sidecar so that it kills itself before the NUMBER-th statement of a migration; 0 lets it through.

`kill_migration.py FILE NUMBER SCHEMA sidecar ...`: each statement that is begun leaves a line in FILE, and the steps of
the schema are those in the folder SCHEMA.
"""

import os
import signal
import sqlite3
import sys
from pathlib import Path

from sidecar.cli import main
from sidecar.store.sqlite import migrations


def tap(trace: str, number: int) -> None:
    migrate, begun = migrations.migrate, 0
    file = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def begin(statement: str) -> None:
        nonlocal begun
        begun += 1
        os.write(file, f"{' '.join(statement.split())[:100]}\n".encode())
        if begun == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def tapped(db: sqlite3.Connection) -> None:
        db.set_trace_callback(begin)
        migrate(db)
        db.set_trace_callback(None)

    migrations.migrate = tapped


if __name__ == "__main__":
    migrations.SCHEMA = Path(sys.argv[3])
    tap(sys.argv[1], int(sys.argv[2]))
    main(sys.argv[5:], prog_name="sidecar")
