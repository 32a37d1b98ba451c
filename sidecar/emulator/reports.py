"""GetOfflineConversionReportByGoalIds: attributed and unattributed rows, per goal and upload day.

https://learn.microsoft.com/advertising/campaign-management-service/getofflineconversionreportbygoalids
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import Any

from sidecar.emulator.admission import SlidingMinute, admit_caller
from sidecar.emulator.call import DAY_MS, HOUR_MS, Answer, BatchError, Call
from sidecar.emulator.clicks import read_attribution
from sidecar.emulator.error_bodies import FaultShape, Refused, batch_error, partial_answer
from sidecar.emulator.faults import OddReport
from sidecar.emulator.goal_rules import GOAL_TYPE
from sidecar.emulator.goals import StoredGoal, visible_goals
from sidecar.emulator.json_rows import read_object
from sidecar.emulator.options import EmulatorOptions
from sidecar.emulator.report_counts import ATTRIBUTED, CHANNELS, counts_by_day
from sidecar.emulator.row_fields import TICKS_PER_MS, read_flags, read_list, read_long, read_time

MAX_GOALS = 20
MAX_RANGE_MS = 7 * DAY_MS

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
        channels = read_flags(fields, "UploadChannelFilter", (*CHANNELS, "None")) or CHANNELS
        goals = {str(goal.id): goal for goal in visible_goals(db, caller) if goal.type == GOAL_TYPE}
        errors = [_errors(call, index, goals.get(goal_id or "")) for index, goal_id in enumerate(ids)]
        until = call.at - read_attribution(db).report_delay_hours * HOUR_MS

        def days(goal: StoredGoal) -> Mapping[int, _Verdicts]:
            return counts_by_day(db, goal.id, caller.account_id, days=(start, end), until=until, channels=channels)

        found = [goals[goal_id or ""] for goal_id, wrong in zip(ids, errors, strict=True) if not wrong]
        summaries = [_summary(goal, days(goal)) for goal in found]
        return partial_answer({"OfflineGoalConversionSummaries": summaries}, errors)


def odd_report(action: OddReport, answer: Answer) -> Answer:
    """The answer of a report in the scripted form; one that has no report is as it is."""
    body = json.loads(answer.body)
    if "OfflineGoalConversionSummaries" not in body:
        return answer
    nulls = dict.fromkeys(("OverallAlerts", "DailySummaries"))
    lines = [line | nulls for line in body["OfflineGoalConversionSummaries"]] if action.form == "nulls" else []
    return replace(answer, body=json.dumps(body | {"OfflineGoalConversionSummaries": lines}).encode())


def _errors(call: Call, index: int, goal: StoredGoal | None) -> list[BatchError]:
    """The errors of the goal at `index`: the scripted ones, else that there is no such offline goal."""
    planned = call.planned.errors_of(index, goal.body["Name"] if goal else "") if call.planned else []
    return planned or ([] if goal else [batch_error(index, "InvalidConversionGoalId")])


def _range(fields: Mapping[str, Any]) -> tuple[int, int]:
    """The first and last day that touch the range, in Unix milliseconds."""
    start, end = read_time(fields, "StartDateUtc"), read_time(fields, "EndDateUtc")
    if start is None or end is None:
        raise Refused("NullParameter", FaultShape.API, "StartDateUtc and EndDateUtc are needed")
    first, last = start.ticks // TICKS_PER_MS, end.ticks // TICKS_PER_MS
    if not first <= last <= first + MAX_RANGE_MS:
        raise Refused("ApiInputValidationError", FaultShape.API, "the range must be 0 to 7 days")
    return first // DAY_MS * DAY_MS, last // DAY_MS * DAY_MS


def _summary(goal: StoredGoal, days: Mapping[int, _Verdicts]) -> dict[str, Any]:
    """Overall counts are 64-bit, thus text; daily ones are plain numbers."""
    overall = _Verdicts()  # `+` of two counters would leave out what is below 0
    for verdicts in days.values():
        overall.update(verdicts)
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
    return verdicts[ATTRIBUTED], verdicts.total() - verdicts[ATTRIBUTED]


def _rate(success: int, unattributed: int) -> float:
    total = success + unattributed
    return round(success / total, 6) if total > 0 else 0.0


def _alerts(verdicts: _Verdicts) -> list[dict[str, str]]:
    reasons = ((reason, count) for reason, count in verdicts.items() if reason != ATTRIBUTED)
    return [{"UnattributedReason": reason, "Count": str(count)} for reason, count in reasons]
