"""Other ids under the same account's name: another account at Microsoft. Nothing of one order gets into both."""

from typing import Any

import pytest
from delivery_kit import ADJUST, DEFINITE, HOUR, MINUTE, Rig

from sidecar.core.record import Record
from sidecar.service.held_reason import held_reason

OLD, NEW = "200000001", "200000777"


@pytest.fixture(autouse=True)
def short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """New rows wait a minute for the answer to a lost request: for one that cannot come, too."""
    monkeypatch.setattr("sidecar.core.in_flight.SILENCE_SECONDS", 0.1)


async def sent_to(rig: Rig, operation: str = "OfflineConversions/Apply") -> list[str]:
    """The account id of each request."""
    page = await rig.emulator.ledger("requests", limit=10_000)
    return [item["account_id"] for item in page["items"] if item["operation"] == operation]


async def agree(rig: Rig) -> None:
    """All rows were delivered, and both accounts together have each order once."""
    assert {row["state"] for row in rig.rows()} == {"delivered"}
    values = [str(item["row"]["ConversionValue"]) for item in await rig.ledger()]
    assert sorted(values) == sorted(row["value"] for row in rig.rows())


async def shown(rig: Rig, seq: int) -> tuple[str | None, str]:
    """The reason that the row shows, and its words."""
    record = await rig.parts.store.outbox.get(seq)
    assert isinstance(record, Record)
    held = held_reason(rig.parts, record, rig.clock())
    return (None, "") if held is None else (held.reason, held.words.cause if held.words else "")


async def possibly_sent(rig: Rig, count: int = 2) -> list[int]:
    """Rows in a batch that may be at Microsoft; they go again once the test lets time pass."""
    rig.stop_clock()
    rig.fault(type="reset_after")
    seqs = await rig.post(count)
    await rig.until(lambda: rig.count("claimed = 1 AND maybe_sent = 1") == count)
    return seqs


async def test_batch_that_may_have_been_sent_waits_until_the_old_ids_return(rig: Rig) -> None:
    seqs = await possibly_sent(rig)
    rig.move(NEW)
    await rig.post(1)
    await rig.hurry(count=2)
    rig.pass_time(HOUR)
    await rig.give_time(0.2)
    assert await sent_to(rig) == [OLD, NEW]
    for seq in seqs:
        reason, words = await shown(rig, seq)
        assert reason == "unmapped"
        assert OLD in words and NEW in words
    elsewhere = await rig.parts.store.outbox.waiting_elsewhere("main", f"100000001/{NEW}")
    assert {ids: waiting.rows for ids, waiting in elsewhere.items()} == {f"100000001/{OLD}": 2}
    (standing,) = await rig.parts.waiting.look_at_unmapped()
    assert OLD in standing.message and NEW in standing.message and "2 " in standing.message
    rig.move(OLD)
    assert await rig.parts.waiting.look_at_unmapped() == []
    await rig.hurry()
    assert (await sent_to(rig))[-1] == OLD
    assert {row["state"] for row in rig.rows()} == {"delivered"}
    await agree(rig)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("fault", DEFINITE)
async def test_batch_that_was_refused_each_time_follows_the_new_ids(rig: Rig, fault: str, restarts: bool) -> None:
    rig.fault(**DEFINITE[fault])
    await rig.post(3)
    await rig.until(lambda: rig.count("claimed = 1 AND error IS NOT NULL") == 3)
    if restarts:
        await rig.crash()  # the ids change between two lives
    rig.move(NEW)
    if restarts:
        await rig.start()
    await rig.hurry(step=MINUTE)
    assert await sent_to(rig) == [OLD, NEW]
    await agree(rig)


async def test_rows_that_were_never_sent_follow_the_new_ids(rig: Rig) -> None:
    await rig.parts.pauses.pause("main")
    await rig.post(3)
    rig.move(NEW)
    await rig.parts.pauses.resume("main")
    await rig.until_pending(0)
    assert await sent_to(rig) == [NEW]
    await agree(rig)


