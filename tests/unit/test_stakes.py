"""Which rows a trouble keeps back."""

import pytest

from sidecar.core.conversion import Kind
from sidecar.core.entry import Lane
from sidecar.core.instant import EPOCH
from sidecar.delivery.rows_at_stake import held_by
from sidecar.telemetry import ActiveTrouble
from sidecar.troubles import CATALOGUE, Scope

GOALS = {("main", "purchase"): "P", ("main", "lead"): "L", ("us", "purchase"): "P"}
LANES = [
    Lane(1, "main", "purchase"),
    Lane(2, "main", "lead"),
    Lane(3, "us", "purchase"),
    Lane(4, "main", "gone"),
    Lane(5, "left", "purchase"),
    Lane(6, "main", "purchase", Kind.ADJUSTMENT),
]


def held(code: str, account: str | None = None, subject: str | None = None) -> list[int]:
    trouble = ActiveTrouble(code=code, account=account, subject=subject, detail=None, since=EPOCH, seen_at=EPOCH)
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


def test_what_waits_for_a_goal_names_it() -> None:
    of_goals = [one.waits_for for one in CATALOGUE.values() if one.scope is Scope.GOAL and one.waits_for is not None]
    assert of_goals and all("{subject}" in words for words in of_goals)
