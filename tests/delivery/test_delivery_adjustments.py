"""A refund finds its order: adjustments on their way to Microsoft, in every state of their conversion."""

import asyncio
import random
from decimal import Decimal
from typing import Any

import pytest
from delivery_kit import ADJUST, APPLY, HOUR, MINUTE, SECOND, Rig

from sidecar.core.adjustment import Foreign
from sidecar.core.instant import UnixSeconds
from sidecar.emulator.fault_script import ActiveRule
from sidecar.ports.intake import AlreadyRetracted, Replayed, Stored

PERSON: dict[str, Any] = {"msclkid": None, "email_sha256": "a" * 64, "phone_sha256": "b" * 64}


async def adjusted(rig: Rig, seq: int | None, value: str | None = None, **given: Any) -> int:
    """The number of an adjustment that was stored."""
    result = await rig.adjust(seq, value, **given)
    assert isinstance(result, Stored), result
    return result.record.seq


async def delivered(rig: Rig, count: int = 1, **given: Any) -> list[int]:
    seqs = await rig.post(count, **given)
    await rig.until_pending(0)
    return seqs


async def at_microsoft(rig: Rig) -> list[tuple[str | None, str | None]]:
    """What counts at the end: of each conversion how it was adjusted and to which value, else its own value."""
    return [
        (item["adjusted"], item["adjusted_value"] if item["adjusted"] else str(item["row"]["ConversionValue"]))
        for item in await rig.ledger()
    ]


def upsets(rig: Rig, fault: str, **given: Any) -> ActiveRule:
    """One upload ends with `fault`; `slow` until the fault is removed."""
    if fault == "slow":
        return rig.hold(**given)
    if fault == "hang":
        rig.configure(request_timeout=1.0)
    return rig.fault(type=fault, **given)


def reason(rig: Rig, seq: int) -> tuple[str, str | None]:
    row = rig.row(seq)
    return row["state"], row["reason"]


@pytest.mark.parametrize(
    ("value", "person"), [("5", {}), (None, {}), ("5", PERSON), (None, PERSON)], ids=["restate", "retract"] * 2
)
async def test_adjustment_goes_out_six_hours_after_its_conversion(
    rig: Rig, value: str | None, person: dict[str, Any]
) -> None:
    (seq,) = await delivered(rig, **person)
    row = await adjusted(rig, seq, value)
    rig.pass_time(6 * HOUR - MINUTE)
    await rig.give_time(0.2)
    assert await rig.adjustments() == []
    rig.pass_time(MINUTE)
    await rig.until_pending(0)
    assert await at_microsoft(rig) == [("Restate" if value else "Retract", value)]
    assert reason(rig, row) == ("delivered", None)
    await rig.balance()


async def test_conversion_that_was_moved_to_another_second_is_named_by_that(rig: Rig) -> None:
    """Two orders of one person in one second: the refund of the second one must not hit the first."""
    first, second = await delivered(rig, 2, msclkid="f" * 32, value="10")
    assert rig.row(second)["sent_time"] == rig.row(first)["sent_time"] + 1
    await adjusted(rig, second)
    rig.pass_time(6 * HOUR)
    await rig.until_pending(0)
    assert await at_microsoft(rig) == [(None, "10"), ("Retract", None)]
    await rig.balance()


async def test_changed_mapping_does_not_change_what_an_adjustment_names(rig: Rig) -> None:
    (seq,) = await delivered(rig)
    await adjusted(rig, seq, "5")
    rig.map(purchase="Sidecar Lead")
    rig.pass_time(6 * HOUR)
    await rig.until_pending(0)
    assert await at_microsoft(rig) == [("Restate", "5")]
    await rig.balance()


async def test_refund_before_the_upload_is_no_call_at_all(rig: Rig) -> None:
    rig.configure(linger=1)
    rig.clock.stop()
    kept, gone = await rig.post(2, value="10")
    await adjusted(rig, kept, "4")
    await adjusted(rig, gone)
    rig.pass_time(SECOND)
    await rig.until_pending(0)
    assert reason(rig, gone) == ("canceled", "retracted")
    assert await at_microsoft(rig) == [(None, "4")]
    assert await rig.requests(ADJUST) == []
    await rig.balance()


