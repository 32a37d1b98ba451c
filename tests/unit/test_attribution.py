"""Which click a conversion goes with, and what it waits for: every case, and a model that looks at all clicks."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sidecar.core.attribution import (
    AttributionRules,
    Choice,
    Deferral,
    GoalTraits,
    SendConversion,
    Skip,
    WaitForClick,
    attribute,
    decide,
    needs_choice,
    with_choice,
)
from sidecar.core.conversion import Click
from sidecar.core.entry import Entry, Lane
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.states_and_reasons import Reason

NOW = UnixMillis(1_795_000_000_000)
SECOND = NOW // 1_000
HOUR, DAY = 3_600, 86_400
RULES = AttributionRules(wait_millis=HOUR * 1_000, settle_millis=HOUR * 1_000, retention_seconds=90 * DAY)
ANY = GoalTraits()
ENHANCED, PLAIN = GoalTraits(enhanced=True), GoalTraits(enhanced=False)
WEEK, WEEK_PLAIN = GoalTraits(7 * DAY, True), GoalTraits(7 * DAY, False)
OWN, OTHER = "0" * 32, "1" * 32
EMAIL = "a" * 64


def entry(ago: int = 2 * HOUR, received_ago: int = 0, **given_: object) -> Entry:
    """A conversion of some seconds ago, received some seconds ago, of visitor v-1 unless told otherwise."""
    fields: dict[str, object] = {"visitor_id": "v-1", **given_}
    return Entry(
        seq=1,
        lane=Lane(1, "main", "purchase"),
        time=UnixSeconds(SECOND - ago),
        received_at=UnixMillis(NOW - received_ago * 1_000),
        **fields,  # type: ignore[arg-type]
    )


def click(ago: int, msclkid: str = OTHER) -> Click:
    return Click(account="main", visitor_id="v-1", msclkid=msclkid, clicked_at=UnixSeconds(SECOND - ago))


def at(ago: int) -> UnixMillis:
    """The moment some seconds ago; in the future when negative."""
    return UnixMillis(NOW - ago * 1_000)


CASES: dict[str, tuple[Entry, Click | None, GoalTraits, Choice]] = {
    "a click of its own goes as it is": (entry(msclkid=OWN, visitor_id=None), None, ANY, SendConversion()),
    "its own click wins over the visitor's": (entry(msclkid=OWN), None, PLAIN, SendConversion()),
    "its own click, captured long ago": (
        entry(msclkid=OWN),
        click(3 * DAY, OWN),
        ANY,
        SendConversion(click(3 * DAY, OWN)),
    ),
    "its own click, captured a moment ago": (
        entry(60, msclkid=OWN),
        click(600, OWN),
        ANY,
        WaitForClick(Reason.CLICK_SETTLING, at(600 - HOUR)),
    ),
    "its own click outside the window, with hashes": (
        entry(msclkid=OWN, email_sha256=EMAIL),
        click(8 * DAY, OWN),
        WEEK,
        SendConversion(without_msclkid=True),
    ),
    "its own click outside the window, without hashes": (
        entry(msclkid=OWN),
        click(8 * DAY, OWN),
        WEEK,
        Skip(Reason.OUTSIDE_WINDOW),
    ),
    "the visitor's click": (entry(), click(3 * DAY), ANY, SendConversion(click(3 * DAY))),
    "the visitor's click and hashes": (
        entry(email_sha256=EMAIL),
        click(3 * DAY),
        PLAIN,
        SendConversion(click(3 * DAY)),
    ),
    "a click on the edge of the window": (entry(0), click(7 * DAY), WEEK, SendConversion(click(7 * DAY))),
    "a click a second outside the window": (entry(0), click(7 * DAY + 1), WEEK, Skip(Reason.OUTSIDE_WINDOW)),
    "a click outside the window, with hashes": (
        entry(0, email_sha256=EMAIL),
        click(8 * DAY),
        WEEK,
        SendConversion(without_msclkid=True),
    ),
    "a click outside the window, hashes of no use": (
        entry(0, email_sha256=EMAIL),
        click(8 * DAY),
        WEEK_PLAIN,
        Skip(Reason.OUTSIDE_WINDOW),
    ),
    "an unknown window holds everything": (entry(0), click(80 * DAY), ANY, SendConversion(click(80 * DAY))),
    "a click that settles": (entry(60), click(HOUR - 1), ANY, WaitForClick(Reason.CLICK_SETTLING, at(-1))),
    "a click that has just settled": (entry(60), click(HOUR), ANY, SendConversion(click(HOUR))),
    "a click too old to be used": (entry(received_ago=HOUR), click(90 * DAY + 1), ANY, Skip(Reason.NO_CLICK)),
    "a click just young enough": (entry(received_ago=HOUR), click(90 * DAY), ANY, SendConversion(click(90 * DAY))),
    "no click yet": (entry(received_ago=60), None, ANY, WaitForClick(Reason.AWAITING_CLICK, at(60 - HOUR))),
    "no click yet, with hashes": (
        entry(received_ago=60, email_sha256=EMAIL),
        None,
        ENHANCED,
        WaitForClick(Reason.AWAITING_CLICK, at(60 - HOUR)),
    ),
    "no click in time": (entry(received_ago=HOUR), None, ENHANCED, Skip(Reason.NO_CLICK)),
    "no click in time, with an e-mail": (
        entry(received_ago=HOUR, email_sha256=EMAIL),
        None,
        ENHANCED,
        SendConversion(),
    ),
    "no click in time, with a phone": (entry(received_ago=HOUR, phone_sha256=EMAIL), None, ANY, SendConversion()),
    "no click in time, hashes of no use": (
        entry(received_ago=HOUR, email_sha256=EMAIL),
        None,
        PLAIN,
        Skip(Reason.NO_CLICK),
    ),
    "hashes alone": (entry(visitor_id=None, email_sha256=EMAIL), None, ENHANCED, SendConversion()),
    "hashes alone, goal unknown": (entry(visitor_id=None, email_sha256=EMAIL), None, ANY, SendConversion()),
    "hashes alone, of no use": (
        entry(visitor_id=None, email_sha256=EMAIL),
        None,
        PLAIN,
        Skip(Reason.GOAL_NOT_ENHANCED),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_choice(case: str) -> None:
    given_, seen, goal, choice = CASES[case]
    assert decide(given_, seen, goal, RULES, NOW) == choice


def test_nothing_is_to_be_decided_of_a_mere_click_id_of_hashes_and_of_what_is_frozen() -> None:
    assert not needs_choice(entry(visitor_id=None, msclkid=OWN), PLAIN)
    assert not needs_choice(entry(visitor_id=None, email_sha256=EMAIL), ENHANCED)
    assert not needs_choice(entry(visitor_id=None, email_sha256=EMAIL), ANY)
    assert not needs_choice(entry(goal="Sidecar Purchase"), PLAIN)
    assert needs_choice(entry(visitor_id=None, email_sha256=EMAIL), PLAIN)
    assert needs_choice(entry(), ANY)


def test_entry_is_sent_with_the_click_that_was_chosen() -> None:
    chosen = with_choice(entry(), SendConversion(click(DAY)))
    assert (chosen.msclkid, chosen.clicked_at) == (OTHER, SECOND - DAY)
    assert with_choice(entry(msclkid=OWN), SendConversion(without_msclkid=True)).msclkid is None
    assert with_choice(entry(msclkid=OWN), SendConversion()) == entry(msclkid=OWN)


# --- A model ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sent:
    """What a conversion goes out with."""

    msclkid: str | None


def fate(entry_: Entry, clicks: list[Click], goal: GoalTraits) -> Sent | Reason:
    """What the contract says of it, told again without a word of the code: section 3 of the product."""
    hashed = entry_.email_sha256 is not None and goal.enhanced is not False
    before = [one for one in clicks if one.clicked_at <= entry_.time and SECOND - one.clicked_at <= 90 * DAY]
    mine = [one for one in before if entry_.msclkid in (None, one.msclkid)]
    last = max(mine, key=lambda one: one.clicked_at, default=None)
    if last is None:
        if entry_.msclkid is not None:
            return Sent(entry_.msclkid)
        if NOW - entry_.received_at < HOUR * 1_000:
            return Reason.AWAITING_CLICK
        return Sent(None) if hashed else Reason.NO_CLICK
    if goal.window_seconds is not None and last.clicked_at < entry_.time - goal.window_seconds:
        return Sent(None) if hashed else Reason.OUTSIDE_WINDOW
    return Sent(last.msclkid) if SECOND - last.clicked_at >= HOUR else Reason.CLICK_SETTLING


CLICKS = st.lists(
    st.builds(click, st.integers(0, 100 * DAY), st.sampled_from([f"{number:032x}" for number in range(3)])),
    max_size=6,
    unique_by=(lambda one: one.msclkid, lambda one: one.clicked_at),
)


@given(
    CLICKS,
    st.integers(0, 89 * DAY),
    st.sampled_from([None, *(f"{number:032x}" for number in range(3))]),
    st.sampled_from([None, EMAIL]),
    st.integers(0, 2 * HOUR),
    st.builds(GoalTraits, st.sampled_from([None, DAY, 7 * DAY, 90 * DAY]), st.sampled_from([None, True, False])),
)
def test_choice_equals_that_of_a_model_which_looks_at_every_click(
    clicks: list[Click], ago: int, own: str | None, email: str | None, received_ago: int, goal: GoalTraits
) -> None:
    given_ = entry(ago, received_ago, msclkid=own, email_sha256=email)
    before = [one for one in clicks if one.clicked_at <= given_.time and own in (None, one.msclkid)]
    seen = max(before, key=lambda one: one.clicked_at, default=None)
    choice = decide(given_, seen, goal, RULES, NOW)
    match choice:
        case SendConversion():
            assert fate(given_, clicks, goal) == Sent(with_choice(given_, choice).msclkid)
        case WaitForClick(reason) | Skip(reason):
            assert fate(given_, clicks, goal) == reason


def test_waits_are_for_the_future_alone() -> None:
    """Else a row would be looked at again at once, for ever."""
    for received_ago in range(0, 2 * HOUR, 60):
        for clicked_ago in (None, *range(0, 2 * HOUR, 60)):
            seen = None if clicked_ago is None else click(clicked_ago)
            choice = decide(entry(0, received_ago), seen, ANY, RULES, NOW)
            assert not isinstance(choice, WaitForClick) or choice.due_at > NOW


# --- all entries of a goal ------------------------------------------------------------------------------------------


def test_due_entries_are_parted_into_those_that_go_and_those_that_wait_or_end() -> None:
    plain = entry(visitor_id=None, msclkid=OWN)
    waits, ends = replace(entry(), seq=2), replace(entry(received_ago=HOUR), seq=3)
    clicked, settling = replace(entry(), seq=4), replace(entry(60), seq=5)
    clicks = {4: click(3 * HOUR), 5: click(600)}
    found = attribute([plain, waits, ends, clicked, settling], clicks, ANY, RULES, NOW)
    assert found.ready == [plain, with_choice(clicked, SendConversion(clicks[4]), clicks[4])]
    assert found.deferrals == [
        Deferral(2, WaitForClick(Reason.AWAITING_CLICK, at(-HOUR))),
        Deferral(3, Skip(Reason.NO_CLICK)),
        Deferral(5, WaitForClick(Reason.CLICK_SETTLING, at(600 - HOUR)), clicks[5].clicked_at),
    ]
