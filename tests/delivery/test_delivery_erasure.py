"""An erasure takes back at Microsoft what was uploaded, before it forgets by what Microsoft would know it."""

from decimal import Decimal

from delivery_kit import HOUR, MINUTE, Rig

from sidecar.core.adjustment import Adjustment, ById
from sidecar.core.conversion import AdjustmentType
from sidecar.core.erasure import ErasureRequest, Phase, Subject
from sidecar.core.instant import seconds
from sidecar.ports.intake import Adjusting, Stored

ADJUST = "OfflineConversionAdjustments/Apply"
EMAIL = "ec81f3ac7b2b19675bab9d54cf416f9f18cff87c97da5cca82c0f0891bc40602"


async def phase(rig: Rig, number: int) -> Phase:
    """How far the erasure is, after another round."""
    rig.parts.eraser.lag_seconds = 0
    await rig.parts.eraser.round()
    job = await rig.parts.store.erasures.get(number)
    assert job is not None
    return job.phase


async def adjusted(rig: Rig) -> list[str]:
    """What Microsoft was told of its conversions."""
    page = await rig.emulator.ledger("adjustments", limit=100)
    return [item["row"]["AdjustmentType"] for item in page["items"]]


async def adjust(rig: Rig, seq: int, value: str | None = None) -> None:
    """A restate to `value`, else a retract, comes in."""
    now = rig.clock()
    wanted = Adjustment(
        type=AdjustmentType.RETRACT if value is None else AdjustmentType.RESTATE,
        target=ById(seq, None),
        value=None if value is None else Decimal(value),
        currency=None,
        time=seconds(now),
        time_given=False,
    )
    (result,) = await rig.parts.store.outbox.adjust([Adjusting(wanted, now, "request-2")])
    assert isinstance(result, Stored)


async def ended(rig: Rig, number: int) -> None:
    await rig.until_counts(lambda counts: counts.pending == 0)
    assert await phase(rig, number) is Phase.DONE
    columns = ("msclkid", "click", "email_sha256", "phone_sha256", "order_id", "identity")
    assert {row[column] for row in rig.rows() for column in columns} == {None}


async def test_what_was_uploaded_is_retracted_and_then_forgotten(rig: Rig) -> None:
    await rig.post(2, email_sha256=EMAIL)
    await rig.until_pending(0)
    job = await rig.parts.store.erasures.add(ErasureRequest(Subject.EMAIL, EMAIL, retract=True), rig.clock())
    assert await phase(rig, job.id) is Phase.WAITING
    assert rig.count("type = 'retract'") == 2
    assert await phase(rig, job.id) is Phase.WAITING, "a second round queues nothing more"
    assert rig.count("type = 'retract'") == 2
    rig.pass_time(6 * HOUR)
    await ended(rig, job.id)
    assert await adjusted(rig) == ["Retract", "Retract"]


async def test_refund_that_waits_goes_out_before_the_person_is_forgotten(rig: Rig) -> None:
    (seq,) = await rig.post(1, email_sha256=EMAIL)
    await rig.until_pending(0)
    await adjust(rig, seq)
    job = await rig.parts.store.erasures.add(ErasureRequest(Subject.ORDER, f"ORDER-{seq}"), rig.clock())
    assert await phase(rig, job.id) is Phase.WAITING
    rig.pass_time(6 * HOUR)
    await ended(rig, job.id)
    assert await adjusted(rig) == ["Retract"]


async def test_refund_behind_one_whose_answer_was_lost_still_goes_out(rig: Rig) -> None:
    """What waits names the conversion as that was sent: it is not forgotten before."""
    rig.stop_clock()
    (seq,) = await rig.post(1, email_sha256=EMAIL)
    await rig.until_pending(0)
    await adjust(rig, seq, "5")
    rig.fault(match={"operation": ADJUST}, type="reset_after")
    rig.pass_time(6 * HOUR)
    await rig.until(lambda: rig.count("maybe_sent = 1 AND type = 'restate'") == 1)
    rig.parts.gates.pause("main", rig.clock())
    await adjust(rig, seq)
    job = await rig.parts.store.erasures.add(ErasureRequest(Subject.EMAIL, EMAIL), rig.clock())
    assert await phase(rig, job.id) is Phase.WAITING
    rig.parts.gates.resume("main")
    rig.pass_time(MINUTE)
    await rig.until(lambda: rig.count("type = 'restate' AND state = 'delivered'") == 1)
    rig.pass_time(HOUR)
    await ended(rig, job.id)
    assert await adjusted(rig) == ["Restate", "Retract"]
    assert (await rig.parts.store.erasures.get(job.id)).conversions == 1  # type: ignore[union-attr]


async def test_adjustment_that_comes_in_while_a_person_is_forgotten_is_forgotten_too(rig: Rig) -> None:
    rig.stop_clock()
    rig.fault(type="reset_after")
    (seq,) = await rig.post(1, email_sha256=EMAIL)
    await rig.until(lambda: rig.count("maybe_sent = 1") == 1)
    rig.parts.gates.pause("main", rig.clock())
    job = await rig.parts.store.erasures.add(ErasureRequest(Subject.EMAIL, EMAIL, retract=True), rig.clock())
    assert await phase(rig, job.id) is Phase.WAITING
    await adjust(rig, seq, "5")
    rig.parts.gates.resume("main")
    rig.pass_time(MINUTE)
    await rig.until(lambda: rig.row(seq)["state"] == "delivered")
    assert await phase(rig, job.id) is Phase.WAITING
    rig.pass_time(6 * HOUR)
    await ended(rig, job.id)
    found = await rig.parts.store.erasures.get(job.id)
    assert found is not None
    assert (found.conversions, found.retracted) == (1, 1)


async def test_adjustment_of_what_was_never_sent_ends_with_it(rig: Rig) -> None:
    rig.parts.gates.pause("main", rig.clock())
    await rig.post(1, email_sha256=EMAIL)
    job = await rig.parts.store.erasures.add(ErasureRequest(Subject.EMAIL, EMAIL, retract=True), rig.clock())
    assert await phase(rig, job.id) is Phase.DONE
    await ended(rig, job.id)
    assert [row["reason"] for row in rig.rows()] == ["erased"]
    assert await adjusted(rig) == []