@pytest.mark.parametrize("fault", ["slow", "hang", "reset_before", "reset_after"])
@pytest.mark.parametrize("value", ["5", None], ids=["restate", "retract"])
async def test_adjustment_that_comes_while_the_conversion_is_on_its_way_follows_it(
    rig: Rig, fault: str, value: str | None
) -> None:
    under_way = upsets(rig, fault)
    (seq,) = await rig.post(value="10")
    await rig.until(lambda: under_way.fired)
    rig.configure(request_timeout=60.0)
    row = await adjusted(rig, seq, value)
    rig.clear_faults()
    assert reason(rig, row) in (("pending", "awaiting_original"), ("pending", "not_yet"))
    await rig.hurry(1)
    assert reason(rig, row) == ("pending", "not_yet")
    rig.pass_time(6 * HOUR)
    await rig.until_pending(0)
    assert await at_microsoft(rig) == [("Restate" if value else "Retract", value)]
    await rig.balance()


async def test_adjustment_of_a_conversion_whose_answer_was_lost_waits_through_a_crash(rig: Rig) -> None:
    rig.fault(type="reset_after")
    (seq,) = await rig.post(value="10")
    await rig.until(lambda: rig.row(seq)["maybe_sent"])
    row = await adjusted(rig, seq, "5")
    await rig.crash()
    await rig.start()
    await rig.hurry(1)
    rig.pass_time(6 * HOUR)
    await rig.until_pending(0)
    assert reason(rig, row) == ("delivered", None)
    assert await at_microsoft(rig) == [("Restate", "5")]
    await rig.balance()


async def test_adjustment_of_a_throttled_conversion_is_applied_to_it(rig: Rig) -> None:
    rig.stop_clock()
    rig.fault(type="fault", code=117, status=429, retry_after=30)
    kept, gone = await rig.post(2, value="10")
    await rig.until(lambda: "throttled" in rig.active_troubles())
    await adjusted(rig, kept, "5")
    await adjusted(rig, gone)
    rig.pass_time(31 * SECOND)
    await rig.until_pending(0)
    assert await at_microsoft(rig) == [(None, "5")]
    await rig.balance()


async def test_adjustment_of_a_conversion_that_microsoft_asked_for_again_is_applied_to_it(rig: Rig) -> None:
    rig.fault(type="partial_errors", code=5614)
    (seq,) = await rig.post(value="10")
    await rig.until(lambda: rig.row(seq)["reason"] == "retrying")
    await adjusted(rig, seq, "5")
    await rig.hurry(step=MINUTE)
    assert await at_microsoft(rig) == [(None, "5")]
    await rig.balance()


async def test_refunded_order_that_was_refused_is_not_uploaded_by_a_replay(rig: Rig) -> None:
    under_way = rig.hold()
    rig.fault(type="partial_errors", code=5604)
    (early,) = await rig.post()
    await rig.until(lambda: under_way.fired)
    row = await adjusted(rig, early)
    rig.clear_faults()
    await rig.until_pending(0)
    assert reason(rig, early) == reason(rig, row) == ("canceled", "retracted")
    rig.fault(type="partial_errors", code=5604)
    (late,) = await rig.post()
    await rig.until_pending(0)
    await adjusted(rig, late)
    for seq in (early, late):
        await rig.parts.store.outbox.replay(seq, rig.clock())
    rig.wake_couriers()
    await rig.until_pending(0)
    assert await rig.ledger() == []
    await rig.balance()


async def test_restated_order_that_was_refused_is_uploaded_by_a_replay_with_its_new_value(rig: Rig) -> None:
    rig.fault(type="partial_errors", code=5604)
    (seq,) = await rig.post()
    await rig.until_pending(0)
    await adjusted(rig, seq, "4")
    await rig.parts.store.outbox.replay(seq, rig.clock())
    rig.wake_couriers()
    await rig.until_pending(0)
    assert await at_microsoft(rig) == [(None, "4")]
    await rig.balance()


