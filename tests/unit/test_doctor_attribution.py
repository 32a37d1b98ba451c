"""The doctor's check of what Microsoft attributed: a warning where much of the rest could be avoided."""

from typing import Any

import pytest
from instant_kit import NOW
from verdict_kit import days_ago

from sidecar.core.doctor.attribution import attribution_checks
from sidecar.core.goal_days import DayVerdict, SentRows
from sidecar.core.unattributed import UNATTRIBUTED


def day(ago: int, attributed: int = 0, sent: int = 0, goal: str = "Sale", **reasons: int) -> DayVerdict:
    return DayVerdict(
        account="main",
        goal=goal,
        day=days_ago(ago),
        attributed=attributed,
        unattributed=sum(reasons.values()),
        reasons=reasons,
        sent=SentRows(sent, 0),
        read_at=NOW,
    )


def checked(*days: DayVerdict, **more: Any) -> Any:
    (found,) = attribution_checks("main", days, NOW, **more)
    return found


def test_goal_has_its_share_and_the_main_reason_over_all_days() -> None:
    found = checked(day(0, 90, NoMatchingClickFound=4), day(1, 100, NoMatchingClickFound=2, AccountMismatch=4))
    assert (found.status, found.account, found.goal) == ("ok", "main", "Sale")
    assert found.message == (
        "Microsoft attributed 95 % of the 200 rows that it took in the last 7 days; of the others 6 had no matching "
        "click (NoMatchingClickFound)."
    )


def test_many_avoidable_rows_are_a_warning_with_the_advice_of_the_main_reason() -> None:
    found = checked(day(0, 20, AccountMismatch=30, MissingMatchIdentifiers=40))
    assert (found.status, found.fix) == ("warning", UNATTRIBUTED["AccountMismatch"].advice)
    assert found.cause == "Mostly the click belongs to another ad account."
    assert "30 had a click of another ad account" in found.message


@pytest.mark.parametrize(
    "reasons", [{"AccountMismatch": 9}, {"MissingMatchIdentifiers": 500}, {"DuplicateConversionKey": 500}]
)
def test_few_rows_and_harmless_reasons_are_none(reasons: dict[str, int]) -> None:
    assert checked(day(0, 1, **reasons)).status == "ok"


def test_rows_of_yesterday_may_be_without_a_report_but_older_ones_not() -> None:
    early = checked(day(0, sent=5), day(1, sent=5))
    assert (early.status, early.message) == ("ok", "Microsoft has not reported the 10 rows of the last days yet.")
    late = checked(day(0, sent=5), day(2, sent=5))
    assert (late.status, late.message.startswith("Microsoft took 10 rows")) == ("warning", True)
    assert checked(day(2, sent=5), in_sandbox=True).status == "ok"


def test_each_goal_has_a_check_of_its_own() -> None:
    found = list(attribution_checks("main", [day(0, 5), day(1, 5, goal="Lead"), day(2, 5)], NOW))
    assert [(one.goal, one.status) for one in found] == [("Sale", "ok"), ("Lead", "ok")]
    (nothing,) = attribution_checks("main", [], NOW)
    assert (nothing.status, nothing.message) == ("ok", "Nothing was sent in the last 7 days.")
