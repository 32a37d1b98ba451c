"""Microsoft's verdict on a goal and day in words."""

from typing import Any

import pytest
from instant_kit import HOUR, NOW
from verdict_kit import TODAY, days_ago

from sidecar.core.goal_days import DayVerdict, SentRows
from sidecar.core.instant import UnixMillis, millis
from sidecar.core.unattributed import UNATTRIBUTED
from sidecar.core.verdict_words import day_words, differences, percent, reason_lines, together, why


def verdict(attributed: int = 0, ago: int = 3, sent: tuple[int, int] | None = None, **given: Any) -> DayVerdict:
    """A day that was read long after its end; without `sent` as many rows went out as were counted."""
    reasons = given.setdefault("reasons", {})
    given.setdefault("unattributed", sum(reasons.values()))
    rows = SentRows(*sent) if sent else SentRows(attributed + given["unattributed"], 0)
    fields = {"account": "main", "goal": "Sale", "day": days_ago(ago), "read_at": NOW, **given}
    return DayVerdict(attributed=attributed, sent=rows, **fields)


def test_day_is_one_sentence_with_the_most_frequent_reason_first() -> None:
    day = verdict(1_198, reasons={"AccountMismatch": 4, "NoMatchingClickFound": 12})
    assert day_words(day, None) == (
        "Of 1,214 rows that Microsoft took for this goal on 2026-11-15, 1,198 were attributed to an ad (99 %); "
        "12 had no matching click, 4 had a click of another ad account."
    )


def test_single_rows_are_spoken_of_in_the_singular() -> None:
    reasons = {"ConversionTimeExceedsMaxLookback": 1, "OutsideGoalLookbackWindow": 1, "MissingMatchIdentifiers": 1}
    assert day_words(verdict(1, reasons=reasons), None).endswith(
        "1 was attributed to an ad (25 %); 1 was more than 90 days old, 1 had no click id, and no click with its "
        "e-mail or phone, 1 had its click outside the goal's conversion window."
    )
    assert day_words(verdict(1), None).startswith("Of 1 row that Microsoft took")


def test_share_is_whole_only_where_all_rows_are() -> None:
    shares = [percent(*given) for given in ((1, 1_000), (999, 1_000), (0, 5), (5, 5), (1, 3))]
    assert shares == ["1 %", "99 %", "0 %", "100 %", "33 %"]


def test_rows_without_a_reason_and_reasons_of_a_later_version_are_named() -> None:
    words = day_words(verdict(5, unattributed=5, reasons={"BrandNew": 3}), None)
    assert words.endswith("3 had a reason that this version does not know (BrandNew), 2 had no reason given.")
    [line] = reason_lines({"BrandNew": 3, "Unknown": 0})
    assert (line.rows, line.advice) == (3, "Look for a newer version of the sidecar.")


@pytest.mark.parametrize("read_at", [None, NOW])
def test_before_a_report_the_words_say_when_there_will_be_one(read_at: UnixMillis | None) -> None:
    day = verdict(0, sent=(7, 0), read_at=read_at)
    words = day_words(day, UnixMillis(NOW + 2 * HOUR))
    assert words.startswith("Microsoft " + ("has not reported" if read_at else "was not asked about"))
    assert words.endswith("It reports within 6 hours of an upload. The next reading is at 2026-11-18T13:06:40Z.")
    assert differences(day) == ()
    assert "next reading" not in day_words(day, None)


def test_every_reason_of_microsoft_has_words_of_its_own() -> None:
    words = {name: why(name) for name in UNATTRIBUTED}
    assert len(set(words.values())) == 14
    assert not [one for one in words.values() if "does not know" in one]


def test_equal_numbers_need_no_explanation() -> None:
    assert differences(verdict(10)) == ()


def test_adjustments_are_named_since_microsoft_counts_them_too() -> None:
    (line,) = differences(verdict(10, sent=(7, 3)))
    assert line == "Of the 10 rows sent, 3 were adjustments, which Microsoft counts as rows too."


def test_surplus_is_first_repeats_and_then_rows_of_other_uploaders() -> None:
    twice, others = differences(verdict(110, sent=(100, 0), reasons={"DuplicateConversionKey": 4}))
    assert twice.startswith("4 came twice: ")
    assert others.startswith("10 were not sent by this sidecar: another program or a file uploads to this goal")
    assert differences(verdict(96, sent=(100, 0), reasons={"DuplicateConversionKey": 4})) == ()


def test_rows_that_are_missing_are_late_before_they_are_lost() -> None:
    early = verdict(90, ago=0, sent=(100, 0), read_at=NOW)
    (line,) = differences(early)
    assert line == "10 of what was sent were not counted yet: Microsoft needs up to 6 hours."
    (late,) = differences(verdict(90, ago=0, sent=(100, 0), read_at=UnixMillis(millis(TODAY) + 31 * HOUR)))
    assert late.startswith("10 of what was sent were not counted. Around midnight (UTC)")


def test_days_are_added_up_by_reason() -> None:
    days = [verdict(1, reasons={"Unknown": 2, "AccountMismatch": 1}), verdict(1, reasons={"Unknown": 3}), verdict(4)]
    assert together(days) == {"Unknown": 5, "AccountMismatch": 1}
