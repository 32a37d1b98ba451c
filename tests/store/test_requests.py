"""What is noted of the requests that carried a batch: one line each, gathered where a batch goes again for long."""

from dataclasses import replace

from conversion_kit import conversion, orders
from instant_kit import DAY, MINUTE, NOW, later
from outbox_kit import LOST, POISONED, REFUSED, TAKEN, claimed, put, retaken
from store_kit import House

from sidecar.core.attempts import UNANSWERED, Attempt, attempts
from sidecar.core.entry import Requeue
from sidecar.core.erasure import ErasureRequest, Subject
from sidecar.core.instant import UnixMillis
from sidecar.core.receipts.trace import Trace
from sidecar.core.states_and_reasons import Reason
from sidecar.ports.delivery import Note
from sidecar.ports.outbox import Outbox

OWN_LINES = 50
"""As many requests of a batch are stored one by one; later ones are gathered by their answer."""

THROTTLED = Note("refused: throttled", "tracking-0", "CallRateExceeded", 117, "Too many calls.")


async def trace_of(house: House, seq: int = 1) -> Trace:
    trace = await house.traces.of(seq)
    assert trace is not None
    return trace


async def attempts_of(house: House, seq: int = 1) -> list[Attempt]:
    trace = await trace_of(house, seq)
    return list(attempts(trace.record, trace.past, trace.batches))


async def lines(house: House) -> int:
    return len(await house.rows("requests"))


async def test_each_request_of_a_batch_is_kept_with_its_time_and_answer(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(3))
    throttled = replace(THROTTLED, at=later(1_000))
    await outbox.postpone(await claimed(outbox), later(MINUTE), throttled, maybe_sent=False)
    lost = replace(LOST, at=later(MINUTE + 500))
    await outbox.postpone(await retaken(outbox, later(MINUTE)), later(2 * MINUTE), lost, maybe_sent=True)
    await outbox.settle(await retaken(outbox, later(3 * MINUTE)), {}, TAKEN, later(3 * MINUTE + 70))
    first, second, third = await attempts_of(house, 2)
    await house.close()
    assert (first.number, first.batch_id, first.rows, first.sent_at, first.answered_at) == (1, 1, 3, NOW, later(1_000))
    assert (first.tracking_id, first.error, first.error_code) == ("tracking-0", "CallRateExceeded", 117)
    assert (first.message, first.answer[:31]) == ("Too many calls.", "Microsoft asked to wait 59 s: C")
    assert (second.number, second.sent_at, second.answered_at) == (2, later(MINUTE), later(MINUTE + 500))
    assert second.error == LOST.error
    assert (third.number, third.sent_at, third.answered_at) == (3, later(3 * MINUTE), later(3 * MINUTE + 70))
    assert (third.tracking_id, third.answer) == ("tracking-1", "Microsoft took it")


async def test_batch_that_is_taken_at_once_leaves_no_line(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(3))
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    assert await lines(house) == 0
    assert [one.number for one in await attempts_of(house)] == [1]
    await house.close()


async def test_request_whose_lease_passed_is_kept_without_an_answer(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion())
    await claimed(outbox)
    await outbox.settle(await retaken(outbox, later(2 * MINUTE)), {}, TAKEN, later(3 * MINUTE))
    first, second = await attempts_of(house)
    await house.close()
    assert (first.number, first.sent_at, first.answered_at) == (1, NOW, None)
    assert first.answer.startswith("no answer came before")
    assert (second.number, second.sent_at) == (2, later(2 * MINUTE))


async def test_request_that_a_crash_cut_off_is_kept_once_and_before_it_goes_again(house: House) -> None:
    await put(await house.open(), conversion())
    await claimed(house.outbox)
    await house.crash()
    outbox = await house.open(later(MINUTE))
    [cut_off] = await attempts_of(house)
    await outbox.settle(await retaken(outbox, later(2 * MINUTE)), {}, TAKEN, later(3 * MINUTE))
    first, second = await attempts_of(house)
    await house.close()
    assert cut_off.answer.startswith("no answer came before")
    assert (first.number, first.sent_at, first.answer) == (1, NOW, cut_off.answer)
    assert (second.number, second.answer) == (2, "Microsoft took it")


