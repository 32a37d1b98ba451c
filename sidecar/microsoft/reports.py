"""Encodes and decodes the by-goal report. Pure, like `wire`: any bytes decode to an answer.

What cannot be read is left out and named as an oddity, and the rest of the answer counts.
https://learn.microsoft.com/advertising/campaign-management-service/getofflineconversionreportbygoalids
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sidecar.core.answer import Lost, RefusedBatch
from sidecar.core.entry import Fault
from sidecar.core.goal_days import day_of_date, text_of_day
from sidecar.core.instant import DAY_SECONDS, UnixSeconds
from sidecar.core.report import GoalReport, ReportCall, ReportedDay
from sidecar.core.unattributed import reasons_of
from sidecar.microsoft.json_values import id_of, line_of
from sidecar.microsoft.reply import Error, HttpReply
from sidecar.microsoft.wire import refusal, refusal_in

QUERY = "/CampaignManagement/v13/OfflineConversionReport/QueryByGoalIds"

NO_SUCH_GOAL = ("invalidconversiongoalid", 5314)
"""The error of a goal that does not exist any more."""

NO_DAYS = Fault("NoDailySummaries", None, "Microsoft counted rows of the goal, and gave no days")
"""The made-up fault of a goal whose counts belong to no day."""

MOST_ODDITIES = 5
"""What is named of one answer; the rest is a number."""

LARGEST_COUNT = 10**12

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}).*)?", re.ASCII)


def encode_report(call: ReportCall) -> bytes:
    """The request. The last day ends with its last second, so that no reader of the range takes an eighth day.

    Rows of every upload count, by API, by file and by hand: rows that were handed over in a file are ours too, and a
    count above what was sent shows that others upload to the goal.
    """
    body = {
        "StartDateUtc": f"{text_of_day(call.first)}T00:00:00Z",
        "EndDateUtc": f"{text_of_day(call.last)}T23:59:59Z",
        "GoalIds": list(call.goal_ids),
        "UploadChannelFilter": None,
    }
    return json.dumps(body).encode("ascii")


def decode_report(reply: HttpReply, call: ReportCall) -> GoalReport | RefusedBatch | Lost:
    """The counts of the goals and days that were asked for.

    Errors beside goals concern the goals that they name; errors without any goal are a refusal.
    """
    if (refused := refusal(reply)) is not None:
        return refused
    document = reply.document or {}
    listed, errors = document.get("OfflineGoalConversionSummaries", ""), reply.errors("PartialErrors")
    if not listed and errors and not all(_is_gone(error.fault) for error in errors):
        return refusal_in(reply, errors)
    if not isinstance(listed, list | None) and not (listed == "" and errors):
        return Lost(f"HTTP {reply.status} without a report", reply.tracking_id)
    reading = _ReadReport(call)
    for item in listed or ():
        reading.take_summary(item)
    reading.take_errors(errors)
    return reading.report()


@dataclass(slots=True)
class _ReadReport:
    """What was read of an answer so far."""

    call: ReportCall
    days: dict[tuple[str, UnixSeconds], ReportedDay] = field(default_factory=dict)
    failed: dict[str, Fault] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    odd: dict[str, None] = field(default_factory=dict)

    def report(self) -> GoalReport:
        """Everything, without the days of goals that failed."""
        named, left = list(self.odd)[:MOST_ODDITIES], len(self.odd) - MOST_ODDITIES
        oddities = [*named, f"{left} more"] if left > 0 else named
        days = [day for day in self.days.values() if day.goal_id not in self.failed]
        return GoalReport(days, self.failed, oddities)

    def take_summary(self, item: object) -> None:
        """Read one goal of the answer."""
        goal_id = id_of(item.get("GoalId")) if isinstance(item, dict) else None
        if not isinstance(item, dict) or goal_id not in self.call.goal_ids:
            self.odd["a goal that was not asked for"] = None
            return
        self.seen.add(goal_id)
        listed = item.get("DailySummaries")
        if not isinstance(listed, list):
            if _counts_rows(item) or listed is not None:
                self.failed[goal_id] = NO_DAYS
            return
        for day in listed:
            self.take_day(goal_id, day)

    def take_day(self, goal_id: str, item: object) -> None:
        """Read one day of a goal. Two lines of one day are added up: they may be of two channels."""
        fields = item if isinstance(item, dict) else {}
        day = _day(fields.get("UploadDate"))
        if day is None:
            self.odd[f"goal {goal_id}: a day named {_shown(fields.get('UploadDate'))}"] = None
        elif day not in self.call.days:
            self.odd[f"goal {goal_id}: {text_of_day(day)}, which was not asked for"] = None
        elif (counted := self._counted(goal_id, day, fields)) is not None:
            before = self.days.get((goal_id, day))
            self.days[goal_id, day] = _added(before, counted) if before else counted

    def _counted(self, goal_id: str, day: UnixSeconds, fields: Mapping[str, Any]) -> ReportedDay | None:
        given = [fields.get("SuccessCount"), fields.get("UnattributedCount")]
        counts = [_count(0 if value is None else value) for value in given]
        if None in counts or given == [None, None]:
            self.odd[f"goal {goal_id}: counts of {text_of_day(day)}: {', '.join(map(_shown, given))}"] = None
            return None
        reasons = list(self._reasons(goal_id, day, fields.get("Alerts")))
        return ReportedDay(goal_id, day, counts[0] or 0, counts[1] or 0, reasons_of(reasons))

    def _reasons(self, goal_id: str, day: UnixSeconds, alerts: object) -> Iterator[tuple[str, int]]:
        for alert in alerts if isinstance(alerts, list) else []:
            fields = alert if isinstance(alert, dict) else {}
            rows = _count(fields.get("Count"))
            if rows is None:
                self.odd[f"goal {goal_id}: a reason of {text_of_day(day)}: {_shown(fields.get('Count'))}"] = None
            else:
                yield _shown(fields.get("UnattributedReason")), rows

    def take_errors(self, errors: Sequence[Error]) -> None:
        """Note which goals failed; an error without a goal concerns those of which the answer says nothing."""
        missing = [goal_id for goal_id in self.call.goal_ids if goal_id not in self.seen]
        for error in errors:
            index = error.index
            is_named = index is not None and 0 <= index < len(self.call.goal_ids)
            concerned = [self.call.goal_ids[index]] if is_named and index is not None else missing
            self.failed |= dict.fromkeys(concerned, error.fault)
            if not concerned:
                self.odd[f"an error of no goal: {error.fault.error}"] = None
        for goal_id in [goal_id for goal_id, fault in self.failed.items() if _is_gone(fault)]:
            del self.failed[goal_id]
            self.odd[f"goal {goal_id}: Microsoft has none of this id"] = None


def _is_gone(fault: Fault) -> bool:
    symbol, number = NO_SUCH_GOAL
    return fault.error.casefold() == symbol or fault.error_code == number


def _counts_rows(item: Mapping[str, Any]) -> bool:
    return any(
        _count(item.get(name)) != 0 for name in ("OverallSuccessCount", "OverallUnattributedCount") if name in item
    )


def _added(one: ReportedDay, other: ReportedDay) -> ReportedDay:
    reasons = reasons_of([*one.reasons.items(), *other.reasons.items()])
    attributed, unattributed = one.attributed + other.attributed, one.unattributed + other.unattributed
    return ReportedDay(one.goal_id, one.day, attributed, unattributed, reasons)


def _day(value: object) -> UnixSeconds | None:
    """The day that a date names. Microsoft writes it "in local time" and does not say whose.

    So the nearest midnight counts: a UTC midnight that was moved by less than twelve hours is that of its day.
    https://learn.microsoft.com/advertising/campaign-management-service/dailysummary
    """
    found = _DATE.fullmatch(value) if isinstance(value, str) and len(value) <= 64 else None
    if found is None:
        return None
    year, month, day, hour = (int(part or 0) for part in found.groups())
    try:
        named = day_of_date(date(year, month, day))
    except ValueError:
        return None
    return UnixSeconds(named + DAY_SECONDS) if hour >= 12 else named


def _count(value: object) -> int | None:
    """A whole number from 0, as number or as text: Microsoft writes 64-bit numbers as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = str(value).strip()
    if len(text) > 15 or not re.fullmatch(r"[0-9]+(?:\.0+)?", text, re.ASCII):
        return None
    return min(int(text.partition(".")[0]), LARGEST_COUNT)


def _shown(value: object) -> str:
    """A value of the answer as a short text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    return line_of(value, 64) or "nothing readable"
