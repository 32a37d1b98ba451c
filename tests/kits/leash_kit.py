"""What a run starts ends with it, also where the run is killed: processes, and PostgreSQL servers with their folder.

A server detaches itself from its starter, so a guard ends it: a shell that waits until the run's end of a pipe closes.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

SETPRIV = shutil.which("setpriv")

LEASH = [SETPRIV, "--pdeathsig", "KILL"] if SETPRIV else []
"""Before a command: the kernel ends it once the thread that started it is gone."""

POSTGRES_LEASH = [*LEASH, *("--reuid=postgres", "--regid=postgres", "--clear-groups")] if os.geteuid() == 0 else LEASH
"""The same, as a user without rights."""

HELD = "run"
"""A file that a run holds a lock on for as long as it lives."""

SWEEP = r"""
for file in "$1"/data/postmaster.pid "$1"/*/data/postmaster.pid; do
    [ -f "$file" ] || continue
    server=$(head -n 1 "$file")
    kill -QUIT "$server"; kill -CONT "$server"
    for look in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill -0 "$server" || continue 2
        sleep 0.5
    done
    kill -KILL "$server"
done 2>/dev/null
rm -rf "$1"
"""
"""Ends the servers whose data lie in a folder, at once, as a crash would; then removes it."""

GUARD = f"read -r until_the_end\n{SWEEP}"


class RunFolder:
    """A folder of the run, and the guard that sweeps it at the end."""

    def __init__(self, above: Path | None, prefix: str) -> None:
        sweep_leftovers(above or Path(tempfile.gettempdir()), prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=above))
        self._lock = _held(self.path)
        command = ["sh", "-c", GUARD, "guard", str(self.path)]
        self._guard = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def remove(self) -> None:
        """End what is in it, and remove it."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait(60)
        self._lock.close()


def sweep_leftovers(above: Path, prefix: str) -> None:
    """Remove the folders of runs that are gone, where even their guard was killed."""
    for folder in above.glob(f"{prefix}*"):
        with contextlib.suppress(FileNotFoundError, PermissionError), _lock_of_a_dead_run(folder / HELD) as is_dead:
            if is_dead:
                subprocess.run(["sh", "-c", SWEEP, "sweep", str(folder)], check=True, timeout=60)


@contextlib.contextmanager
def _lock_of_a_dead_run(file: Path) -> Iterator[bool]:
    with file.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _held(folder: Path) -> IO[str]:
    """The lock, under its name only once it is held: nothing sweeps a folder without it."""
    opened = (folder / "new").open("w")
    fcntl.flock(opened, fcntl.LOCK_EX)
    (folder / "new").rename(folder / HELD)
    return opened
