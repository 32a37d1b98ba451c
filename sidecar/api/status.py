"""GET /v1/conversions and /v1/conversions/{id}: rows with their current state."""

from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web

from sidecar.api.http.problem import NO_CONVERSION, HttpProblem
from sidecar.api.http.reply import json_reply, page_reply, text
from sidecar.api.request import query as parameters
from sidecar.api.request.admission import admission_of
from sidecar.api.request.turns import in_turns
from sidecar.api.row_json import Rows
from sidecar.core.conversion import Kind
from sidecar.core.intake.problem import Refusal, listed
from sidecar.core.record import seq_of
from sidecar.core.states_and_reasons import State
from sidecar.ports.queries import Queries, Query


@dataclass(frozen=True, slots=True)
class StatusCalls:
    """Answers with rows."""

    queries: Queries
    rows: Rows

    async def get(self, request: web.Request) -> web.Response:
        """The row of that id, with its adjustments."""
        id_ = request.match_info["id"]
        seq = seq_of(Kind.CONVERSION, id_)
        record = None if seq is None else await self.queries.get(seq)
        if record is None or record.kind is not Kind.CONVERSION:
            hint = "An id looks like conv_17; GET /v1/conversions?order_id= finds it by the order."
            raise HttpProblem(NO_CONVERSION, hint)
        adjustments = await self.queries.adjustments(record.seq)
        return json_reply({**self.rows.show(record), "adjustments": [self.rows.show(each) for each in adjustments]})

    async def find(self, request: web.Request) -> web.Response:
        """Rows, newest first. A page may be short while its cursor says that there is more to look through."""
        query = read_query(request.query.items())
        async with admission_of(request).page(query.limit):
            page = await self.queries.find(query)
            rows = self.rows.of_one_answer()
            shown = await in_turns(page.records, lambda record: text(rows.show(record)))
            return page_reply(shown, parameters.to_cursor(page.next_seq))


def read_query(given: Iterable[tuple[str, str]]) -> Query:
    """The query that these parameters ask for; HttpProblem with everything that is wrong with them."""
    found = parameters.read(given, _READERS)
    return Query(before_seq=found.pop("cursor", None), **found)


_STATES = {state.value: state for state in State}


def _state(given: str) -> State:
    state = _STATES.get(given)
    if state is None:
        raise Refusal("unknown_state", f"must be one of {listed(State)}")
    return state


_READERS: parameters.Readers = {
    "order_id": parameters.text,
    "event": parameters.text,
    "state": _state,
    "account": parameters.text,
    "since": parameters.instant,
    "limit": parameters.limit,
    "cursor": parameters.cursor,
}
"""Every parameter of a list, in the words of the contract."""
