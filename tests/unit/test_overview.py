"""The overview's sentence, its figures, and how each goal and account does, from plain values."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from sidecar.core.concern import Concern
from sidecar.core.conversion import Kind
from sidecar.core.entry import Lane
from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds
from sidecar.core.overview import MappedEvent, View
from sidecar.core.standing import Standing
from sidecar.core.states_and_reasons import Reason, State
from sidecar.core.tally import Figures, LaneLook, Part, Sum, Tally, total

NOW = UnixMillis(1_795_444_245_000)  # 2026-11-23T14:30:45Z
TIME = UnixSeconds(NOW // 1000 - DAY_SECONDS)  # lost on 20 February
LANES = (
    Lane(1, "main", "purchase"),
    Lane(2, "main", "lead"),
    Lane(3, "us", "purchase"),
    Lane(4, "main", "purchase", Kind.ADJUSTMENT),
)
EVENTS = (
    MappedEvent("main", "purchase", "Sale"),
    MappedEvent("main", "lead", "Lead"),
    MappedEvent("us", "purchase", "Sale US"),
)


def tally(lane: int, state: State, rows: int, value: str = "0", currency: str | None = "USD") -> Tally:
    return Tally(UnixSeconds(0), lane, state, currency, rows, Decimal(value))


def waiting(*tallies: Tally, parts: Sequence[Part] = (), due_rows: int | None = None) -> Figures:
    """Figures in which these rows wait; `parts` were found in each of their lanes."""
    looks = {one.lane: LaneLook(parts, due_rows, TIME) for one in tallies}
    return Figures(tallies, tallies, LANES, looks, None, UnixMillis(1))


def received(*tallies: Tally) -> Figures:
    return Figures(tallies, tallies, LANES, {}, None, UnixMillis(1))


QUIET = received()


def concern(**changes: Any) -> Concern:
    """A missing goal of main's, which holds up what waits for it."""
    given = {
        "code": "goal_not_found",
        "title": "Conversion goal not found",
        "message": "Conversion goal not found: Sale",
        "cause": "There is none.",
        "fix": "Create it.",
        "since": NOW,
        "account": "main",
        "subject": "Sale",
        "severity": "error",
        "check": "goals",
        "about": "goal",
        "waits_for": "Microsoft has no goal called Sale",
        "lanes": frozenset({1, 4}),
    }
    return Concern(**(given | changes))


def advice(**changes: Any) -> Concern:
    texts = {"code": "low_match_rate", "message": "Low match rate: Sale (12 %)", "severity": "advice"}
    return concern(**texts, waits_for=None, lanes=frozenset(), **changes)


def view(figures: Figures, *concerns: Concern, **changes: Any) -> View:
    given: dict[str, Any] = {"events": EVENTS, "accounts": ("main", "us"), "held": lambda lane: None, "now": NOW}
    return View(figures, concerns, **(given | changes))


def headline(figures: Figures, *concerns: Concern, **changes: Any) -> str:
    shown = view(figures, *concerns, **changes)
    return shown.headline(shown.ranked())


# --- The sentence ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (replace(QUIET, first_received_at=None), "All is well. Nothing was received yet."),
        (QUIET, "All is well. No conversion was received in the last 24 hours."),
        (
            received(tally(1, State.DELIVERED, 1_204, "48210.5")),
            "All is well. 1,204 conversions worth 48,210.50 USD were delivered in the last 24 hours.",
        ),
        (
            received(tally(1, State.DELIVERED, 2)._replace(slowest_millis=2_001)),
            "All is well. 2 conversions were delivered in the last 24 hours, each within 3 s.",
        ),
        (
            received(tally(1, State.DELIVERED, 1)._replace(slowest_millis=7_200_000)),
            "All is well. 1 conversion was delivered in the last 24 hours, within 2 hours.",
        ),
        (
            received(tally(1, State.DELIVERED, 1, currency=None)),
            "All is well. 1 conversion was delivered in the last 24 hours.",
        ),
        (
            received(tally(1, State.PENDING, 2, "3")),
            "All is well. 2 conversions worth 3 USD were received in the last 24 hours.",
        ),
        (
            received(tally(4, State.DELIVERED, 5, "9")),
            "All is well. No conversion was received in the last 24 hours.",
        ),
    ],
)
def test_sentence_says_how_well_it_is(figures: Figures, words: str) -> None:
    assert headline(figures) == words


