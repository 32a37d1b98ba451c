"""A move that ends between any two statements: never can both places start, and the next run brings it to its end."""

import contextlib
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conversion_kit import captured, orders
from instant_kit import NOW, later
from outbox_kit import TAKEN, claimed, put
from store_kit import running_store

from sidecar.ports.errors import OutboxRefused
from sidecar.store.moving.outbox_move import OutboxMove
from sidecar.store.moving.report import MoveReport
from sidecar.store.opening import glance
from sidecar.store.sqlite.move_end import SqliteMoveEnd, open_sqlite_end

LAST = 22
"""The statements of the hand-over and some before it: there a move is ended before each."""

STEP = 25
"""Before them, at every 25th."""


class Killed(BaseException):
    """The process ends."""


class Statements:
    """Counts the statements of both sides; the process ends before one of them."""

    def __init__(self, fatal: int | None = None) -> None:
        self.done, self.fatal = 0, fatal

    def count(self) -> None:
        self.done += 1
        if self.fatal is not None and self.done >= self.fatal:
            raise Killed


class Counted:
    """A connection whose statements are counted."""

    def __init__(self, db: Any, statements: Statements) -> None:
        self._db, self._statements = db, statements

    def execute(self, *given: Any) -> Any:
        self._statements.count()
        return self._db.execute(*given)

    def executemany(self, *given: Any) -> Any:
        self._statements.count()
        return self._db.executemany(*given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def moved(folder: Path, statements: Statements) -> MoveReport:
    def counted(end: SqliteMoveEnd) -> SqliteMoveEnd:
        return replace(end, db=Counted(end.db, statements))  # type: ignore[arg-type]

    with (
        open_sqlite_end(folder / "old.db", must_exist=True) as source,
        open_sqlite_end(folder / "new.db", must_exist=False) as target,
    ):
        return OutboxMove(counted(source), counted(target), lambda: NOW, lambda: f"id-{statements.fatal}").run()


def starts(path: Path) -> bool:
    """Whether a sidecar would start there."""
    try:
        glance(f"sqlite:///{path}", "emulator")
    except OutboxRefused:
        return False
    return path.exists()


def rows_in(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        found: int = db.execute("SELECT count(*) FROM entries").fetchone()[0]
    return found


@pytest.fixture
async def outbox(tmp_path: Path) -> Path:
    """The folder of an outbox with rows that are delivered, on their way, and waiting."""
    folder = tmp_path / "lived-in"
    folder.mkdir()
    async with running_store(folder / "old.db") as store:
        await store.outbox.open_lanes((("main", "purchase"), ("main", "lead")))
        await put(store.outbox, *orders(6))
        await store.outbox.settle(await claimed(store.outbox, limit=2), {}, TAKEN, NOW)
        await claimed(store.outbox, later(1), limit=2)
        await store.clicks.capture([captured()])
    return folder


async def test_move_may_end_before_any_statement(outbox: Path, tmp_path: Path) -> None:
    whole = Statements()
    expected = moved(shutil.copytree(outbox, tmp_path / "whole"), whole)
    points = [*range(1, whole.done - LAST, STEP), *range(whole.done - LAST, whole.done + 1)]
    assert len(points) > LAST + 5
    for point in points:
        folder = shutil.copytree(outbox, tmp_path / f"at-{point}")
        with pytest.raises(Killed):
            moved(folder, Statements(point))
        both = [starts(folder / "old.db"), starts(folder / "new.db") and rows_in(folder / "new.db")]
        assert both != [True, True], point
        report = moved(folder, Statements())
        assert report.was_done or (report.tables, report.states) == (expected.tables, expected.states), point
        assert rows_in(folder / "new.db") == rows_in(folder / "old.db") == 6
        assert [starts(folder / name) for name in ("old.db", "new.db")] == [False, True], point
        shutil.rmtree(folder)
