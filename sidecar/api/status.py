"""GET /v1/conversions and /v1/conversions/{id}: rows with their current state."""

from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web

from sidecar.api.http.problem import NO_CONVERSION, HttpProblem
from sidecar.api.http.reply import json_reply
from sidecar.api.request import query as parameters
from sidecar.api.row_json import Rows
from sidecar.api.row_pages import RowPages, state
from sidecar.core.conversion import Kind
from sidecar.core.intake import fields
from sidecar.core.record import seq_of
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
        row = self.rows.show(record)
        row.adjustments = [self.rows.show(each) for each in await self.queries.adjustments(record.seq)]
        return json_reply(row)

    async def find(self, request: web.Request) -> web.Response:
        """Rows, newest first. A page may be short while its cursor says that there is more to look through."""
        return await RowPages(self.queries, self.rows).answer(request, read_query(request.query.items()))


def read_query(given: Iterable[tuple[str, str]]) -> Query:
    """The query that these parameters ask for; HttpProblem with everything that is wrong with them."""
    found = parameters.read(given, _READERS)
    return Query(before_seq=found.pop("cursor", None), **found)


_READERS: parameters.Readers = {
    "order_id": parameters.text,
    "event": parameters.text,
    "state": state,
    "reason": parameters.text,
    "account": parameters.text,
    "visitor_id": fields.visitor_id,
    "msclkid": fields.click_id,
    "since": parameters.instant,
    "limit": parameters.limit,
    "cursor": parameters.cursor,
}
"""Every parameter of a list, in the words of the contract."""