async def test_several_restates_leave_the_last_one(rig: Rig) -> None:
    (seq,) = await delivered(rig)
    for value in ("9", "8"):
        await adjusted(rig, seq, value)
    rig.pass_time(6 * HOUR)
    await rig.until_pending(0)
    for value in ("7", "6"):
        await adjusted(rig, seq, value)
        await rig.hurry()
    taken = await rig.adjustments()
    assert [item["row"]["AdjustmentValue"] for item in taken] == [8, 7, 6]
    times = [item["row"]["AdjustmentTime"] for item in taken]
    assert times == sorted(set(times))
    assert await at_microsoft(rig) == [("Restate", "6")]
    await rig.balance()


@pytest.mark.parametrize("fault", ["slow", "hang", "reset_before", "reset_after"])
async def test_retract_waits_for_the_restate_that_is_on_its_way(rig: Rig, fault: str) -> None:
    (seq,) = await delivered(rig)
    restate = await adjusted(rig, seq, "9")
    under_way = upsets(rig, fault, match={"operation": ADJUST})
    rig.pass_time(6 * HOUR)
    await rig.until(lambda: under_way.fired)
    rig.configure(request_timeout=60.0)
    retract = await adjusted(rig, seq)
    assert isinstance(await rig.adjust(seq), Replayed)
    assert isinstance(await rig.adjust(seq, "3"), AlreadyRetracted)
    rig.clear_faults()
    await rig.hurry()
    assert [reason(rig, row) for row in (restate, retract)] == [("delivered", None)] * 2
    assert [item["row"]["AdjustmentType"] for item in await rig.adjustments()] == ["Restate", "Retract"]
    assert await at_microsoft(rig) == [("Retract", None)]
    await rig.balance()


async def test_lost_answer_to_an_adjustment_sends_the_same_bytes_again(rig: Rig) -> None:
    seqs = await delivered(rig, 5)
    rig.fault(match={"operation": ADJUST}, times=2, type="reset_after")
    for seq in seqs:
        await adjusted(rig, seq, "1")
    rig.pass_time(6 * HOUR)
    await rig.hurry()
    requests = await rig.requests(ADJUST)
    assert len(requests) == 3
    assert len({request["body_sha256"] for request in requests}) == 1
    await rig.balance()


async def test_adjustments_that_get_no_answer_keep_no_conversion_of_their_goal_waiting(rig: Rig) -> None:
    (seq,) = await rig.post()
    await rig.until_pending(0)
    failing = rig.fault(times=None, match={"operation": ADJUST}, type="status", status=503)
    await adjusted(rig, seq)
    rig.pass_time(6 * HOUR)
    await rig.until(lambda: failing.fired >= 1)
    await rig.post(3)
    await rig.hurry(count=1)
    assert {row["state"] for row in rig.rows("original IS NULL")} == {"delivered"}
    rig.clear_faults()
    await rig.hurry()
    await rig.balance()


async def test_throttled_adjustments_wait_as_conversions_do(rig: Rig) -> None:
    (seq,) = await delivered(rig)
    await adjusted(rig, seq, "5")
    rig.fault(match={"operation": ADJUST}, type="fault", code=117, status=429, retry_after=30)
    rig.pass_time(6 * HOUR)
    await rig.until(lambda: "throttled" in rig.active_troubles())
    rig.pass_time(31 * SECOND)
    await rig.until_pending(0)
    assert await at_microsoft(rig) == [("Restate", "5")]
    await rig.balance()


async def test_expired_token_costs_an_adjustment_nothing(rig: Rig) -> None:
    (seq,) = await delivered(rig)
    row = await adjusted(rig, seq, "5")
    await rig.expire_tokens()
    rig.pass_time(6 * HOUR)
    await rig.until_pending(0)
    assert await at_microsoft(rig) == [("Restate", "5")]
    assert [rig.row(row)[count] for count in ("retries", "refusals", "maybe_sent")] == [0, 0, 0]
    await rig.balance()


async def test_goal_that_is_gone_holds_adjustments_which_keep_what_they_name(rig: Rig) -> None:
    (seq,) = await delivered(rig)
    row = await adjusted(rig, seq, "5")
    rig.fault(match={"operation": ADJUST}, type="partial_errors", code=5606)
    rig.pass_time(6 * HOUR)
    await rig.until(lambda: rig.row(row)["error"] == "OfflineConversionNameInvalid")
    assert rig.row(row)["goal"] == "Sidecar Purchase"
    await rig.hurry(step=MINUTE)
    assert await at_microsoft(rig) == [("Restate", "5")]
    await rig.balance()


