"""Files as an outbox leaves them, and what bad disks, half copies and careless hands make of them."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

SECTOR, PAGE = 512, 4_096
_ROWS = """
    SELECT seq, kind, account, event, content, order_id, time, value, currency, msclkid, email_sha256, phone_sha256
    FROM entries JOIN lanes ON lanes.id = entries.lane ORDER BY seq"""

Rows = list[tuple[object, ...]]


def rows_of(folder: Path) -> Rows:
    """What a caller gave, of every row, as a reader finds it."""
    with closing(sqlite3.connect(f"file:{folder / 'outbox.db'}?mode=ro", uri=True)) as db:
        return db.execute(_ROWS).fetchall()


@dataclass(frozen=True)
class Snapshot:
    """Everything beside each other that a sidecar left, when it ended as `name` says."""

    name: str
    folder: Path
    rows: Rows

    def copy_to(self, folder: Path) -> None:
        folder.mkdir()
        for file in self.folder.iterdir():
            shutil.copyfile(file, folder / file.name)

    @property
    def has_log(self) -> bool:
        log = self.folder / "outbox.db-wal"
        return log.exists() and log.stat().st_size > 0


def snapshot(name: str, source: Path, target: Path) -> Snapshot:
    """What lies in `source` while no process runs there; the files that only a running process needs stay behind."""
    target.mkdir()
    for file in source.glob("outbox.db*"):
        if not file.name.endswith(("-shm", ".lock")):
            shutil.copyfile(file, target / file.name)
    shutil.copytree(target, verified := target.with_name(f"{target.name}-rows"))
    return Snapshot(name, target, rows_of(verified))


def _overwrite(file: Path, start: int, with_: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(with_)


def _flip(file: Path, chance: random.Random, first: int, end: int) -> None:
    """Up to eight bytes in a row become others."""
    start = chance.randrange(first, end)
    content = file.read_bytes()[start : min(end, start + chance.randint(1, 8))]
    _overwrite(file, start, bytes(byte ^ chance.randint(1, 255) for byte in content))


def _sector(file: Path, chance: random.Random) -> None:
    start = chance.randrange(file.stat().st_size // SECTOR) * SECTOR
    _overwrite(file, start, chance.randbytes(SECTOR))


def _pages(file: Path) -> int:
    return file.stat().st_size // PAGE


def _zero_page(file: Path, chance: random.Random) -> None:
    _overwrite(file, chance.randrange(_pages(file)) * PAGE, bytes(PAGE))


def _swap_pages(file: Path, chance: random.Random) -> None:
    content = file.read_bytes()
    one, other = (number * PAGE for number in chance.sample(range(_pages(file)), 2))
    _overwrite(file, one, content[other : other + PAGE])
    _overwrite(file, other, content[one : one + PAGE])


def _cut(file: Path, chance: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: chance.randrange(len(content))])


def _empty(file: Path, chance: random.Random) -> None:
    file.write_bytes(b"")


def _garbage(file: Path, chance: random.Random) -> None:
    file.write_bytes(chance.randbytes(file.stat().st_size))


def _remove(file: Path, chance: random.Random) -> None:
    file.unlink()


Harm = Callable[[Path, random.Random], None]

TO_THE_FILE: dict[str, Harm] = {
    "bytes of the header": lambda file, chance: _flip(file, chance, 0, 100),
    "a sector": _sector,
    "a page of zeros": _zero_page,
    "two pages swapped": _swap_pages,
    "cut short": _cut,
    "empty": _empty,
    "garbage": _garbage,
    "removed": _remove,
}
TO_THE_LOG: dict[str, Harm] = {
    "bytes of the log's header": lambda file, chance: _flip(file, chance, 0, 32),
    "bytes of the log": lambda file, chance: _flip(file, chance, 32, file.stat().st_size),
    "a sector of the log": _sector,
    "log cut short": _cut,
    "log empty": _empty,
    "log of garbage": _garbage,
    "log removed": _remove,
}


def harm(folder: Path, number: int) -> str:
    """Damage what lies in `folder`, each number in its own way, the kinds in turn; the kind."""
    chance = random.Random(number)
    log = folder / "outbox.db-wal"
    file = folder / "outbox.db"
    kinds = [(name, file, how) for name, how in TO_THE_FILE.items() if how is not _swap_pages or _pages(file) > 1]
    if log.exists() and log.stat().st_size:
        kinds += [(name, log, how) for name, how in TO_THE_LOG.items()]
    name, file, how = kinds[number % len(kinds)]
    how(file, chance)
    return name
