"""What was delivered to each goal, by day and kind: each settlement changes one line, and none for a row."""

from sidecar.core.conversion import Kind
from sidecar.core.goal_days import day_of
from sidecar.core.instant import UnixMillis
from sidecar.store.sql.connection import SqlConnection

ADD = """
    INSERT INTO sent_days (account, goal, day, kind, rows) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (account, goal, day, kind) DO UPDATE SET rows = sent_days.rows + excluded.rows"""


def add_sent(db: SqlConnection, account: str, goal: str, kind: Kind, rows: int, at: UnixMillis) -> None:
    """Count `rows` that were delivered at `at`; part of the caller's transaction, which holds the account."""
    if rows:
        db.execute(ADD, (account, goal, day_of(at), kind.value, rows))
