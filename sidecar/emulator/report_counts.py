"""Stores how many rows of a goal were attributed in each hour, and how many were not, by reason."""

from collections import Counter
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

from sidecar.emulator.call import DAY_MS, HOUR_MS

Counts = Counter[tuple[int, str]]
"""Rows by goal id and reason."""

ATTRIBUTED = ""
"""The reason of a row that counts."""

API_CHANNEL = "CampaignManagementAPI"
CHANNELS = (API_CHANNEL, "BulkAPI", "WebUpload", "Unknown")

_ADD = """
    INSERT INTO report_counts (goal_id, account_id, hour, channel, reason, count) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET count = count + excluded.count
"""

_BY_DAY = f"""
    SELECT hour / {DAY_MS} * {DAY_MS} AS day, reason, sum(count) AS rows FROM report_counts
    WHERE goal_id = ? AND account_id = ? AND hour >= ? AND hour < ? AND hour <= ? AND instr(?, channel)
    GROUP BY day, reason HAVING rows <> 0 ORDER BY day, reason
"""  # noqa: S608 - a number of milliseconds

_ALL_DAYS = f"""
    SELECT goal_id, account_id, hour / {DAY_MS} * {DAY_MS} AS day, channel, reason, sum(count) AS rows
    FROM report_counts GROUP BY 1, 2, day, channel, reason ORDER BY day, 1, 2, channel, reason
"""  # noqa: S608 - a number of milliseconds


def add_counts(db: Connection, account_id: str, at: int, counts: Counts, channel: str = API_CHANNEL) -> None:
    """Adds rows, or takes some away, in the hour of `at`."""
    hour = at // HOUR_MS * HOUR_MS
    rows = [(goal_id, account_id, hour, channel, reason, count) for (goal_id, reason), count in counts.items() if count]
    db.executemany(_ADD, rows)


def counts_by_day(
    db: Connection, goal_id: int, account_id: str, *, days: tuple[int, int], until: int, channels: Sequence[str]
) -> dict[int, Counter[str]]:
    """Rows by day and reason, of the days that begin within `days`, as far as they arrived by `until`."""
    first, last = days
    values = (goal_id, account_id, first, last + DAY_MS, until, " ".join(channels))
    found: dict[int, Counter[str]] = {}
    for day, reason, rows in db.execute(_BY_DAY, values):
        found.setdefault(day, Counter())[reason] = rows
    return found


def all_days(db: Connection) -> list[dict[str, Any]]:
    """Every count by goal, account, day and channel, oldest day first."""
    items: dict[tuple[Any, ...], dict[str, Any]] = {}
    for goal_id, account_id, day, channel, reason, rows in db.execute(_ALL_DAYS):
        names = {"goal_id": goal_id, "account_id": account_id, "day": day, "channel": channel}
        item = items.setdefault(tuple(names.values()), {**names, "attributed": 0, "unattributed": {}})
        if reason == ATTRIBUTED:
            item["attributed"] = rows
        else:
            item["unattributed"][reason] = rows
    return list(items.values())
