"""GET /v1/series: how many conversions each period brought, in a state or all, for charts."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from sidecar.api.http.problem import invalid
from sidecar.api.http.reply import Json, json_reply
from sidecar.api.overview import values
from sidecar.api.request import query as parameters
from sidecar.core.conversion import Kind
from sidecar.core.entry import Lane
from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds, seconds, text_of_seconds
from sidecar.core.intake.problem import Problem, Refusal, listed
from sidecar.core.states_and_reasons import State
from sidecar.core.tally import HOUR_SECONDS, Tally, first_hourly, period_start, total
from sidecar.ports.queries import Queries, Tallies

MAX_ITEMS = 1_000

RECEIVED = "received"
NAMES: Mapping[str, State | None] = {RECEIVED: None, **{state.value: state for state in State}}
"""The series that there are, with the state that each counts; None for all."""

_UNITS = {"h": HOUR_SECONDS, "d": DAY_SECONDS}


@dataclass(frozen=True, slots=True)
class SeriesCalls:
    """Answers with figures over time."""

    tallies: Tallies
    queries: Queries
    now: Callable[[], UnixMillis]

    async def get(self, request: web.Request) -> web.Response:
        """The rows of each period since a moment, by their state now."""
        found = parameters.read(request.query.items(), _READERS)
        if "name" not in found:
            raise invalid([Problem("name", "required", f"must be one of {listed(NAMES)}")])
        now = seconds(self.now())
        since, step = _since_and_step(found, now)
        lanes = {lane.id for lane in await self.queries.lanes() if _fits(lane, found)}
        state = NAMES[found["name"]]
        tallies = [
            tally
            for tally in await self.tallies.by_period(since, step)
            if tally.lane in lanes and state in (None, tally.state)
        ]
        return json_reply({"name": found["name"], "step_seconds": step, "items": _items(tallies, since, step, now)})


def _since_and_step(found: Mapping[str, object], now: UnixSeconds) -> tuple[UnixSeconds, int]:
    """The start of the first period and the length of each. Before the days that are kept by the hour it is days."""
    since, step = found.get("since"), found.get("step", HOUR_SECONDS)
    assert isinstance(step, int)
    start = seconds(since) if isinstance(since, int) else UnixSeconds(now - DAY_SECONDS)  # type: ignore[arg-type]
    if start < first_hourly(now):
        step = -(-step // DAY_SECONDS) * DAY_SECONDS
    start = period_start(start, step)
    if (now - start) // step >= MAX_ITEMS:
        raise invalid([Problem("step", "too_many_items", f"must be longer: a series has at most {MAX_ITEMS} items")])
    return start, step


def _fits(lane: Lane, found: Mapping[str, object]) -> bool:
    wanted = found.get("account"), found.get("event")
    return lane.kind is Kind.CONVERSION and wanted[0] in (None, lane.account) and wanted[1] in (None, lane.event)


def _items(tallies: Sequence[Tally], since: UnixSeconds, step: int, now: UnixSeconds) -> list[Json]:
    """An item for each period until now, those without rows included."""
    found: dict[int, list[Tally]] = {}
    for tally in tallies:
        found.setdefault(tally.at, []).append(tally)
    return [_item(UnixSeconds(at), found.get(at, ())) for at in range(since, now + 1, step)]


def _item(at: UnixSeconds, tallies: Sequence[Tally]) -> Json:
    rows = total(tallies)
    return {"at": text_of_seconds(at), "rows": rows.rows, "value": values(rows.values)}


def _name(given: str) -> str:
    if given not in NAMES:
        raise Refusal("unknown_series", f"must be one of {listed(NAMES)}")
    return given


def _step(given: str) -> int:
    """Seconds, from a number of hours or days."""
    found = re.fullmatch(r"([1-9][0-9]{0,3})([hd])", given, re.ASCII)
    if found is None:
        raise Refusal("invalid_step", "must be a number of hours or days, such as 1h, 6h or 1d")
    return int(found[1]) * _UNITS[found[2]]


_READERS: parameters.Readers = {
    "name": _name,
    "since": parameters.instant,
    "step": _step,
    "account": parameters.text,
    "event": parameters.text,
}
"""Every parameter, in the words of the contract."""
