"""Pages of rows as answers. Reasons of accounts and goals are known here, and narrow lists here."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiohttp import web

from sidecar.api.http.reply import encode, page_reply
from sidecar.api.request import query as parameters
from sidecar.api.request.admission import admission_of
from sidecar.api.request.turns import in_turns
from sidecar.api.row_json import Rows
from sidecar.core.intake.problem import Refusal, listed
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State
from sidecar.ports.queries import Page, Queries, Query

MAX_READS = 3
"""How many pages of the store one answer looks through for a reason; then it ends short, with a cursor."""

_STATES: Mapping[str, State] = {state.value: state for state in State}


def state(given: str) -> State:
    """The state of that name; raises Refusal with the known ones."""
    found = _STATES.get(given)
    if found is None:
        raise Refusal("unknown_state", f"must be one of {listed(State)}")
    return found


@dataclass(frozen=True, slots=True)
class RowPages:
    """Answers with pages of rows."""

    queries: Queries
    rows: Rows

    async def answer(self, request: web.Request, query: Query) -> web.Response:
        """Rows, newest first. A page may be short while its cursor says that there is more to look through."""
        async with admission_of(request).page(parameters.MAX_LIMIT if query.reason else query.limit):
            rows = self.rows.of_one_answer()
            page = await self._with_reason(query, rows) if query.reason else await self.queries.find(query)
            shown = await in_turns(page.records, lambda record: encode(rows.show(record)))
            return page_reply(shown, parameters.to_cursor(page.next_seq))

    async def _with_reason(self, query: Query, rows: Rows) -> Page:
        """The rows that are shown with the reason of the query."""
        found: list[Record] = []
        before = query.before_seq
        for _ in range(MAX_READS):
            page = await self.queries.find(replace(query, before_seq=before, limit=parameters.MAX_LIMIT))
            reasons = await in_turns(page.records, lambda record: rows.reason_and_trouble(record)[0])
            pairs = zip(page.records, reasons, strict=True)
            found += [record for record, reason in pairs if reason == query.reason]
            before = page.next_seq
            if before is None or len(found) >= query.limit:
                break
        if len(found) > query.limit:
            return Page(tuple(found[: query.limit]), found[query.limit - 1].seq)
        return Page(tuple(found), before)
