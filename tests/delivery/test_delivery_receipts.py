"""Receipts of what really happened: each request that carried a row is told, as the other side counted them."""

from typing import Any

import pytest
from delivery_kit import DAY, MINUTE, Rig

from sidecar.core.attempts import Attempt, attempts
from sidecar.core.instant import UnixMillis
from sidecar.core.unstored import What, unstored
from sidecar.emulator import uploads
from sidecar.emulator.error_bodies import Refused


async def attempts_of(rig: Rig, seq: int) -> tuple[Attempt, ...]:
    trace = await rig.parts.store.traces.of(seq)
    assert trace is not None
    return attempts(trace.record, trace.past, trace.batches)


THROTTLED = {"type": "status", "status": 429, "retry_after": 60}
SERVER = {"type": "status", "status": 500}
CODE = {"type": "fault", "code": 117, "status": 400}
ROW = {"type": "partial_errors", "code": 5614}


@pytest.mark.parametrize(
    ("faults", "answers"),
    [
        ([THROTTLED, THROTTLED], ["asked to wait 60 s: Http429", "asked to wait 60 s: Http429"]),
        ([CODE], ["asked to wait 60 s: CallRateExceeded (117)"]),
        ([SERVER, {"type": "reset_before"}], ["server failed: Http500", "no readable answer (the connection"]),
        ([{"type": "reset_after"}, ROW], ["no readable answer", "answered FutureConversionTimeCannotBeSet (5614)"]),
        ([{"type": "malformed", "body": "html"}], ["no readable answer"]),
        ([ROW, THROTTLED, ROW], ["(5614)", "Http429", "(5614)"]),
    ],
)
async def test_receipt_lists_each_request_with_its_answer(
    rig: Rig, faults: list[dict[str, Any]], answers: list[str]
) -> None:
    for fault in faults:
        rig.fault(**fault)
    (seq,) = await rig.post()
    await rig.hurry(step=5_000)
    told = await attempts_of(rig, seq)
    theirs = await rig.requests()
    assert len(told) == len(theirs) == len(faults) + 1
    assert [one.number for one in told] == list(range(1, len(theirs) + 1))
    for one, words in zip(told, [*answers, "Microsoft took it"], strict=True):
        assert words in one.answer
        assert one.rows == 1 and one.answered_at is not None and one.sent_at is not None
        assert one.sent_at <= one.answered_at
    heard = {one.tracking_id for one in told} - {None}
    assert heard <= {request["tracking_id"] for request in theirs}
    assert told[-1].tracking_id == theirs[-1]["tracking_id"]
    await rig.balance()


async def test_receipt_lists_requests_that_could_not_leave_or_were_cut_off_by_a_crash(rig: Rig) -> None:
    rig.fault(type="hang")
    (seq,) = await rig.post()
    await rig.until_requests(1)
    await rig.crash()
    await rig.start()
    await rig.until_pending(0)
    first, second = await attempts_of(rig, seq)
    assert first.answer.startswith("no answer came before")
    assert (first.number, first.answered_at) == (1, None)
    assert (second.number, second.answer) == (2, "Microsoft took it")


async def test_receipt_lists_halves_as_often_as_they_were_sent(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen rows of which one spoils each request it is in: each row's requests are those that carried it."""
    carried: list[set[str]] = []
    real = uploads.read_rows

    def read_rows(body: bytes, name: str) -> object:
        rows = list(real(body, name) or ())
        clicks = {str(row.value["MicrosoftClickId"]) for row in rows}
        carried.append(clicks)
        if f"{7:032x}" in clicks and len(carried) < 9:
            raise Refused("ApiInputValidationError", detail="a row cannot be read")
        return rows

    monkeypatch.setattr(uploads, "read_rows", read_rows)
    rig.configure(linger=0.3)
    seqs = await rig.post(16, value="5")
    await rig.hurry(step=MINUTE)
    found = {seq: await attempts_of(rig, seq) for seq in seqs}
    for seq, told in found.items():
        theirs = [len(clicks) for clicks in carried if f"{seq:032x}" in clicks]
        assert [one.rows for one in told] == theirs
        assert [one.number for one in told] == list(range(1, len(theirs) + 1))
        assert {one.times for one in told} == {1}
        assert told[-1].answer == "Microsoft took it"
    assert max(map(len, found.values())) >= 5
    await rig.balance()


async def test_housekeeping_forgets_traces_after_thirty_days(rig: Rig) -> None:
    for order_id, age in (("OLD", 31), ("YOUNG", 29)):
        at = UnixMillis(rig.clock() - age * DAY)
        trace = unstored({"order_id": order_id}, What.REFUSED, ("too_old",), at, "request-1")
        assert trace is not None
        await rig.parts.store.unstored.append([trace])
    await rig.parts.housekeeping.prune()
    assert await rig.parts.store.unstored.of_order("OLD") == []
    assert len(await rig.parts.store.unstored.of_order("YOUNG")) == 1
