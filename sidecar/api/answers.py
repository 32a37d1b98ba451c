"""What the answers of conversions and adjustments have in common: alone, in a bulk answer, with warnings."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from sidecar.api.http.problem import HttpProblem
from sidecar.api.http.reply import Json
from sidecar.api.row_members import Row, number
from sidecar.core.conversion import plain_decimal
from sidecar.core.difference import FieldDifference, Shown

REPLAYED = {"Idempotent-Replayed": "true"}


class HttpAnswer(NamedTuple):
    """A good answer; a bad one is an HttpProblem."""

    status: int
    body: Json | Row


def bulk_result(index: int, answer: HttpAnswer | HttpProblem) -> Json | Row:
    """The answer of an item as one result of a bulk answer."""
    if isinstance(answer, HttpProblem):
        return {"index": index, "status": answer.kind.status, **answer.members, "errors": answer.errors}
    status, body = answer
    if isinstance(body, Row):
        return numbered(body, index, status)
    return {"index": index, "status": status, **body}


def numbered(row: Row, index: int, status: int) -> Row:
    """The row, now as one result of a bulk answer."""
    row.index, row.status = index, status
    return row


def bulk_status(rejected: int, total: int) -> int:
    """202 when nothing was refused, 422 when everything was, else 207."""
    return 202 if not rejected else 422 if rejected == total else 207


def differences_json(differences: Iterable[FieldDifference]) -> list[Json]:
    """Both values of each field, of an identifier only its name."""
    return [
        {"field": one.field, **({} if one.is_secret else {"stored": _value(one.stored), "given": _value(one.given)})}
        for one in differences
    ]


def _value(value: Shown) -> Any:
    return number(plain_decimal(value)) if isinstance(value, Decimal) else value
