"""GET /v1/verdicts: what Microsoft made of the rows that it took, by goal and day of their upload."""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import date

from aiohttp import web

from sidecar.api.http.reply import Json, encode, page_reply
from sidecar.api.request import query as parameters
from sidecar.api.request.admission import admission_of
from sidecar.api.verdict_members import NextReading, verdict_members
from sidecar.core.goal_days import DayVerdict, day_of, day_of_date
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.intake.problem import Refusal
from sidecar.ports.reports import StoredVerdicts, VerdictQuery

DEFAULT_LIMIT = 100
LONGEST_CURSOR = 4_096
"""The name of a goal is in it."""

Place = tuple[UnixSeconds, str, str]


@dataclass(frozen=True, slots=True)
class VerdictCalls:
    """Lists verdicts."""

    verdicts: StoredVerdicts
    next_reading: NextReading = lambda account: None

    async def find(self, request: web.Request) -> web.Response:
        """A page of days, the newest first; of a day by account and goal."""
        found = parameters.read(request.query.items(), _READERS)
        before, limit = found.pop("cursor", None), found.pop("limit", DEFAULT_LIMIT)
        async with admission_of(request).page(limit):
            page = await self.verdicts.find(VerdictQuery(**found, before=before, limit=limit))
            return page_reply(
                [encode(show(day, self.next_reading(day.account))) for day in page.days], _to_cursor(page.next_before)
            )


def show(day: DayVerdict, next_reading_at: UnixMillis | None) -> Json:
    """A day of a goal as JSON, in numbers and in words; the counts are zero while it was not read yet."""
    return {"account": day.account, **verdict_members(day, next_reading_at)}


def since_day(given: str) -> UnixSeconds:
    """The day of that date, or in which that instant lies."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given, re.ASCII):
        try:
            return day_of_date(date.fromisoformat(given))
        except ValueError:
            raise Refusal("invalid_time", "names a day that no calendar has") from None
    return day_of(parameters.instant(given))


def _to_cursor(place: Place | None) -> str | None:
    if place is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _cursor(given: str) -> Place:
    try:
        plain = base64.b64decode(given[:LONGEST_CURSOR] + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
        match json.loads(plain):
            case [int(day), str(account), str(goal)] if abs(day) < 2**53 and "\0" not in account + goal:
                (account + goal).encode()  # no half of a surrogate pair, which no database takes
                return UnixSeconds(day), account, goal
    except (binascii.Error, ValueError, RecursionError):
        pass
    raise Refusal("invalid_cursor", "must be the next_cursor of the page before")


_READERS: parameters.Readers = {
    "goal": parameters.text,
    "since": since_day,
    "account": parameters.text,
    "limit": parameters.limit,
    "cursor": _cursor,
}
