"""Why a visitor's click was taken, or not: each case, and agreement with the choice itself."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.attribution import (
    AttributionRules,
    Chosen,
    ClickVerdict,
    GoalTraits,
    SeenClick,
    SendConversion,
    WaitForClick,
    decide,
    verdicts,
)
from sidecar.core.conversion import Click
from sidecar.core.entry import Entry, Lane
from sidecar.core.instant import UnixMillis, UnixSeconds, millis

TIME = UnixSeconds(1_795_000_000)
NOW = millis(UnixSeconds(TIME + 3_600))
DAY = 86_400
RULES = AttributionRules(3_600_000, 0, 90 * DAY)
WINDOW = 30 * DAY
OPEN = Chosen(time=TIME, named=None, sent_with=None, at=NOW, is_over=False)
SENT = replace(OPEN, is_over=True, sent_with="a")
V = ClickVerdict


def click(name: str, before: int, captured_at: int | None = None) -> SeenClick:
    """A click that happened `before` seconds before the conversion."""
    happened = UnixSeconds(TIME - before)
    return SeenClick(name, happened, UnixMillis(millis(happened) if captured_at is None else captured_at))


@pytest.mark.parametrize(
    ("chosen", "clicks", "wanted"),
    [
        (OPEN, [], []),
        (OPEN, [click("a", 10)], [V.CHOSEN]),
        (OPEN, [click("a", 0)], [V.CHOSEN]),
        (OPEN, [click("a", -1)], [V.LATER_THAN_CONVERSION]),
        (OPEN, [click("a", 10), click("b", 20)], [V.CHOSEN, V.ANOTHER_WAS_LATER]),
        (OPEN, [click("a", 31 * DAY)], [V.OUTSIDE_WINDOW]),
        (OPEN, [click("a", 10), click("b", 31 * DAY)], [V.CHOSEN, V.OUTSIDE_WINDOW]),
        (OPEN, [click("a", 91 * DAY)], [V.TOO_OLD]),
        (replace(OPEN, named="b"), [click("a", 1), click("b", 2)], [V.OWN_CLICK_ID, V.CHOSEN]),
        (replace(OPEN, named="c"), [click("a", 1)], [V.OWN_CLICK_ID]),
        (SENT, [click("a", 10), click("b", 20)], [V.CHOSEN, V.ANOTHER_WAS_LATER]),
        (SENT, [click("b", 5, NOW + 1), click("a", 10)], [V.CAPTURED_TOO_LATE, V.CHOSEN]),
        (replace(SENT, sent_with=None), [click("a", 31 * DAY)], [V.OUTSIDE_WINDOW]),
        (replace(SENT, sent_with=None), [click("a", 5, NOW + 1)], [V.CAPTURED_TOO_LATE]),
        # The window was widened after it had gone out without the click.
        (replace(SENT, sent_with=None), [click("a", 5)], [V.OUTSIDE_WINDOW]),
    ],
)
def test_each_click_is_judged(chosen: Chosen, clicks: list[SeenClick], wanted: list[V]) -> None:
    assert verdicts(clicks, chosen, WINDOW, RULES) == wanted


_before = st.integers(-2 * DAY, 100 * DAY)


@given(st.lists(_before, unique=True, max_size=8), st.sampled_from([None, WINDOW]))
def test_chosen_click_is_the_one_that_the_choice_takes(befores: list[int], window: int | None) -> None:
    clicks = [click(f"{before}", before) for before in befores]
    before = [one for one in clicks if one.clicked_at <= TIME]
    last = max(before, key=lambda one: one.clicked_at, default=None)
    entry = Entry(seq=1, lane=Lane(1, "main", "purchase"), time=TIME, received_at=NOW, visitor_id="v", email_sha256="e")
    given_click = last and Click(account="main", visitor_id="v", msclkid=last.msclkid, clicked_at=last.clicked_at)
    choice = decide(entry, given_click, GoalTraits(window, True), RULES, NOW)
    taken = [
        one for one, verdict in zip(clicks, verdicts(clicks, OPEN, window, RULES), strict=True) if verdict is V.CHOSEN
    ]
    match choice:
        case SendConversion(click=Click() as sent):
            assert [one.msclkid for one in taken] == [sent.msclkid]
        case SendConversion() | WaitForClick():
            assert taken == []
