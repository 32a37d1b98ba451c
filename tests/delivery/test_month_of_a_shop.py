"""One month of a shop on a simulated clock; then an independent calculation says what Microsoft must hold.

Visitors click ads (some twice, some told late, some for the other account) and buy, with and without consent; a goal
is created on day 3, another paused on day 9 and renamed on day 12; the token is revoked on day 15.
"""

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import month_kit
import pytest
from month_history import HOUR, MINUTE, History, history
from month_kit import Shop
from month_model import Books, Held, Oracle
from place_kit import OutboxPlace

START = 1_798_761_600
"""2027-01-01T00:00:00Z"""

CONVERSIONS = "OfflineConversions/Apply"
ADJUSTMENTS = "OfflineConversionAdjustments/Apply"


@dataclass
class Month:
    """A month after it was lived, by the sidecar and by the calculation."""

    shop: Shop
    books: Books
    ledger: list[dict[str, Any]]
    adjustments: list[dict[str, Any]]
    requests: list[dict[str, Any]]

    @classmethod
    async def of(cls, lived: Shop) -> "Month":
        kept = [await lived.ledger(table) for table in ("conversions", "adjustments", "requests")]
        return cls(lived, Oracle(lived.history).live(), *kept)

    def check(self) -> Counter[str]:
        """Everything that must hold; the accounts."""
        self._check_answers()
        self._check_ledger()
        self._check_moments()
        self._check_adjustments()
        self._check_requests()
        return self._check_rows()

    def _check_answers(self) -> None:
        assert self.shop.sales_answered == self.books.sales_answered
        assert self.shop.captured == self.books.captured
        assert self.shop.refunds_answered == self.books.refunds_answered

    def _check_ledger(self) -> None:
        """Which conversions, with which click or hashes and which value: no more, no fewer, each of them once."""
        wanted = Counter(row.held for row in self.books.rows.values() if row.held)
        found = Counter(month_kit.held(item) for item in self.ledger)
        assert _shown(wanted - found, found - wanted) == "nothing is missing, nothing is too much"
        assert {item["seen"] for item in self.ledger} == {1}
        assert {item["changed"] for item in self.ledger} == {0}
        assert {item["unattributed"] for item in self.ledger} == {None}

    def _check_moments(self) -> None:
        """Each came at the moment when it first might, and none earlier than its click, its wait and its goal allow."""
        rows = {row.held: row for row in self.books.rows.values() if row.held}
        for item in self.ledger:
            row = rows[month_kit.held(item)]
            assert row.sent_at is not None
            assert item["first_seen_at"] >= row.not_before * 1000, (item, row)
            assert item["first_seen_at"] == row.sent_at * 1000, (item, row)

    def _check_adjustments(self) -> None:
        wanted = Counter((_bare(one.original), one.type, one.value, one.currency, at) for one, at in self._adjusted())
        found = Counter()
        for item in self.adjustments:
            one = month_kit.adjusted(item)
            found[_bare(one.original), one.type, one.value, one.currency, item["first_seen_at"] // 1000] += 1
            assert (item["seen"], item["changed"], item["unattributed"]) == (1, 0, None), item
        assert _shown(wanted - found, found - wanted) == "nothing is missing, nothing is too much"
        last = {month_kit.held(item): (item["adjusted"], item["adjusted_value"]) for item in self.ledger}
        for row in self.books.rows.values():
            if row.held:
                one = row.adjusted[-1][0] if row.adjusted else None
                type_, value = last[row.held]
                assert (type_, value and Decimal(value)) == ((one.type, one.value) if one else (None, None)), row

    def _adjusted(self) -> Any:
        return (adjusted for row in self.books.rows.values() for adjusted in row.adjusted)

    def _check_requests(self) -> None:
        """Microsoft was never sent a row that it refused, nor one again."""
        for operation, kept in ((CONVERSIONS, self.ledger), (ADJUSTMENTS, self.adjustments)):
            uploads = [request for request in self.requests if request["operation"] == operation]
            assert sum(request["refused"] for request in uploads) == 0
            assert sum(request["taken"] for request in uploads) == len(kept)
            assert {request["answer"] for request in uploads} <= {"ok", "AuthenticationTokenExpired"}

    def _check_rows(self) -> Counter[str]:
        """The sidecar's own books say the same, row by row."""
        rows = self.shop.rig.rows("l.kind = 'conversion'")
        wanted = {(order_id, row.state, row.reason) for order_id, row in self.books.rows.items()}
        found = {(row["order_id"], row["state"], row["reason"]) for row in rows}
        assert sorted(wanted ^ found) == []
        return Counter(row["state"] for row in rows)


def _bare(held: Held) -> Held:
    """What tells a conversion apart at Microsoft, without its value."""
    return replace(held, value=None, currency=None)


def _shown(missing: Counter[Any], besides: Counter[Any]) -> str:
    if not missing and not besides:
        return "nothing is missing, nothing is too much"
    return f"{len(missing)} missing: {list(missing)[:3]}; {len(besides)} too much: {list(besides)[:3]}"


async def live(place: OutboxPlace, lived: History) -> Month:
    """Live it, and work it out a second time."""
    print(f"\na month of a shop: seed {lived.seed}")
    async with month_kit.opened(lived, place) as shop:
        await shop.live()
        return await Month.of(shop)


REASONS = {"no_click", "outside_window", "goal_not_enhanced"}
"""Why conversions of the month are not sent."""


async def test_month_of_a_shop_ends_with_the_books_that_an_independent_calculation_gives(
    outbox_place: OutboxPlace,
) -> None:
    """The short form: a thousand visitors, and three hours at a time."""
    month = await live(outbox_place, history(1_000, seed=1, start=START, step=3 * HOUR))
    accounts = month.check()
    assert accounts["pending"] == accounts["dead"] == 0
    assert accounts["delivered"] > 400
    assert {row.reason for row in month.books.rows.values() if row.state == "skipped"} == REASONS


@pytest.mark.faults
@pytest.mark.timeout(1_800)
async def test_month_of_twenty_thousand_visitors_ends_with_the_same_books_on_both_sides(
    outbox_place: OutboxPlace,
) -> None:
    month = await live(outbox_place, history(20_000, seed=20_000, start=START, step=15 * MINUTE))
    accounts = month.check()
    assert accounts["pending"] == accounts["dead"] == 0
    rows, lived = month.books.rows.values(), month.shop.history
    by_click = sum(row.held is not None and row.held.click is not None for row in rows)
    skipped = Counter(row.reason for row in rows if row.state == "skipped")
    print(
        f"\nmonth of a shop: 20,000 visitors, {month.books.captured} clicks captured, {len(lived.sales)} sales posted "
        f"as {dict(month.books.sales_answered)}, {len(lived.refunds)} refunds; {dict(accounts)}, skipped as "
        f"{dict(skipped)}; Microsoft holds {len(month.ledger)}, {by_click} of them by click, and "
        f"{len(month.adjustments)} adjustments; missing 0, too much 0, twice 0, early 0, late 0"
    )
