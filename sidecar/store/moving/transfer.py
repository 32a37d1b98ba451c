"""What of each table goes over: the columns and the key that both sides have, as their catalogues say."""

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.ports.errors import MoveFailed
from sidecar.store.moving.end import MoveEnd, TableShape
from sidecar.store.moving.row_pages import TablePages
from sidecar.store.sql import move_marks

LEFT_BEHIND = ("commits", "leases", "replicas", "lease_changes", "changes", "sidecar_schema")
"""Tables about the file or about running processes, and not about what is in the outbox."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One table on both sides, and whether its rows are numbered by the database."""

    table: str
    pages: TablePages
    is_numbered: bool


def transfers(source: MoveEnd, target: MoveEnd) -> tuple[Transfer, ...]:
    """One for each table; MoveFailed where the target has no place for something that the source has."""
    return tuple(_transfers(source, target))


def _transfers(source: MoveEnd, target: MoveEnd) -> Iterator[Transfer]:
    places = {shape.name: shape for shape in target.shapes()}
    for shape in sorted(source.shapes(), key=lambda one: one.name != "facts"):
        if shape.name in LEFT_BEHIND:
            continue
        if shape.name not in places:
            raise _no_place(target, f"table {shape.name}")
        yield _transfer(shape, places[shape.name], target)


def _transfer(shape: TableShape, place: TableShape, target: MoveEnd) -> Transfer:
    for column in shape.columns:
        if column not in place.columns:
            raise _no_place(target, f"column {column} of {shape.name}")
    for column in place.columns:
        if column not in shape.columns and column not in place.optional:
            raise _no_place(target, f"rows of {shape.name} without {column}")
    left_out = move_marks.NAMES if shape.name == "facts" else ()
    return Transfer(shape.name, TablePages(shape.name, shape.columns, shape.key, left_out), shape.is_numbered)


def _no_place(target: MoveEnd, what: str) -> MoveFailed:
    return MoveFailed(
        f"{target.label} has no place for {what}: its tables are of another version of the sidecar. Give an empty "
        "database, which gets the tables of this version, or run the newest version"
    )