async def test_one_adjustment_that_is_refused_ends_alone(rig: Rig) -> None:
    seqs = await delivered(rig, 3)
    rows = [await adjusted(rig, seq, "5") for seq in seqs]
    rig.fault(match={"operation": ADJUST}, type="partial_errors", indexes=[1], code=5623)
    rig.pass_time(6 * HOUR)
    await rig.until_pending(0)
    assert [reason(rig, row)[0] for row in rows] == ["delivered", "dead", "delivered"]
    (died,) = await rig.journal("row_died")
    assert died.conversion_id == f"adj_{rows[1]}"
    await rig.balance()


async def test_conversions_and_adjustments_of_a_goal_go_in_requests_of_their_own(rig: Rig) -> None:
    seqs = await delivered(rig, 10)
    for seq in seqs:
        await adjusted(rig, seq, "5")
    rig.pass_time(6 * HOUR)
    await rig.post(10)
    await rig.until_pending(0)
    assert sum(request["rows"] for request in await rig.requests(APPLY)) == 20
    assert sum(request["rows"] for request in await rig.requests(ADJUST)) == 10
    await rig.balance()


async def test_conversion_that_was_uploaded_elsewhere_is_adjusted_by_what_it_was_uploaded_with(rig: Rig) -> None:
    (seq,) = await delivered(rig)
    row = rig.row(seq)
    elsewhere = Foreign(
        account="main",
        event="purchase",
        time=UnixSeconds(row["sent_time"]),
        msclkid=row["click"],
        email_sha256=None,
        phone_sha256=None,
        currency="USD",
    )
    adjustment = await adjusted(rig, None, "5", target=elsewhere)
    assert reason(rig, adjustment) == ("pending", "not_yet")
    rig.pass_time(6 * HOUR)
    await rig.until_pending(0)
    assert await at_microsoft(rig) == [("Restate", "5")]
    await rig.balance()


FAULTS: list[dict[str, Any]] = [
    {"type": "reset_after"},
    {"type": "reset_before"},
    {"type": "slow", "seconds": 0.05},
    {"type": "status", "status": 504, "body": "", "applied": True},
    {"type": "fault", "code": 117, "status": 429, "retry_after": 1},
    {"type": "partial_errors", "every_nth": 2, "code": 5614},
]


@pytest.mark.parametrize("seed", range(4))
async def test_microsoft_ends_with_the_last_adjustment_of_each_conversion(rig: Rig, seed: int) -> None:
    """A small model: the last value that was said counts, and nothing after a retract."""
    chance = random.Random(seed)
    model: dict[int, Decimal | None] = {}
    for _ in range(40):
        match chance.choice(["order", "order", "adjust", "adjust", "adjust", "time", "fault"]):
            case "order":
                (seq,) = await rig.post()
                model[seq] = Decimal(rig.row(seq)["value"])
            case "adjust" if model:
                seq = chance.choice(list(model))
                value = None if chance.random() < 0.3 else str(chance.randint(1, 59))
                result = await rig.adjust(seq, value, idempotency_key=f"{chance.random()}")
                if model[seq] is None:
                    assert isinstance(result, AlreadyRetracted if value else Replayed)
                else:
                    assert isinstance(result, Stored)
                    model[seq] = None if value is None else Decimal(value)
            case "time":
                await asyncio.sleep(chance.random() * 0.1)  # requests are at different points when time passes
                rig.pass_time(chance.choice([SECOND, MINUTE, 2 * HOUR, 6 * HOUR]))
            case "fault":
                match = {"operation": chance.choice([APPLY, ADJUST])}
                rig.fault(match=match, **chance.choice(FAULTS))
    rig.clear_faults()
    await rig.hurry(step=10 * MINUTE)
    await rig.balance()
    theirs = {item["row"]["MicrosoftClickId"]: item for item in await rig.ledger()}
    for seq, value in model.items():
        item = theirs.get(rig.row(seq)["msclkid"])
        if value is None:
            assert item is None or item["adjusted"] == "Retract"
        else:
            assert item is not None
            counted = item["adjusted_value"] if item["adjusted"] else str(item["row"]["ConversionValue"])
            assert Decimal(counted) == value
