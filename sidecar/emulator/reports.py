"""GetOfflineConversionReportByGoalIds: attributed and unattributed rows, per goal and upload day.

https://learn.microsoft.com/advertising/campaign-management-service/getofflineconversionreportbygoalids
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import Any

from sidecar.emulator.admission import Caller, SlidingMinute, admit_caller
from sidecar.emulator.call import DAY_MS, Answer, Call, answer_json
from sidecar.emulator.error_bodies import FaultShape, Refused, batch_error, batch_error_body
from sidecar.emulator.goals import StoredGoal, visible_goals
from sidecar.emulator.json_rows import read_object
from sidecar.emulator.options import EmulatorOptions
from sidecar.emulator.row_fields import TICKS_PER_MS, read_flags, read_list, read_long, read_time

MAX_GOALS = 20
MAX_RANGE_MS = 7 * DAY_MS

_CHANNEL = "CampaignManagementAPI"
_CHANNELS = (_CHANNEL, "BulkAPI", "WebUpload", "Unknown", "None")

_Verdicts = Counter[str]
"""Rows by reason; the empty reason is success."""


@dataclass(frozen=True, slots=True)
class Reports:
    """The by-goal report."""

    options: EmulatorOptions
    pace: SlidingMinute

    def by_goal_ids(self, db: Connection, call: Call) -> Answer:
        """`POST OfflineConversionReport/QueryByGoalIds`."""
        caller = admit_caller(db, call, self.options, self.pace)
        fields = read_object(call.body)
        start, end = _range(fields)
        ids = [read_long({"Id": value}, "Id") for value in read_list(fields, "GoalIds") or []]
        if not 1 <= len(ids) <= MAX_GOALS:
            raise Refused("ApiInputValidationError", FaultShape.API, f"1 to {MAX_GOALS} goal ids are expected")
        channels = read_flags(fields, "UploadChannelFilter", _CHANNELS)
        is_ours = not channels or _CHANNEL in channels
        goals = {str(goal.id): goal for goal in visible_goals(db, caller)}
        found = [goals[goal_id] for goal_id in ids if goal_id in goals]
        summaries = [_summary(goal, _days(db, caller, goal, start, end) if is_ours else {}) for goal in found]
        missing = [index for index, goal_id in enumerate(ids) if goal_id not in goals]
        errors = [batch_error_body(batch_error(index, "InvalidConversionGoalId")) for index in missing]
        return answer_json({"OfflineGoalConversionSummaries": summaries, "PartialErrors": errors})


def _range(fields: Mapping[str, Any]) -> tuple[int, int]:
    """First and last instant in Unix milliseconds."""
    start, end = read_time(fields, "StartDateUtc"), read_time(fields, "EndDateUtc")
    if start is None or end is None:
        raise Refused("NullParameter", FaultShape.API, "StartDateUtc and EndDateUtc are needed")
    first, last = start.ticks // TICKS_PER_MS, end.ticks // TICKS_PER_MS
    if not first <= last <= first + MAX_RANGE_MS:
        raise Refused("ApiInputValidationError", FaultShape.API, "the range must be 0 to 7 days")
    return first, last


def _days(db: Connection, caller: Caller, goal: StoredGoal, start: int, end: int) -> dict[int, _Verdicts]:
    """Verdicts by upload day; a day counts when it touches the range."""
    rows = db.execute(
        "SELECT day, reason, count FROM verdicts "
        "WHERE goal_id = ? AND account_id = ? AND day > ? AND day <= ? ORDER BY day",
        (goal.id, caller.account_id, start - DAY_MS, end),
    )
    days: dict[int, _Verdicts] = {}
    for day, reason, count in rows:
        days.setdefault(day, _Verdicts())[reason] += count
    return days


def _summary(goal: StoredGoal, days: Mapping[int, _Verdicts]) -> dict[str, Any]:
    """Overall counts are 64-bit, thus text; daily ones are plain numbers."""
    overall = sum(days.values(), _Verdicts())
    success, unattributed = _split(overall)
    return {
        "GoalId": str(goal.id),
        "ConversionName": goal.body["Name"],
        "OverallSuccessCount": str(success),
        "OverallUnattributedCount": str(unattributed),
        "OverallSuccessRate": _rate(success, unattributed),
        "OverallAlerts": _alerts(overall),
        "DailySummaries": [_day(goal, day, verdicts) for day, verdicts in days.items()],
    }


def _day(goal: StoredGoal, day: int, verdicts: _Verdicts) -> dict[str, Any]:
    success, unattributed = _split(verdicts)
    return {
        "GoalId": str(goal.id),
        "UploadDate": datetime.fromtimestamp(day / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "SuccessCount": success,
        "UnattributedCount": unattributed,
        "SuccessRate": _rate(success, unattributed),
        "Alerts": _alerts(verdicts),
    }


def _split(verdicts: _Verdicts) -> tuple[int, int]:
    return verdicts[""], verdicts.total() - verdicts[""]


def _rate(success: int, unattributed: int) -> float:
    total = success + unattributed
    return round(success / total, 6) if total else 0.0


def _alerts(verdicts: _Verdicts) -> list[dict[str, str]]:
    return [{"UnattributedReason": reason, "Count": str(count)} for reason, count in verdicts.items() if reason]