@pytest.mark.parametrize(
    ("figures", "worst", "words"),
    [
        (
            waiting(tally(1, State.PENDING, 3, "300", "EUR")),
            concern(),
            "3 conversions worth 300 EUR wait: Microsoft has no goal called Sale (account main). "
            "The first would be lost on 20 February.",
        ),
        (
            waiting(tally(1, State.PENDING, 1, currency=None)),
            concern(),
            "1 conversion waits: Microsoft has no goal called Sale (account main). It would be lost on 20 February.",
        ),
        (
            waiting(tally(1, State.PENDING, 2, "4"), tally(4, State.PENDING, 1, "9")),
            concern(account=None, waits_for="Microsoft no longer accepts the sign-in"),
            "2 conversions worth 4 USD and 1 adjustment wait: Microsoft no longer accepts the sign-in. "
            "The first would be lost on 20 February.",
        ),
        (
            waiting(tally(1, State.PENDING, 1)),
            concern(waits_for="an operator paused the account main"),
            "1 conversion waits: an operator paused the account main. It would be lost on 20 February.",
        ),
        (waiting(tally(2, State.PENDING, 3)), concern(), "Conversion goal not found: Sale (account main)."),
        (
            waiting(tally(3, State.PENDING, 2)),
            concern(account="us", lanes=frozenset({3}), waits_for="Microsoft refuses because of a pause"),
            "2 conversions wait: Microsoft refuses because of a pause (account us). "
            "The first would be lost on 20 February.",
        ),
        (
            waiting(tally(1, State.PENDING, 3)),
            concern(account=None, message="Disk nearly full (12 MiB are free)", waits_for=None, lanes=frozenset()),
            "Disk nearly full (12 MiB are free).",
        ),
    ],
)
def test_sentence_has_conversions_money_cause_and_the_day_of_the_first_loss(
    figures: Figures, worst: Concern, words: str
) -> None:
    assert headline(figures, worst) == words


def test_what_passes_by_itself_names_the_loss_only_when_it_is_near() -> None:
    figures, throttled = (
        waiting(tally(1, State.PENDING, 3)),
        concern(account=None, severity="warning", waits_for="slow"),
    )
    near = UnixMillis((TIME + 80 * DAY_SECONDS) * 1000)
    assert headline(figures, throttled) == "3 conversions wait: slow."
    assert headline(figures, throttled, now=near) == (
        "3 conversions wait: slow. The first would be lost on 20 February."
    )


def test_only_account_is_not_named() -> None:
    words = headline(waiting(tally(1, State.PENDING, 1)), concern(), accounts=("main",), events=EVENTS[:2])
    assert words == "1 conversion waits: Microsoft has no goal called Sale. It would be lost on 20 February."


def test_advice_alone_comes_behind_how_well_it_is() -> None:
    words = headline(received(tally(1, State.DELIVERED, 2, "5")), advice())
    assert words == (
        "2 conversions worth 5 USD were delivered in the last 24 hours. "
        "Worth a look: Low match rate: Sale (12 %) (account main)."
    )


def test_worst_trouble_is_the_loudest_then_the_one_that_holds_up_most_then_the_oldest() -> None:
    figures = waiting(tally(1, State.PENDING, 3), tally(3, State.PENDING, 5))
    concerns = (
        advice(since=UnixMillis(1)),
        concern(code="throttled", severity="warning", account="us", lanes=frozenset({3})),
        concern(code="young", since=NOW, lanes=frozenset({2})),
        concern(code="old", since=UnixMillis(NOW - 1), lanes=frozenset({2})),
        concern(code="costly"),
    )
    found = [ranked.concern.code for ranked in view(figures, *concerns).ranked()]
    assert found == ["costly", "old", "young", "throttled", "low_match_rate"]


