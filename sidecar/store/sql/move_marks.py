"""Facts that a move leaves on both sides: they keep a sidecar from starting where conversions would be sent twice.

While rows are copied the source has `moving_to` and the target `moving_from`. At the end the source gets `moved_to`
first, and then the target `moved_from`: at no moment could a sidecar start on both.
"""

import json
from dataclasses import asdict, dataclass

from sidecar.core.instant import UnixMillis
from sidecar.ports.errors import OutboxRefused
from sidecar.store.sql.connection import SqlConnection

MOVING_TO, MOVED_TO = "moving_to", "moved_to"
MOVING_FROM, MOVED_FROM = "moving_from", "moved_from"

PROGRESS = "move_progress"
"""How far the move has come, in its target."""

NAMES = (MOVING_TO, MOVED_TO, MOVING_FROM, MOVED_FROM, PROGRESS)
"""These facts are about the place, and stay there."""

_READ = "SELECT value FROM facts WHERE name = ?"
_PUT = "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_REMOVE = "DELETE FROM facts WHERE name = ?"


@dataclass(frozen=True, slots=True)
class MoveMark:
    """One move: its id, the other side as people name it, without a password, and when it began or ended."""

    id: str
    outbox: str
    """What is moved: the same wherever it lies."""
    other: str
    at: UnixMillis


def read_mark(db: SqlConnection, name: str) -> MoveMark | None:
    """The mark of that name, if there is one."""
    found = db.execute(_READ, (name,)).fetchone()
    return MoveMark(**json.loads(found[0])) if found else None


def put_mark(db: SqlConnection, name: str, mark: MoveMark) -> None:
    """Write a mark; part of the caller's transaction."""
    db.execute(_PUT, (name, json.dumps(asdict(mark))))


def remove_mark(db: SqlConnection, name: str) -> bool:
    """Remove the mark of that name: whether there was one. Who comes second waits for the one who came first."""
    return db.execute(_REMOVE, (name,)).rowcount > 0


def refuse_moved(db: SqlConnection, label: str) -> None:
    """OutboxRefused where a move has ended elsewhere, or has not ended here; `label` names this outbox."""
    if gone := read_mark(db, MOVED_TO):
        raise OutboxRefused(
            f"the outbox {label} was moved to {gone.other}, and a start here would send conversions twice: name "
            "the new place in storage.url. To go back instead, see docs/moving.md, The way back"
        )
    if unfinished := read_mark(db, MOVING_FROM):
        raise OutboxRefused(
            f"the outbox {label} is not complete: a move from {unfinished.other} has not ended. Run the same "
            "`sidecar migrate` again, which goes on where it stopped, or go on with the old storage.url"
        )


def begin_work(db: SqlConnection, label: str) -> None:
    """A sidecar starts here: a move away has to begin from the start, and one to here can no longer be undone.

    OutboxRefused for a move that has ended just now: it either lacks its mark, or is seen here.
    """
    remove_mark(db, MOVING_TO)
    remove_mark(db, MOVED_FROM)
    refuse_moved(db, label)