async def test_row_in_a_half_of_a_half_has_the_requests_of_both_and_its_own(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(4))
    await outbox.halve(await claimed(outbox), replace(POISONED, at=NOW), NOW)
    first_half = await retaken(outbox, later(1))
    await outbox.halve(first_half, POISONED, later(2))
    second_half = await retaken(outbox, later(3))
    await outbox.settle(second_half, {}, TAKEN, later(4))
    for at in (5, 6):
        await outbox.settle(await retaken(outbox, later(at)), {}, TAKEN, later(at))
    of_rows = {seq: [(one.number, one.batch_id, one.rows) for one in await attempts_of(house, seq)] for seq in (1, 4)}
    assert all(one.times == 1 for one in await attempts_of(house, 1))
    await house.close()
    assert of_rows == {1: [(1, 1, 4), (2, 2, 2), (3, 4, 1)], 4: [(1, 1, 4), (2, 3, 2)]}


async def test_attempts_go_on_counting_over_batches(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion())
    await outbox.postpone(await claimed(outbox), NOW, LOST, maybe_sent=False)
    again = Requeue(NOW, Reason.RETRYING, REFUSED)
    await outbox.settle(await retaken(outbox, later(1)), {1: again}, TAKEN, later(2))
    await outbox.postpone(await claimed(outbox, later(3)), later(3), LOST, maybe_sent=False)
    await outbox.settle(await retaken(outbox, later(4)), {}, TAKEN, later(5))
    found = [(one.number, one.batch_id, one.sent_at) for one in await attempts_of(house)]
    await house.close()
    assert found == [(1, 1, NOW), (2, 1, later(1)), (3, 2, later(3)), (4, 2, later(4))]


async def postponed(outbox: Outbox, times: int, *notes: Note) -> UnixMillis:
    """Go through `times` requests of the one batch; return the time after them."""
    taken, now = await claimed(outbox), NOW
    for number in range(times):
        note = replace(notes[number % len(notes)], at=later(500, now))
        now = later((number + 1) * MINUTE)
        await outbox.postpone(taken, now, note, maybe_sent=False)
        taken = await retaken(outbox, now)
    await outbox.settle(taken, {}, TAKEN, later(600, now))
    return now


async def test_batch_that_goes_again_for_months_has_few_lines_and_all_its_requests(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(2))
    last = await postponed(outbox, 300, THROTTLED, LOST, LOST)
    found = await attempts_of(house)
    assert await lines(house) == OWN_LINES + 1
    await house.close()
    assert sum(one.times for one in found) == 301
    *_, lost, throttled, taken = found
    assert (lost.number, lost.times, lost.answered_at) == (50, 168, later(500, later(299 * MINUTE)))
    assert (throttled.number, throttled.times, throttled.error) == (52, 83, "CallRateExceeded")
    assert (taken.number, taken.sent_at, taken.answer) == (301, last, "Microsoft took it")


async def test_requests_are_forgotten_with_their_batches(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion())
    await postponed(outbox, 3, LOST)
    assert await lines(house) == 3
    await outbox.prune(later(DAY), 0, 100)
    assert await lines(house) == 0
    await house.close()


async def test_words_that_may_quote_a_person_go_with_an_erasure(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(2))
    await outbox.halve(await claimed(outbox), THROTTLED, NOW)
    await outbox.postpone(await retaken(outbox, later(1)), later(1), THROTTLED, maybe_sent=False)
    for at in (2, 3):
        await outbox.settle(await retaken(outbox, later(at)), {}, TAKEN, later(at))
    job = await house.erasures.add(ErasureRequest(Subject.ORDER, "ORDER-0", retract=False), later(4))
    await house.erasures.redact(job, await house.erasures.find(job), (), later(4))
    found = await attempts_of(house)
    await house.close()
    assert [(one.error, one.message) for one in found[:2]] == [("CallRateExceeded", None)] * 2


def test_no_answer_is_an_answer_of_its_own() -> None:
    assert UNANSWERED not in {THROTTLED.answer, LOST.answer, POISONED.answer, TAKEN.answer}


async def test_row_that_leaves_a_refused_batch_for_another_goal_keeps_its_requests(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion())
    await outbox.postpone(await claimed(outbox), NOW, THROTTLED, maybe_sent=False)
    assert await outbox.release_astray("main", {"purchase": "Elsewhere", "lead": "Elsewhere"}, later(1)) == 1
    await outbox.settle(await claimed(outbox, later(2)), {}, TAKEN, later(3))
    found = [(one.number, one.batch_id, one.error) for one in await attempts_of(house)]
    await house.close()
    assert found == [(1, 1, "CallRateExceeded"), (2, 2, None)]