# --- Figures ---------------------------------------------------------------------------------------------------------


def test_received_is_the_sum_of_all_states_without_adjustments() -> None:
    shown = view(received(*(tally(lane, state, lane + 1, "2") for lane in (1, 2, 3, 4) for state in State)))
    assert shown.received() == total([tally(1, State.DEAD, 5 * (2 + 3 + 4), "30")])
    assert sum(shown.received(state).rows for state in State) == shown.received().rows


def test_dead_rows_are_counted_with_adjustments_and_worth_what_the_conversions_are() -> None:
    shown = view(received(tally(1, State.DEAD, 2, "7"), tally(4, State.DEAD, 1, "5"), tally(2, State.DELIVERED, 9)))
    assert shown.dead() == Sum(3, {"USD": Decimal(7)})


@pytest.mark.parametrize(("age", "lag"), [(None, None), (-5_000, None), (9_999, None), (10_000, 10.0)])
def test_row_is_late_once_it_has_been_due_for_ten_seconds(age: int | None, lag: float | None) -> None:
    due_at = None if age is None else UnixMillis(NOW - age)
    assert view(replace(QUIET, oldest_due_at=due_at)).lag_seconds == lag


def parts_of(shown: View) -> list[tuple[str | None, int, dict[str, Decimal]]]:
    return [(part.reason, part.waiting.rows, dict(part.waiting.values)) for part in shown.waiting()]


def test_all_that_waits_in_a_held_lane_waits_for_what_holds_it() -> None:
    figures = waiting(
        tally(1, State.PENDING, 5, "9"),
        tally(2, State.PENDING, 2, "3"),
        parts=[Part("retrying", "USD", 1, Decimal(1), TIME)],
    )
    shown = view(figures, held=lambda lane: Reason.GOAL_NOT_FOUND if lane.id == 1 else None)
    assert parts_of(shown) == [
        ("goal_not_found", 5, {"USD": Decimal(9)}),
        (None, 1, {"USD": Decimal(2)}),
        ("retrying", 1, {"USD": Decimal(1)}),
    ]


def test_few_rows_that_were_looked_at_stand_for_the_many() -> None:
    parts = [Part("click_settling", "USD", 750, Decimal(75), TIME), Part("not_yet", "USD", 250, Decimal(25), TIME)]
    shown = view(waiting(tally(1, State.PENDING, 100_000, "10000"), parts=parts, due_rows=20_000))
    assert parts_of(shown) == [
        ("click_settling", 60_000, {"USD": Decimal(6_000)}),
        (None, 20_000, {"USD": Decimal(2_000)}),
        ("not_yet", 20_000, {"USD": Decimal(2_000)}),
    ]


def test_what_waits_adds_up_also_where_estimates_are_rounded() -> None:
    parts = [Part("not_yet", None, 3, Decimal(0), TIME), Part("retrying", "EUR", 4, Decimal("0.333"), TIME)]
    figures = waiting(tally(1, State.PENDING, 11, "1", "EUR"), parts=parts, due_rows=1)
    found = view(figures).waiting()
    assert sum(part.waiting.rows for part in found) == 11
    assert sum(part.waiting.values.get("EUR", Decimal(0)) for part in found) == 1


def test_adjustments_that_wait_are_worth_nothing() -> None:
    figures = waiting(tally(4, State.PENDING, 2, "50"), parts=[Part("awaiting_original", "USD", 2, Decimal(50), TIME)])
    assert parts_of(view(figures)) == [("awaiting_original", 2, {})]


# --- Goals and accounts ----------------------------------------------------------------------------------------------

DELIVERED = tally(1, State.DELIVERED, 2, "5")


def standing(figures: Figures, *concerns: Concern, held: Reason | None = None) -> tuple[Standing, str | None]:
    """That of the goal Sale."""
    events = (replace(EVENTS[0], held=held), *EVENTS[1:])
    [line] = [line for line in view(figures, *concerns, events=events).account_lines() if line.account == "main"]
    return line.goals[0].standing, line.goals[0].headline


