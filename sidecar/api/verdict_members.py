"""Microsoft's verdict on a goal and day as JSON: the counts, and what they say in words."""

from collections.abc import Callable
from dataclasses import dataclass

from sidecar.api.http.reply import Json
from sidecar.core.goal_days import DayVerdict, day_of, text_of_day
from sidecar.core.instant import UnixMillis, text_or_none
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State
from sidecar.core.verdict_words import ReasonLine, day_words, differences, reason_lines
from sidecar.ports.reports import StoredVerdicts, VerdictQuery

NextReading = Callable[[str], UnixMillis | None]
"""When the reports of an account are read next; None where that is not known."""


@dataclass(frozen=True, slots=True)
class DayVerdicts:
    """Finds the verdict on the day on which a row was delivered."""

    stored: StoredVerdicts
    next_reading: NextReading = lambda account: None

    async def of(self, record: Record) -> Json | None:
        """What Microsoft made of the rows of that goal and day; None where the row is not delivered."""
        if record.state is not State.DELIVERED or record.goal is None or record.settled_at is None:
            return None
        day = day_of(record.settled_at)
        query = VerdictQuery(record.account, record.goal, since=day, before=(day, "", ""), limit=1)
        found = (await self.stored.find(query)).days
        return verdict_members(found[0], self.next_reading(record.account)) if found else None


def verdict_members(day: DayVerdict, next_reading_at: UnixMillis | None) -> Json:
    """A day with its counts, a sentence, each reason with its advice, and why other rows were counted than sent."""
    return {
        "goal": day.goal,
        "day": text_of_day(day.day),
        "attributed": day.attributed,
        "unattributed": day.unattributed,
        "reasons": dict(day.reasons),
        "sent": day.sent.rows,
        "read_at": text_or_none(day.read_at),
        "next_reading_at": text_or_none(next_reading_at),
        "message": day_words(day, next_reading_at),
        "differences": list(differences(day)),
        "advice": [reason_member(line) for line in reason_lines(day.reasons)],
    }


def reason_member(line: ReasonLine) -> Json:
    """Rows with one reason, and what to do about it."""
    return {"reason": line.reason, "rows": line.rows, "words": line.words, "message": line.meaning, "fix": line.advice}
