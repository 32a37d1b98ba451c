"""The items in a body: one, or an array of up to a thousand. Reading an item is left to `core.intake`."""

from typing import NamedTuple

from sidecar.api.http.problem import TOO_MANY, HttpProblem, invalid
from sidecar.api.request.body import parse_body
from sidecar.core.intake.problem import Problem

MAX_ITEMS = 1_000

KEY_HEADER = "Idempotency-Key"


class SingleRequest(NamedTuple):
    """One object, with the key that the header gives it."""

    item: object
    key: str | None

    @property
    def items(self) -> list[object]:
        """The object, as the only item."""
        return [self.item]


class BulkRequest(NamedTuple):
    """An array of items; each of them is read on its own."""

    items: list[object]


Received = SingleRequest | BulkRequest


def read_items(body: bytes, key: str | None) -> Received:
    """The items in `body`, whose request has `key` as its Idempotency-Key; HttpProblem when it holds none."""
    match value := parse_body(body):
        case dict():
            return SingleRequest(value, key)
        case list():
            _check_array(value, key)
            return BulkRequest(value)
        case _:
            raise invalid([Problem("", "not_an_object", "the body must be an object or an array of objects")])


def _check_array(items: list[object], key: str | None) -> None:
    if len(items) > MAX_ITEMS:
        raise HttpProblem(TOO_MANY, f"It has {len(items)} items; at most {MAX_ITEMS} go into one request.")
    problems = []
    if not items:
        problems.append(Problem("", "empty_array", "the array must have at least one item"))
    if key is not None:
        message = "goes with a single object only; in an array give each item its order_id"
        problems.append(Problem(KEY_HEADER, "key_on_array", message))
    if problems:
        raise invalid(problems)