def test_goal_records_when_conversions_of_the_last_day_were_delivered() -> None:
    assert standing(received(DELIVERED)) == (Standing.RECORDING, None)
    assert standing(received(tally(3, State.DELIVERED, 2))) == (Standing.NO_RECENT_CONVERSIONS, None)


@pytest.mark.parametrize(
    "worst",
    [
        concern(),
        concern(code="goal_not_enhanced", severity="warning", waits_for=None, lanes=frozenset()),
        concern(code="unmapped", about="event", subject="purchase"),
        concern(code="token_refresh_failed", about="", account=None, lanes=frozenset({1, 2, 3, 4})),
    ],
    ids=lambda one: one.code,
)
def test_goal_needs_attention_when_someone_has_to_act(worst: Concern) -> None:
    assert standing(received(DELIVERED), worst)[0] is Standing.NEEDS_ATTENTION


def test_goal_needs_attention_while_conversions_of_the_last_day_are_dead() -> None:
    found = standing(received(DELIVERED, tally(1, State.DEAD, 1, "7", "EUR")))
    assert found == (Standing.NEEDS_ATTENTION, "1 conversion worth 7 EUR of the last 24 hours is dead.")


@pytest.mark.parametrize(
    ("concerns", "held", "words"),
    [
        ([concern(severity="warning", waits_for="Microsoft asked for a slower pace")], None, "slower pace"),
        ([], Reason.GOAL_SETTLING, "too young"),
        ([], Reason.ACCOUNT_PAUSED, "paused"),
    ],
)
def test_goal_is_held_by_what_passes_by_itself_or_was_wanted(
    concerns: Sequence[Concern], held: Reason | None, words: str
) -> None:
    found, sentence = standing(waiting(tally(1, State.PENDING, 1), DELIVERED), *concerns, held=held)
    assert found is Standing.HELD and sentence is not None and words in sentence


def test_goal_is_held_while_its_first_conversions_wait_by_themselves() -> None:
    own = [Part("awaiting_click", "USD", 2, Decimal(8), TIME), Part("not_yet", "USD", 1, Decimal(1), TIME)]
    figures = waiting(tally(1, State.PENDING, 3, "9"), parts=own)
    assert standing(figures) == (Standing.HELD, "2 conversions worth 8 USD wait for a click of the visitor.")
    delivered = replace(figures, received=[*figures.received, DELIVERED])
    assert standing(delivered) == (Standing.RECORDING, None)


def test_trouble_of_another_goal_and_advice_change_nothing() -> None:
    others = (concern(account="us", lanes=frozenset({3})), concern(subject="Lead", lanes=frozenset({2})), advice())
    assert standing(received(DELIVERED), *others) == (Standing.RECORDING, None)


def test_account_in_trouble_comes_first_with_its_own_sentence() -> None:
    figures = waiting(tally(3, State.PENDING, 1, "8"), DELIVERED)
    worst = concern(account="us", subject="Sale US", lanes=frozenset({3}), waits_for="Microsoft has no goal Sale US")
    lines = view(figures, worst).account_lines()
    assert [(line.account, line.standing) for line in lines] == [
        ("us", Standing.NEEDS_ATTENTION),
        ("main", Standing.RECORDING),
    ]
    assert lines[0].headline.startswith("1 conversion worth 8 USD waits: Microsoft has no goal Sale US")
    assert lines[1].headline == "2 conversions worth 5 USD were delivered in the last 24 hours."
    assert (lines[0].fix, lines[1].fix) == ("Create it.", None)


def test_account_says_what_waits_in_it_and_not_elsewhere() -> None:
    figures = waiting(tally(1, State.PENDING, 2, "4"), tally(3, State.PENDING, 1, "8"))
    everywhere = concern(account=None, about="", lanes=frozenset({1, 2, 3, 4}), waits_for="there is no sign-in")
    lines = view(figures, everywhere).account_lines()
    assert [line.headline.partition(":")[0] for line in lines] == [
        "2 conversions worth 4 USD wait",
        "1 conversion worth 8 USD waits",
    ]
