"""Why a move does not go on, for an operator: what several modules say."""

from collections.abc import Sequence

from sidecar.ports.errors import MoveFailed
from sidecar.store.moving.end import Row


def stopped(error: Exception) -> MoveFailed:
    """What a database said, and that nothing is lost by it."""
    return MoveFailed(
        f"the move stopped: {' '.join(str(error).split())}. What was copied stays. See that both databases can be "
        "reached and have room, and run this again: it goes on from there"
    )


def same_place(label: str) -> MoveFailed:
    """Two URLs lead to one outbox."""
    return MoveFailed(f"--from and --to lead to the same outbox, {label}: give another place in --to")


def refuse_nul(table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """MoveFailed for the first text with a NUL character, which PostgreSQL has not. Intake and Microsoft give none."""
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            if isinstance(value, str) and "\0" in value:
                raise MoveFailed(
                    f"the move stopped: {column} of {table} has a NUL character where {columns[0]} is {row[0]!r}, and "
                    "PostgreSQL stores none. Nothing is left out in silence: give that row another text with "
                    "`sqlite3`, and run this again"
                )
