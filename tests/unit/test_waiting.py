"""What is at stake, in words that a person reads once."""

from decimal import Decimal

import pytest

from sidecar.core.instant import MAX_AGE_SECONDS, UnixSeconds
from sidecar.core.waiting_summary import Waiting, amount, day, in_words, stake

FEBRUARY_27 = UnixSeconds(1_803_729_600)  # 2027-02-27T12:00:00Z
FIRST = UnixSeconds(FEBRUARY_27 - MAX_AGE_SECONDS)
NO_GOAL = "Microsoft has no goal called Sidecar Purchase"


def waiting(rows: int, *, more: bool = False, adjustments: int = 0, **values: str) -> Waiting:
    return Waiting(rows, more, FIRST, adjustments, {code: Decimal(value) for code, value in values.items()})


def test_stake_is_one_sentence_with_number_value_cause_and_first_expiry() -> None:
    said = stake(waiting(3, EUR="300.000"), [NO_GOAL])
    assert said == f"3 conversions worth 300 EUR wait: {NO_GOAL}; the first expires on 27 February"


def test_single_row_is_spoken_of_as_one() -> None:
    said = stake(waiting(1, EUR="99.9"), [NO_GOAL])
    assert said == f"1 conversion worth 99.90 EUR waits: {NO_GOAL}; it expires on 27 February"
    assert in_words(waiting(1)) == "1 row waits, it expires at 2027-02-27T12:00:00Z"
    assert in_words(waiting(2)) == "2 rows wait, the first expires at 2027-02-27T12:00:00Z"
    assert in_words(Waiting(0, False, None)) == "no row waits"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (waiting(2), "2 conversions"),
        (waiting(2, USD="0"), "2 conversions"),
        (waiting(3, EUR="20", USD="1234567.5"), "3 conversions worth 1,234,567.50 USD and 20 EUR"),
        (waiting(9, A="4", B="3", C="2.125", D="1"), "9 conversions worth 4 A, 3 B, 2.125 C and other currencies"),
        (waiting(1_000, more=True, EUR="5"), "more than 1,000 conversions worth more than 5 EUR"),
        (waiting(3, adjustments=1, EUR="5"), "2 conversions worth 5 EUR and 1 adjustment"),
        (waiting(2, adjustments=2), "2 adjustments"),
        (waiting(2, adjustments=2, more=True), "more than 2 adjustments"),
    ],
)
def test_amount_names_what_there_is(rows: Waiting, said: str) -> None:
    assert amount(rows) == said


def test_many_causes_are_named_once_and_cut_short() -> None:
    assert ": a; " in stake(waiting(2), ["a", "a"])
    assert ": a, b and c; " in stake(waiting(2), ["a", "b", "c"])
    assert ": a, b and 2 more reasons; " in stake(waiting(2), ["a", "b", "c", "d"])
    assert stake(Waiting(2, False, None), []) == "2 conversions wait"


@pytest.mark.parametrize(("at", "shown"), [(FEBRUARY_27, "27 February"), (UnixSeconds(951_782_400), "29 February")])
def test_day_is_that_of_utc(at: UnixSeconds, shown: str) -> None:
    assert day(at) == shown
