"""How far a move has come: a fact in the target, written in the transactions that bring the rows."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from sidecar.store.moving.row_pages import TablePages
from sidecar.store.sql import move_marks
from sidecar.store.sql.connection import SqlConnection

_READ = "SELECT value FROM facts WHERE name = ?"
_PUT = "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


@dataclass(slots=True)
class MoveProgress:
    """The last key of each table that came over, and how many rows; tables that are complete; indexes to be made."""

    last: dict[str, list[Any]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    complete: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, db: SqlConnection) -> "MoveProgress":
        """As the target has it; nothing yet where it has none."""
        found = db.execute(_READ, (move_marks.PROGRESS,)).fetchone()
        return cls(**json.loads(found[0])) if found else cls()

    def came(self, pages: TablePages, page: list[Any]) -> None:
        """One more page of a table was inserted."""
        self.last[pages.table] = pages.key_of(page[-1])
        self.rows[pages.table] = self.rows.get(pages.table, 0) + len(page)

    def write(self, db: SqlConnection) -> None:
        """Write it down; part of the transaction that inserts."""
        db.execute(_PUT, (move_marks.PROGRESS, json.dumps(asdict(self))))
