"""What a row costs, as the number of Python calls on its way: the same on every machine, so that a slow path shows.

Each bound lies well above what it takes today. Whoever needs more raises it on purpose, with `make bench` beside it.
"""

import sys
from collections.abc import Callable
from decimal import Decimal
from types import FrameType
from typing import Any

from sidecar.api.answers import ItemResult, fresh_members, result_text
from sidecar.api.fresh import FreshRows, Kept
from sidecar.api.row_json import Rows
from sidecar.core.batch import as_sent, ranges, used_identity, with_goals, with_seconds
from sidecar.core.conversion import Kind
from sidecar.core.entry import Entry, Lane
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.intake.conversion import Accepted, EventRule, Rules, read
from sidecar.microsoft import wire
from sidecar.ports.intake import Arrival, Stored
from sidecar.store.sqlite.rows import Draft, insert_values, new_record

ROWS = 200
NOW = UnixMillis(1_800_000_000_000)
RULES = Rules({"purchase": EventRule("Shop Purchase", currency="USD")}, ("default",))
LANE = Lane(1, "default", "purchase", Kind.CONVERSION)


def order(number: int) -> dict[str, Any]:
    return {
        "event": "purchase",
        "order_id": f"ORDER-{number}",
        "time": NOW // 1000 - 3_600 - number,
        "value": Decimal("99.99"),
        "currency": "USD",
        "msclkid": f"{number:032x}",
        "user": {"email": f"Shopper.{number}+news@Example.com", "phone": f"+1 (425) 555-{number:04d}"},
    }


def entry(number: int) -> Entry:
    return Entry(
        seq=number,
        lane=LANE,
        time=UnixSeconds(NOW // 1000 - 3_600 - number),
        received_at=NOW,
        value="99.99",
        currency="USD",
        msclkid=f"{number:032x}",
        email_sha256=f"{number:064x}",
        phone_sha256=f"{number:064x}",
    )


def calls(work: Callable[[int], object]) -> float:
    """How many calls, of Python and of C, `work(number)` makes; the mean of many numbers, after one that warms up."""
    count = 0

    def counted(_: FrameType, what: str, __: object) -> None:
        nonlocal count
        count += what in {"call", "c_call"}

    work(ROWS)
    sys.setprofile(counted)
    try:
        for number in range(ROWS):
            work(number)
    finally:
        sys.setprofile(None)
    return count / ROWS


def accepted(number: int) -> Accepted:
    reading = read(order(number), now=NOW, rules=RULES)
    assert isinstance(reading, Accepted)
    return reading


def draft(number: int) -> Draft:
    return Draft.of(Arrival(accepted(number).conversion, NOW, "request-1"))


def test_reading_an_order_takes_few_calls() -> None:
    assert calls(accepted) <= 220


def test_writing_an_order_takes_few_calls() -> None:
    arrivals = [Arrival(accepted(number).conversion, NOW, "request-1") for number in range(ROWS + 1)]

    def work(number: int) -> None:
        made = Draft.of(arrivals[number])
        new_record(made.conversion, insert_values(made, number, 1))

    assert calls(work) <= 65


ALL_OPEN = Rows(lambda account, event: "Shop Purchase", lambda record: None, lambda: NOW)


def new_items() -> list[ItemResult]:
    made = (draft(number) for number in range(ROWS + 1))
    return [ItemResult(Stored(new_record(one.conversion, insert_values(one, n, 1))), ()) for n, one in enumerate(made)]


def test_answering_an_order_takes_few_calls() -> None:
    items, fresh = new_items(), FreshRows(ALL_OPEN)
    assert calls(lambda number: result_text(number, items[number], fresh)) <= 25


def test_answering_an_order_alone_takes_few_calls() -> None:
    items, kept = new_items(), Kept()
    assert calls(lambda number: fresh_members(items[number], FreshRows(ALL_OPEN, kept))) <= 35


def test_freezing_and_encoding_a_batch_takes_few_calls_a_row() -> None:
    entries = [entry(number) for number in range(ROWS)]

    def work(_: int) -> None:
        candidates = with_goals(entries, {"purchase": "Shop Purchase"})
        ranges(candidates, 0)
        placed, left = with_seconds(candidates, {}, NOW, 0)
        assert not left
        frozen = [as_sent(one) for one in placed]
        assert len([used_identity(one) for one in placed]) == ROWS
        wire.encode(frozen)

    assert calls(work) / ROWS <= 55
