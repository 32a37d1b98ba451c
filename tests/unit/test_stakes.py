"""Which rows a trouble keeps back."""

import pytest

from sidecar.core.conversion import Kind
from sidecar.core.entry import Lane
from sidecar.core.goals.mapping import MappingState
from sidecar.core.instant import EPOCH
from sidecar.delivery.stakes import held_by
from sidecar.telemetry import Standing
from sidecar.troubles import CATALOGUE, WAITS_FOR

GOALS = {("main", "purchase"): "P", ("main", "lead"): "L", ("us", "purchase"): "P"}
LANES = [
    Lane(1, "main", "purchase"),
    Lane(2, "main", "lead"),
    Lane(3, "us", "purchase"),
    Lane(4, "main", "gone"),
    Lane(5, "left", "purchase"),
    Lane(6, "main", "purchase", Kind.ADJUSTMENT),
]

HOLD_NO_ROWS_OF_OTHERS = {
    *("sign_in_unsuccessful", "goal_not_enhanced", "goal_not_created", "auto_tagging_off", "low_match_rate"),
    *("conversion_too_old", "awaiting_click", "click_settling", "no_click", "outside_window", "awaiting_original"),
    *("original_not_sent", "row_refused", "click_id_refused", "click_after_conversion", "before_click", "time_refused"),
    *("value_refused", "currency_refused", "external_attribution_refused", "adjustment_refused", "erased"),
    *("not_counted", "row_retried", "poison", "clock_skew", "clock_jumped", "disk_nearly_full", "outbox_growing"),
    *("storage_failed", "storage_broken", "loop_failed", "goal_name_taken"),
}
"""They are about single rows, about intake, or hold up nothing."""


def held(code: str, account: str | None = None, subject: str | None = None) -> list[int]:
    trouble = Standing(code=code, account=account, subject=subject, detail=None, since=EPOCH, seen_at=EPOCH)
    return [lane.id for lane in held_by(trouble, LANES, lambda *of: GOALS.get(of))]


@pytest.mark.parametrize(
    ("trouble", "lanes"),
    [
        (("token_refresh_failed",), [1, 2, 3, 6]),
        (("wrong_account", "main"), [1, 2, 6]),
        (("paused_by_operator", "us", "us"), [3]),
        (("goal_not_found", "main", "P"), [1, 6]),
        (("goal_paused", "us", "L"), []),
        (("unmapped", "main", "gone"), [4]),
        (("unmapped", "left", "purchase"), [5]),
        (("unmapped", "main", "purchase"), []),
        (("row_retried", "main", "InternalError"), []),
        (("goal_not_enhanced", "main", "P"), []),
    ],
)
def test_trouble_keeps_back_the_rows_of_its_goal_its_account_or_everybody(
    trouble: tuple[str, ...], lanes: list[int]
) -> None:
    assert held(*trouble) == lanes


def test_every_trouble_says_what_rows_wait_for_or_keeps_none_back() -> None:
    unsaid = CATALOGUE.keys() - WAITS_FOR.keys() - HOLD_NO_ROWS_OF_OTHERS
    assert not unsaid, "a new trouble: say in troubles.WAITS_FOR what rows wait for, or here that it keeps none back"
    assert WAITS_FOR.keys() | HOLD_NO_ROWS_OF_OTHERS <= CATALOGUE.keys()
    assert WAITS_FOR.keys() & HOLD_NO_ROWS_OF_OTHERS == set()
    holding = {state.value for state in MappingState if state.value.startswith("goal_")} - {"goal_not_enhanced"}
    assert all("{subject}" in WAITS_FOR[code] for code in holding)