async def test_adjustments_of_what_was_delivered_to_the_old_account_wait_until_its_ids_return(rig: Rig) -> None:
    (before,) = await rig.post(1)
    await rig.until_pending(0)
    rig.move(NEW)
    (after,) = await rig.post(1)
    await rig.until_pending(0)
    for seq in (before, after):
        await rig.adjust(seq)
    rig.pass_time(7 * HOUR)
    await rig.until_pending(1)
    await rig.give_time(0.2)
    assert await sent_to(rig, ADJUST) == [NEW]
    (waiting,) = rig.rows("state = 'pending'")
    assert waiting["original"] == before
    reason, words = await shown(rig, waiting["seq"])
    assert reason == "unmapped" and OLD in words and NEW in words
    rig.move(OLD)
    await rig.until_pending(0)
    assert await sent_to(rig, ADJUST) == [NEW, OLD]


async def test_row_that_was_asked_for_again_by_itself_waits_for_the_old_ids(rig: Rig) -> None:
    (kept,) = await possibly_sent(rig, 1)
    rig.fault(type="partial_errors", code=5614)
    rig.pass_time(MINUTE)
    await rig.until(lambda: rig.row(kept)["reason"] == "retrying")
    rig.move(NEW)
    rig.pass_time(7 * HOUR)
    await rig.post(1)
    await rig.until_pending(1)
    await rig.give_time(0.2)
    assert rig.row(kept)["state"] == "pending"
    assert (await sent_to(rig))[-1] == NEW
    rig.move(OLD)
    await rig.hurry(step=MINUTE)
    await agree(rig)


async def test_ids_that_change_between_permit_and_upload_send_nothing_to_the_new_account(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, moves = rig.parts.store.outbox.claim, [NEW]

    async def moving(*given: Any) -> Any:
        claim = await taken(*given)
        if moves:
            rig.move(moves.pop())
        return claim

    monkeypatch.setattr(rig.parts.store.outbox, "claim", moving)
    await rig.post(2)
    await rig.until_pending(0)
    assert await sent_to(rig) == [NEW]
    assert await rig.journal("loop_failed") == []
    await agree(rig)


async def test_only_what_waits_for_old_ids_may_be_given_up_though_it_may_have_been_sent(rig: Rig) -> None:
    first, second = await possibly_sent(rig)
    identity = rig.parts.settings.identities()["main"]
    assert type(await rig.parts.store.outbox.discard(first, rig.clock(), identity)).__name__ == "Unmoved"
    rig.move(NEW)
    identity = rig.parts.settings.identities()["main"]
    assert type(await rig.parts.store.outbox.discard(first, rig.clock(), identity)).__name__ == "Moved"
    assert (rig.row(first)["state"], rig.row(first)["reason"]) == ("canceled", "discarded")
    rig.move(OLD)
    await rig.hurry()
    assert rig.row(second)["state"] == "delivered"
    assert len(rig.rows("state = 'pending'")) == 0


async def test_batch_whose_account_moves_between_claim_and_upload_is_put_back_unsent(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be noted as sent to the one account, and be at the other."""
    taken, moves = rig.parts.store.outbox.claim, list[str]()

    async def moving(*given: Any) -> Any:
        claim = await taken(*given)
        if not moves:
            moves.append(NEW)
            moved = rig.config.accounts["main"].model_copy(update={"account_id": NEW})
            rig._take_up(rig.config.model_copy(update={"accounts": {**rig.config.accounts, "main": moved}}))
        return claim

    monkeypatch.setattr(rig.parts.store.outbox, "claim", moving)
    (seq,) = await rig.post(1)
    await rig.hurry()
    assert await sent_to(rig) == [NEW]
    assert rig.row(seq)["attempt"] == 2
    assert rig.row(seq)["maybe_sent"] == 0
