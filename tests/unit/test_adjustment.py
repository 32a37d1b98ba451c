"""What becomes of an adjustment: every cell of section 5 of the contract, and what it may say."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from sidecar.core.adjustment import (
    Adjustment,
    Apply,
    ById,
    ByOrder,
    Earlier,
    Foreign,
    NotSent,
    Original,
    Retracted,
    SendAdjustment,
    Unfit,
    WaitForOriginal,
    decide,
    place,
)
from sidecar.core.conversion import AdjustmentType
from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds, millis, seconds
from sidecar.core.intake.adjustment import SHAPE, AcceptedAdjustment, read
from sidecar.core.intake.conversion import EventRule, RejectedItem, Rules
from sidecar.core.states_and_reasons import Reason, State

NOW = UnixMillis(1_795_444_245_000)
HOUR = 3_600_000
SETTLE = 6 * HOUR
RESTATE, RETRACT = AdjustmentType.RESTATE, AdjustmentType.RETRACT
MSCLKID = "f894f652ea334e739002f7167ab8f8e3"
TIME = UnixSeconds(seconds(NOW) - 3_600)

PENDING = Original(
    state=State.PENDING,
    reason=None,
    time=TIME,
    sent_time=None,
    settled_at=None,
    currency="USD",
    possibly_sent=False,
)
POSSIBLY = replace(PENDING, possibly_sent=True, sent_time=TIME)
DELIVERED = replace(POSSIBLY, state=State.DELIVERED, settled_at=UnixMillis(NOW - HOUR))
RETRACTED = replace(PENDING, state=State.CANCELED, reason=Reason.RETRACTED.value, settled_at=NOW)


def ended(state: State, reason: str | None = None) -> Original:
    return replace(PENDING, state=state, reason=reason, settled_at=NOW)


def wanted(type_: AdjustmentType, **given: Any) -> Adjustment:
    fields: dict[str, Any] = {"time": seconds(NOW), "time_given": False, "currency": None, **given}
    value = Decimal("79.99") if type_ is RESTATE else None
    return Adjustment(type=type_, target=ByOrder("ORDER-1", None), value=value, **fields)


def earlier(seq: int, type_: AdjustmentType = RESTATE, state: State = State.PENDING, **given: Any) -> Earlier:
    fields: dict[str, Any] = {"possibly_sent": False, "was_claimed": False, "adjusted_at": seconds(NOW), **given}
    return Earlier(seq=seq, type=type_, state=state, **fields)


DUE = SendAdjustment(UnixMillis(NOW - HOUR + SETTLE), seconds(NOW))


@pytest.mark.parametrize(
    ("original", "restate", "retract"),
    [
        (PENDING, Apply(), Apply()),
        (POSSIBLY, WaitForOriginal(), WaitForOriginal()),
        (DELIVERED, DUE, DUE),
        (ended(State.SKIPPED, "no_click"), Apply(), Apply()),
        (ended(State.DEAD, "poison"), Apply(), Apply()),
        (replace(ended(State.DEAD, "too_old"), possibly_sent=True, settled_at=DELIVERED.settled_at), DUE, DUE),
        (ended(State.CANCELED, "discarded"), NotSent(), NotSent()),
        (replace(ended(State.SKIPPED, "erased"), is_erased=True), NotSent(), NotSent()),
        (replace(ended(State.DEAD, "poison"), is_erased=True), NotSent(), NotSent()),
        (RETRACTED, Retracted(None), Retracted(None)),
    ],
    ids=[
        *("never sent", "possibly sent", "delivered", "skipped", "dead", "dead, possibly sent", "canceled"),
        *("skipped and erased", "dead and erased", "retracted"),
    ],
)
def test_every_cell_of_the_contract(original: Original, restate: object, retract: object) -> None:
    assert decide(original, [], wanted(RESTATE), NOW, SETTLE) == restate
    assert decide(original, [], wanted(RETRACT), NOW, SETTLE) == retract


@pytest.mark.parametrize("type_", AdjustmentType)
@pytest.mark.parametrize("original", [PENDING, POSSIBLY, DELIVERED, RETRACTED, ended(State.DEAD)])
def test_conversion_of_more_than_90_days_ago_is_too_old_in_any_state(original: Original, type_: AdjustmentType) -> None:
    old = replace(original, time=UnixSeconds(seconds(NOW) - 90 * DAY_SECONDS - 1))
    decision = decide(old, [], wanted(type_), NOW, SETTLE)
    assert isinstance(decision, Unfit)
    assert decision.problem.code == "too_old"
    just_young = replace(original, time=UnixSeconds(seconds(NOW) - 90 * DAY_SECONDS))
    assert not isinstance(decide(just_young, [], wanted(type_), NOW, SETTLE), Unfit)


@pytest.mark.parametrize("state", [State.PENDING, State.DELIVERED])
@pytest.mark.parametrize("original", [POSSIBLY, DELIVERED])
def test_retract_that_waits_is_in_flight_or_was_accepted_is_not_replaced(original: Original, state: State) -> None:
    before = [earlier(7, RETRACT, state, possibly_sent=True, was_claimed=True)]
    assert decide(original, before, wanted(RESTATE), NOW, SETTLE) == Retracted(7)
    assert decide(original, before, wanted(RETRACT), NOW, SETTLE) == Retracted(7)


def test_retract_of_what_the_conversion_took_the_place_of_says_nothing_of_it() -> None:
    before = [earlier(7, RETRACT, State.DELIVERED, was_claimed=True, received_at=UnixMillis(NOW - 2))]
    newer = replace(PENDING, replaced_at=UnixMillis(NOW - 1))
    assert decide(newer, before, wanted(RESTATE), NOW, SETTLE) == Apply()
    assert decide(replace(newer, replaced_at=UnixMillis(NOW - 2)), before, wanted(RESTATE), NOW, SETTLE) == Retracted(7)


def test_one_adjustment_of_a_dead_conversion_is_on_its_way_at_a_time() -> None:
    dead = replace(ended(State.DEAD, "too_old"), possibly_sent=True)
    before = [earlier(7, possibly_sent=True), earlier(8)]
    assert decide(dead, before, wanted(RESTATE), NOW, SETTLE) == WaitForOriginal((8,))


def test_retract_that_microsoft_refused_retracts_nothing() -> None:
    before = [earlier(7, RETRACT, State.DEAD, was_claimed=True, adjusted_at=UnixSeconds(1))]
    assert decide(DELIVERED, before, wanted(RETRACT), NOW, SETTLE) == DUE


@pytest.mark.parametrize("type_", AdjustmentType)
def test_newer_one_takes_over_from_those_that_wait(type_: AdjustmentType) -> None:
    before = [earlier(7), earlier(8)]
    assert decide(DELIVERED, before, wanted(type_), NOW, SETTLE) == replace(DUE, superseded=(7, 8))
    assert decide(POSSIBLY, before, wanted(type_), NOW, SETTLE) == WaitForOriginal((7, 8))


def test_only_one_is_on_its_way() -> None:
    before = [earlier(6, state=State.DELIVERED, was_claimed=True), earlier(7, possibly_sent=True), earlier(8)]
    assert decide(DELIVERED, before, wanted(RESTATE), NOW, SETTLE) == WaitForOriginal((8,))


def test_times_of_adjustments_strictly_increase() -> None:
    sent_at = UnixSeconds(seconds(NOW) + 40)
    before = [earlier(7, state=State.DELIVERED, was_claimed=True, adjusted_at=sent_at), earlier(8, adjusted_at=TIME)]
    settled = replace(DELIVERED, settled_at=UnixMillis(NOW - SETTLE))
    decision = decide(settled, before, wanted(RESTATE), NOW, SETTLE)
    assert decision == SendAdjustment(millis(UnixSeconds(sent_at + 1)), UnixSeconds(sent_at + 1), (8,))


def test_adjustment_is_never_earlier_than_the_second_its_conversion_was_sent_with() -> None:
    moved = replace(DELIVERED, sent_time=UnixSeconds(TIME + 5))
    decision = place(moved, [], TIME, NOW, SETTLE)
    assert isinstance(decision, SendAdjustment)
    assert decision.adjusted_at == TIME + 5


def test_conversion_that_was_settled_while_the_clock_was_ahead_delays_no_adjustment_for_longer() -> None:
    ahead = replace(DELIVERED, settled_at=UnixMillis(NOW + DAY_SECONDS * 1_000))
    decision = place(ahead, [], TIME, NOW, SETTLE)
    assert isinstance(decision, SendAdjustment)
    assert decision.due_at == NOW + SETTLE


def test_restate_needs_some_currency() -> None:
    without = replace(DELIVERED, currency=None)
    assert isinstance(decide(without, [], wanted(RESTATE), NOW, SETTLE), Unfit)
    assert decide(without, [], wanted(RESTATE, currency="EUR"), NOW, SETTLE) == DUE
    assert decide(without, [], wanted(RETRACT), NOW, SETTLE) == DUE


def test_time_before_the_conversion_is_refused() -> None:
    decision = decide(DELIVERED, [], wanted(RESTATE, time=UnixSeconds(TIME - 1), time_given=True), NOW, SETTLE)
    assert isinstance(decision, Unfit)
    assert decision.problem.code == "before_original"


# --- What it may say -------------------------------------------------------------------------------------------------

RULES = Rules(
    events={"purchase": EventRule(goal="Sidecar Purchase", currency="USD"), "lead": EventRule(goal="Sidecar Lead")},
    accounts=("default",),
)
OWN: dict[str, Any] = {"order_id": "ORDER-1", "type": "restate", "value": Decimal("79.99")}
ELSEWHERE: dict[str, Any] = {"event": "purchase", "time": TIME, "msclkid": MSCLKID}
GIVEN = {"original": ELSEWHERE, "type": "retract"}


def reading(item: object, **given: Any) -> AcceptedAdjustment | RejectedItem:
    return read(item, now=NOW, rules=RULES, **given)


def adjustment(item: object) -> Adjustment:
    found = reading(item)
    assert isinstance(found, AcceptedAdjustment), found
    return found.adjustment


def problems(item: object, **given: Any) -> set[tuple[str, str]]:
    found = reading(item, **given)
    assert isinstance(found, RejectedItem), found
    return {(problem.field, problem.code) for problem in found.problems}


def test_restate_says_the_new_total() -> None:
    found = adjustment({**OWN, "currency": "eur", "event": "purchase"})
    assert (found.type, found.value, found.currency) == (RESTATE, Decimal("79.99"), "EUR")
    assert found.target == ByOrder("ORDER-1", "purchase")
    assert (found.time, found.time_given) == (seconds(NOW), False)


def test_conversion_is_named_by_its_id_too() -> None:
    assert adjustment({"conversion_id": "conv_17", "type": "retract"}).target == ById(17, None)


def test_conversion_that_was_uploaded_elsewhere_is_named_by_what_it_was_uploaded_with() -> None:
    target = adjustment(GIVEN).target
    assert isinstance(target, Foreign)
    assert (target.account, target.event, target.time, target.msclkid) == ("default", "purchase", TIME, MSCLKID)
    assert target.original < 0
    other = adjustment({**GIVEN, "original": {**ELSEWHERE, "time": TIME - 1}}).target
    assert isinstance(other, Foreign)
    assert other.original != target.original


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ({"type": "restate", "order_id": "O"}, {("value", "value_required")}),
        ({"type": "retract", "order_id": "O", "value": 1, "currency": "USD"},
         {("value", "not_with_retract"), ("currency", "not_with_retract")}),
        ({**OWN, "type": "refund"}, {("type", "unknown_type")}),
        ({"value": 5}, {("type", "required"), ("order_id", "required")}),
        ({**OWN, "conversion_id": "conv_1"}, {("conversion_id", "one_original")}),
        ({"type": "retract", "conversion_id": "adj_1"}, {("conversion_id", "invalid_id")}),
        ({**OWN, "orderid": "O"}, {("orderid", "unknown_field")}),
        ({**OWN, "value": "5", "time": "2026-11-23T14:30:45"}, {("value", "not_a_number"),
                                                                  ("time", "time_without_offset")}),
        ({**OWN, "time": seconds(NOW) + 301}, {("time", "in_future")}),
        ({**OWN, "time": seconds(NOW) - 91 * DAY_SECONDS}, {("time", "too_old")}),
        ({**GIVEN, "event": "purchase"}, {("event", "one_original")}),
        ({**GIVEN, "original": {}}, {("original.event", "required"), ("original.time", "required"),
                                     ("original.msclkid", "identifier_required")}),
        ({**GIVEN, "original": {**ELSEWHERE, "event": "nothing"}}, {("original.event", "unknown_event")}),
        ({**GIVEN, "time": TIME - 1}, {("time", "before_original")}),
        ({"original": {**ELSEWHERE, "event": "lead"}, "type": "restate", "value": 5},
         {("currency", "currency_required")}),
        ("ORDER-1", {("", "not_an_object")}),
    ],
)  # fmt: skip
def test_everything_that_is_wrong_is_found_at_once(item: object, found: set[tuple[str, str]]) -> None:
    assert problems(item) == found


def test_idempotency_key_is_a_namespace_of_its_own() -> None:
    found = reading(OWN, idempotency_key="k")
    assert isinstance(found, AcceptedAdjustment)
    key = found.adjustment.key()
    assert key is not None
    assert key.digest is not None
    assert problems(OWN, idempotency_key="") == {("Idempotency-Key", "empty")}


def test_same_content_is_the_same_total_currency_and_time_if_given() -> None:
    first = adjustment(OWN).content(1, "USD")
    assert adjustment({**OWN, "value": Decimal("79.990"), "currency": "usd"}).content(1, "USD") == first
    differing = (
        adjustment(OWN).content(2, "USD"),
        adjustment(OWN).content(1, "EUR"),
        adjustment({**OWN, "value": 80}).content(1, "USD"),
        adjustment({**OWN, "time": seconds(NOW)}).content(1, "USD"),
    )
    assert len({first, *differing}) == 5


def test_total_with_more_than_three_decimals_is_rounded_half_up_with_a_warning() -> None:
    found = reading({**OWN, "value": Decimal("7.7225")})
    assert isinstance(found, AcceptedAdjustment)
    assert found.adjustment.value == Decimal("7.723")
    assert [(warning.code, warning.field) for warning in found.warnings] == [("value_rounded", "value")]
    assert found.adjustment.content(1, "USD") == adjustment({**OWN, "value": Decimal("7.723")}).content(1, "USD")


def test_blanks_around_what_names_the_conversion_are_taken_off() -> None:
    assert adjustment({**OWN, "order_id": " ORDER-1 ", "event": "purchase\n"}).target == ByOrder("ORDER-1", "purchase")
    assert adjustment({"conversion_id": " conv_17 ", "type": "retract"}).target == ById(17, None)


def test_null_means_absent() -> None:
    assert adjustment({**dict.fromkeys(SHAPE.names), **OWN}) == adjustment(OWN)
