"""The begin of a move: whether the target may take it, whether an earlier run left off, and the marks on both sides."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from sidecar.core.instant import UnixMillis
from sidecar.ports.errors import MoveFailed
from sidecar.store.moving.end import MoveEnd
from sidecar.store.moving.progress import MoveProgress
from sidecar.store.moving.refusals import same_place
from sidecar.store.moving.transfer import Transfer
from sidecar.store.sql import move_marks, visitors
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.move_marks import MoveMark

_ENVIRONMENT = "SELECT value FROM facts WHERE name = 'environment'"

_FACTS_OF_ALL = ("environment", "visitor_key", *move_marks.NAMES)
"""Facts that a new outbox has, or that are about a move."""


def begun(source: MoveEnd, target: MoveEnd, tables: Sequence[Transfer], new_id: str, now: UnixMillis) -> MoveMark:
    """The mark of the move in the source: an earlier run's where it can go on, else a new one and an empty target."""
    leaving = move_marks.read_mark(source.db, move_marks.MOVING_TO)
    arriving = move_marks.read_mark(target.db, move_marks.MOVING_FROM)
    new = MoveMark(new_id, _identity(source), target.label, now)
    _refuse_other_move(source, target, arriving, new)
    if leaving is not None and arriving is not None and leaving.id == arriving.id:
        return leaving
    _refuse_other_environment(source, target)
    if arriving is None:
        _refuse_used(target, tables)
    names = [one.table for one in tables]
    with source.transaction():
        move_marks.put_mark(source.db, move_marks.MOVING_TO, new)
    _refuse_same_place(source, target, new)
    with source.transaction():
        source.freeze([name for name in names if name != "facts"])
    source.refuse_in_use()
    _empty(target, names, replace(new, other=source.label))
    return new


def _empty(target: MoveEnd, tables: Sequence[str], mark: MoveMark) -> None:
    """Make the target ready for rows; what is left of an earlier try goes."""
    missing = MoveProgress.read(target.db).indexes
    with target.transaction():
        target.empty(tables)
        indexes = [*missing, *target.drop_indexes(tables)]
        move_marks.put_mark(target.db, move_marks.MOVING_FROM, mark)
        MoveProgress(indexes=indexes).write(target.db)


def _identity(source: MoveEnd) -> str:
    """What tells outboxes apart and goes over: a digest of the secret that each gets when it is made."""
    [key] = source.db.execute(visitors.KEY).fetchone()
    return sha256(key.encode()).hexdigest()[:16]


def _refuse_other_move(source: MoveEnd, target: MoveEnd, arriving: MoveMark | None, new: MoveMark) -> None:
    if part := move_marks.read_mark(source.db, move_marks.MOVING_FROM):
        raise MoveFailed(f"{source.label} is a part of {part.other}, from a move that has not ended: end that first")
    if arriving is not None and arriving.outbox != new.outbox:
        raise MoveFailed(
            f"{target.label} has a part of {arriving.other}, from a move that has not ended: go on with that move, or "
            "give an empty database"
        )
    if gone := move_marks.read_mark(target.db, move_marks.MOVED_TO):
        raise MoveFailed(
            f"{target.label} was moved to {gone.other} and keeps its old rows: give an empty database, or see "
            "docs/moving.md, The way back"
        )


def _refuse_other_environment(source: MoveEnd, target: MoveEnd) -> None:
    """Rows for the emulator must never reach real accounts, nor the reverse."""
    ours, theirs = _environment(source.db), _environment(target.db)
    if ours is None:
        raise MoveFailed(f"{source.label} holds nothing yet: no sidecar ever started there. Check --from")
    if theirs not in (None, ours):
        raise MoveFailed(
            f"{target.label} is for microsoft.environment '{theirs}', and {source.label} is for '{ours}': give an "
            "empty database"
        )


def _environment(db: SqlConnection) -> str | None:
    found = db.execute(_ENVIRONMENT).fetchone()
    return found[0] if found else None


def _refuse_used(target: MoveEnd, tables: Sequence[Transfer]) -> None:
    used = [f"{rows:,} in {name}" for name, rows in ((one.table, _used(target.db, one)) for one in tables) if rows]
    if used:
        raise MoveFailed(
            f"{target.label} is not empty ({', '.join(used)} …), and rows of two outboxes cannot be merged: give an "
            "empty database or a new file"
        )


def _used(db: SqlConnection, transfer: Transfer) -> int:
    """How many rows a table has that a new outbox has not; where there are some, at least one."""
    if transfer.table == "facts":
        names = [name for (name,) in db.execute("SELECT name FROM facts").fetchall()]
        return len(set(names).difference(_FACTS_OF_ALL))
    if transfer.table == "counts":
        return int(db.execute("SELECT coalesce(sum(rows), 0) FROM counts").fetchone()[0])
    return transfer.pages.count(db)


def _refuse_same_place(source: MoveEnd, target: MoveEnd, mark: MoveMark) -> None:
    """The source's mark must not be seen in the target: two URLs may lead to one database."""
    if move_marks.read_mark(target.db, move_marks.MOVING_TO) != mark:
        return
    with source.transaction():
        move_marks.remove_mark(source.db, move_marks.MOVING_TO)
    raise same_place(source.label)
