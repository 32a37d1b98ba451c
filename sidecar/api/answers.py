"""What the answers of conversions and adjustments have in common: alone, in a bulk answer, with warnings."""

from collections.abc import Iterable
from dataclasses import asdict
from decimal import Decimal
from typing import Any, NamedTuple

from sidecar.api.http.problem import HttpProblem, errors_of
from sidecar.api.http.reply import Json
from sidecar.api.row_members import number
from sidecar.core.conversion import plain_decimal
from sidecar.core.difference import FieldDifference, Shown
from sidecar.core.intake.problem import Warning_

REPLAYED = {"Idempotent-Replayed": "true"}


class HttpAnswer(NamedTuple):
    """A good answer; a bad one is an HttpProblem."""

    status: int
    body: Json


def bulk_result(index: int, answer: HttpAnswer | HttpProblem) -> Json:
    """The answer of an item as one result of a bulk answer."""
    if isinstance(answer, HttpAnswer):
        return {"index": index, "status": answer.status, **answer.body}
    return {"index": index, "status": answer.kind.status, **answer.members, "errors": errors_of(answer.errors)}


def bulk_status(rejected: int, total: int) -> int:
    """202 when nothing was refused, 422 when everything was, else 207."""
    return 202 if not rejected else 422 if rejected == total else 207


def warnings_json(warnings: Iterable[Warning_]) -> list[Json]:
    """Warnings as the answer lists them."""
    return [asdict(warning) for warning in warnings]


def differences_json(differences: Iterable[FieldDifference]) -> list[Json]:
    """Both values of each field, of an identifier only its name."""
    return [
        {"field": one.field, **({} if one.is_secret else {"stored": _value(one.stored), "given": _value(one.given)})}
        for one in differences
    ]


def _value(value: Shown) -> Any:
    return number(plain_decimal(value)) if isinstance(value, Decimal) else value
