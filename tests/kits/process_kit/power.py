"""Power cuts: a process runs with a library preloaded that notes what was fsynced; a cut leaves that, and no more.

Or, as disks do, that and any of the blocks that were written since.
"""

import contextlib
import random
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path

from process_kit.preloaded import compiled
from process_kit.running import Starter

SUFFIXES = ("", "-wal")
BLOCK = 512
"""What a disk writes whole, or not at all."""


@dataclass(frozen=True)
class Power:
    """The outbox `database` of a process that runs with `env`, and the folder with what of it was fsynced."""

    database: Path
    library: Path
    shadow: Path

    @property
    def env(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self.library),
            "POWER_LOSS_FILE": str(self.database),
            "POWER_LOSS_SHADOW": str(self.shadow),
        }

    def cut(self, chance: random.Random | None = None) -> None:
        """Leave of the files what was fsynced, and with a `chance` some of the blocks that were written since.

        The process must be dead. What is left then is on disk for good.
        """
        left = {suffix: self._left(suffix, chance) for suffix in SUFFIXES}
        self.database.with_name(f"{self.database.name}-shm").unlink(missing_ok=True)
        shutil.rmtree(self.shadow)
        self.shadow.mkdir()
        for suffix, content in left.items():
            file = Path(f"{self.database}{suffix}")
            file.unlink(missing_ok=True)
            if content is not None:
                file.write_bytes(content)
                self._fsynced(suffix).write_bytes(content)
                self._named(suffix).touch()

    def _left(self, suffix: str, chance: random.Random | None) -> bytes | None:
        """The content of one file; None where it has no name."""
        file, fsynced = Path(f"{self.database}{suffix}"), self._fsynced(suffix)
        if not self._named(suffix).exists() and (chance is None or chance.random() < 0.5):
            return None
        certain = fsynced.read_bytes() if fsynced.exists() else b""
        if chance is None or not file.exists():
            return certain
        return _mixed(certain, file.read_bytes(), chance)

    def _fsynced(self, suffix: str) -> Path:
        return self.shadow / f"database{suffix}"

    def _named(self, suffix: str) -> Path:
        return self.shadow / f"database{suffix}.named"


def _mixed(certain: bytes, written: bytes, chance: random.Random) -> bytes:
    """Each block either as it was fsynced, or as it was written since; the longer file's end may be missing."""
    length = chance.choice((len(certain), len(written)))
    share = chance.random()
    mixed = bytearray(length)
    for start in range(0, length, BLOCK):
        source = written if chance.random() < share else certain
        block = source[start : start + BLOCK]
        mixed[start : start + len(block)] = block[: length - start]
    return bytes(mixed[:length])


async def power(starter: Starter, database: str = "outbox.db") -> Power:
    """Power for an outbox of that name in the starter's folder, which does not exist yet."""
    shadow = starter.folder / "fsynced"
    shadow.mkdir()
    return Power(starter.folder.resolve() / database, await compiled("power_loss", starter.folder), shadow)


def order_ids(database: Path) -> set[str]:
    """What a copy of the file holds, after its integrity was checked; nothing where no row was ever fsynced.

    The process must be dead: file and log that change between the two copies do not belong together.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "verified.db"
        for suffix in SUFFIXES:
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{database}{suffix}", f"{copy}{suffix}")
        with contextlib.closing(sqlite3.connect(copy)) as opened:
            assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            tables = {name for (name,) in opened.execute("SELECT name FROM sqlite_schema")}
            found = opened.execute("SELECT order_id FROM entries") if "entries" in tables else ()
            return {order_id for (order_id,) in found}
