"""Verifies that a file is as it was left: its end complete, nothing in it damaged. Never writes to the database.

SQLite takes a damaged or missing write-ahead log for one that ended earlier, and an empty file for a new database. So
the number of the last commit is written to a small file beside the outbox too.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sidecar.ports.errors import OutboxRefused
from sidecar.store.sqlite import sliced_check
from sidecar.store.sqlite.database import reader
from sidecar.store.sqlite.outbox_file import claim_file, fsync, not_opened, quoted
from sidecar.store.sqlite.sqlite_errors import code_of, is_damage, unusable

CHECKED_FIRST_BYTES = 64 * 2**20
"""Up to this size the whole file is checked before it is used, within a second; a larger one beside the work.

SQLite's integrity_check took 8 to 12 ms a MiB (measured on machines with two cores).
"""

_READ_COMMITS = "SELECT number FROM commits"
_HAS_COMMITS = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'commits')"
_CHECK = "PRAGMA integrity_check(1)"


@dataclass(slots=True)
class LastCommit:
    """The number of the last commit, in the file `handle` is open on.

    It is written after the commit is fsynced, and not fsynced itself: it outlasts the process, and after a power cut it
    is behind at most.
    """

    handle: int

    def note(self, number: int) -> None:
        """Commit `number` is on disk. A failure leaves an older number, which says less, but nothing wrong."""
        with contextlib.suppress(OSError):
            os.pwrite(self.handle, b"%020d\n" % number, 0)

    def note_damage(self, detail: str) -> None:
        """Make the next start refuse the file."""
        with contextlib.suppress(OSError):
            os.pwrite(self.handle, f"damaged: {detail}\n".encode(), _LINE)
            os.fsync(self.handle)


_LINE = 21
"""Bytes of the first line."""


@contextlib.contextmanager
def last_commit(path: Path) -> Iterator[LastCommit]:
    """The file beside the outbox `path`, for as long as that is open."""
    try:
        handle = os.open(_beside(path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise not_opened(_beside(path), error) from error
    try:
        yield LastCommit(handle)
        with contextlib.suppress(OSError):
            os.fsync(handle)
            fsync(path.parent)
    finally:
        os.close(handle)


@contextlib.contextmanager
def verified(path: Path) -> Iterator[None]:
    """Verify the outbox `path` as it was left, and claim it; OutboxRefused when something is missing or damaged.

    Open it within: when that is refused for another reason, the file stays as it is. The last connection to close moves
    the write-ahead log into the file and deletes it, unless it can only read. Where there is no log, nothing is held:
    an immutable connection closes its handle at once, and with it would end the locks of those that came after.
    """
    noted, damage = _noted(path)
    if damage:
        raise _refused(path, damage)
    is_new = not path.exists() or (path.is_file() and not path.stat().st_size)
    if is_new:
        _verify_empty(path, noted)
    claim_file(path)
    if is_new:
        yield
    elif _has_log(path):
        with contextlib.closing(_verified(path, noted)):
            yield
    else:
        _verified(path, noted).close()
        yield


def _verified(path: Path, noted: int) -> sqlite3.Connection:
    db = sqlite3.connect(_reading(path), uri=True, timeout=5, check_same_thread=False)
    try:
        _verify_end(path, noted, _commits(db))
        if _is_small(path):
            _verify_whole(path, db)
    except sqlite3.DatabaseError as error:
        db.close()
        raise (unusable(path, error) if _is_about_access(error) else _refused(path, str(error))) from error
    except OutboxRefused:
        db.close()
        raise
    return db


def _is_about_access(error: sqlite3.DatabaseError) -> bool:
    """Whether it is about other programs or permissions, and not about the content of the file."""
    return code_of(error) & 0xFF in (
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN),
        *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH),
    )


def _verify_whole(path: Path, db: sqlite3.Connection) -> None:
    [verdict] = db.execute(_CHECK).fetchone()
    if verdict != "ok":
        raise _refused(path, " ".join(str(verdict).split()))


async def check_beside_work(path: Path, last: LastCommit, damaged: Callable[[Exception], None]) -> None:
    """Check a file that was too large to be checked before it was used; calls `damaged` when something is wrong."""
    if _is_small(path):
        return
    async with reader(path, "check") as database:
        try:
            found = await sliced_check.damage(database)
        except asyncio.CancelledError:
            await database.interrupt()
            raise
        except sqlite3.Error as error:
            if not is_damage(error):  # the disk does not read, which says nothing against the file
                damaged(error)
                return
            found = str(error)
    if found is not None:
        refused = _refused(path, found)
        last.note_damage(str(refused))
        damaged(refused)


def _is_small(path: Path) -> bool:
    return path.stat().st_size <= CHECKED_FIRST_BYTES


def _reading(path: Path) -> str:
    """How to open it without leaving a trace beside it, where there is no write-ahead log to be read."""
    return f"file:{quoted(path)}?mode=ro{'' if _has_log(path) else '&immutable=1'}"


def _has_log(path: Path) -> bool:
    log = Path(f"{path}-wal")
    return log.exists() and log.stat().st_size > 0


def _verify_empty(path: Path, noted: int) -> None:
    if noted or _has_log(path):
        raise _refused(path, "it is missing or empty, though something was written to it")


def _verify_end(path: Path, noted: int, commits: int) -> None:
    if commits < noted:
        raise _refused(
            path, f"it ends with transaction {commits} of {noted}, so {path.name}-wal is missing, cut short or damaged"
        )


def _commits(db: sqlite3.Connection) -> int:
    if not db.execute(_HAS_COMMITS).fetchone()[0]:
        return 0
    number: int = db.execute(_READ_COMMITS).fetchone()[0]
    return number


def _noted(path: Path) -> tuple[int, str]:
    """What is known of the last commit, 0 if nothing is, and the damage that was found before, if any was."""
    try:
        first, _, rest = _beside(path).read_bytes().partition(b"\n")
    except FileNotFoundError:
        return 0, ""
    except OSError as error:
        raise not_opened(_beside(path), error) from error
    number = int(first) if len(first) == _LINE - 1 and first.isdigit() else 0
    return number, rest.decode("utf-8", "replace").removeprefix("damaged: ").strip("\0\n ")


def _beside(path: Path) -> Path:
    return Path(f"{path}.last")


def _refused(path: Path, detail: str) -> OutboxRefused:
    return OutboxRefused(
        f"the outbox {path} is damaged: {detail}. It was left as it is. Keep a copy of {path} and of all files "
        "beside it whose names begin so. Then bring back what is missing, or a backup (docs/operating.md, Backups), or "
        f"try `sqlite3 {path} .recover`, or name another file in storage.url. To go on with what is there, remove "
        f"{_beside(path).name}"
    )
