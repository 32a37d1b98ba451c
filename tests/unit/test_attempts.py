"""A row's attempts out of what is stored of batches: each request that carried it, numbered as it was claimed."""

import pytest
from msgspec.structs import replace
from row_kit import CLICK, stored_row

from sidecar.core.attempts import UNANSWERED, BatchFacts, RequestFacts, attempts
from sidecar.core.history import Attempted, Past, Released
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State

NOW = UnixMillis(1_795_444_245_000)
MINUTE = 60_000

ROW = stored_row(
    state=State.DELIVERED,
    goal="Sidecar Purchase",
    order_id="O-1",
    time=UnixSeconds(NOW // 1000),
    msclkid=CLICK,
    attempt=1,
    received_at=NOW,
    due_at=NOW,
    batch_id=9,
)


def at(minute: int) -> UnixMillis:
    return UnixMillis(NOW + minute * MINUTE)


def request(number: int, answer: str, minute: int, **given: object) -> RequestFacts:
    """One that left at `minute` and was answered half a second later."""
    sent_at = at(minute)
    times = {"sent_at": sent_at, "ended_at": UnixMillis(sent_at + 500), "due_at": None}
    return RequestFacts(**{"number": number, "last": number, "times": 1, "rows": 3, "answer": answer, **times, **given})  # type: ignore[arg-type]


def batch(id_: int, claims: int, minute: int, *requests: RequestFacts, **given: object) -> BatchFacts:
    """One whose last request left at `minute`; settled as taken where nothing else is given."""
    settled = {"settled_at": UnixMillis(at(minute) + 500), "answer": "taken", "tracking_id": f"tracking-{id_}"}
    facts = {"id": id_, "claims": claims, "created_at": at(0), "sent_at": at(minute), "rows": 3, "requests": requests}
    return BatchFacts(**{**facts, **settled, **given})  # type: ignore[arg-type]


def listed(row: Record, *batches: BatchFacts, past: tuple[Past, ...] = ()) -> list[tuple[int, int | None, str]]:
    """Number, batch and answer of each attempt."""
    found = attempts(row, past, {one.id: one for one in batches})
    return [(one.number, one.batch_id, one.answer) for one in found]


THROTTLED = {"error": "CallRateExceeded", "error_code": 117, "due_at": UnixMillis(at(0) + 500 + 60_000)}


def test_each_request_of_a_resent_batch_is_listed_with_its_answer() -> None:
    kept = batch(
        9,
        5,
        8,
        request(1, "refused: throttled", 0, **THROTTLED),
        request(2, "lost", 2, error="the connection was closed before the answer"),
        request(3, "refused: server", 4, error="Http500"),
        request(4, "not sent", 6, error="no connection"),
    )
    assert listed(replace(ROW, attempt=5), kept) == [
        (1, 9, "Microsoft asked to wait 60 s: CallRateExceeded (117)"),
        (2, 9, "no readable answer (the connection was closed before the answer); the very same request goes again"),
        (3, 9, "Microsoft's server failed: Http500; the very same request goes again"),
        (4, 9, "it could not be sent (no connection), and goes again"),
        (5, 9, "Microsoft took it"),
    ]


def test_requests_of_what_a_half_comes_from_come_before_its_own() -> None:
    """Three times over: of nine requests that the row was in each is told once, by the number it had then."""
    whole = batch(7, 2, 1, request(1, "lost", 0), request(2, "refused: poison", 1, error="NullParameter"))
    half = batch(8, 1, 2, request(1, "refused: poison", 2), parent=7)
    quarter = batch(9, 2, 4, request(1, "refused: account", 3, rows=1, error="X", error_code=106), parent=8)
    found = listed(replace(ROW, attempt=5), whole, half, quarter)
    assert [(number, id_) for number, id_, _ in found] == [(1, 7), (2, 7), (3, 8), (4, 9), (5, 9)]
    assert found[1][2] == "Microsoft refused the whole request: NullParameter; it goes on in halves"
    assert found[3][2] == "Microsoft refused the whole request: X (106)"


def test_half_that_was_sent_once_is_listed_once() -> None:
    whole = batch(7, 1, 0, request(1, "refused: poison", 0))
    half = batch(9, 1, 1, parent=7)
    [first, second] = attempts(replace(ROW, attempt=2), (), {7: whole, 9: half})
    assert (first.number, first.batch_id, second.number, second.batch_id) == (1, 7, 2, 9)
    assert (second.times, second.sent_at) == (1, at(1))


def test_settled_batches_are_listed_in_their_order() -> None:
    first = batch(5, 2, 1, request(1, "lost", 0))
    second = batch(9, 2, 3, request(1, UNANSWERED, 2, ended_at=None))
    past = (Attempted(at(1), 2, 5, "tracking-5", "OfflineConversionError", 5699),)
    assert listed(replace(ROW, attempt=4), first, second, past=past) == [
        (1, 5, "no readable answer; the very same request goes again"),
        (2, 5, "Microsoft answered OfflineConversionError (5699)"),
        (3, 9, "no answer came before its time was over, or the sidecar ended; the very same request goes again"),
        (4, 9, "Microsoft took it"),
    ]


@pytest.mark.parametrize(
    ("changes", "answer", "words"),
    [
        ({"leased": True}, None, "no answer yet: the request is on its way"),
        ({}, None, "no answer came before its time was over, or the sidecar ended; the very same request goes again"),
    ],
)
def test_open_request_is_listed_with_what_is_known(changes: dict[str, bool], answer: str | None, words: str) -> None:
    open_batch = batch(9, 2, 1, request(1, "lost", 0), settled_at=None, answer=answer, tracking_id=None)
    row = replace(ROW, state=State.PENDING, claimed=True, attempt=2, **changes)
    assert listed(row, open_batch)[1:] == [(2, 9, words)]


def test_batch_that_waits_to_go_again_has_no_request_more_than_it_had() -> None:
    waiting = batch(9, 1, 0, request(1, "refused: throttled", 0), settled_at=None, answer="refused: throttled")
    row = replace(ROW, state=State.PENDING, claimed=True)
    assert listed(row, waiting) == [(1, 9, "Microsoft asked to wait")]


def test_requests_after_the_row_was_ended_are_not_its_own() -> None:
    """It got too old between two requests of its batch, which goes on with the others."""
    gone_on = batch(9, 3, 4, request(1, "lost", 0), request(2, "lost", 3))
    row = replace(ROW, state=State.DEAD, reason="too_old", settled_at=at(2))
    assert listed(row, gone_on) == [(1, 9, "no readable answer; the very same request goes again")]


def test_row_taken_out_for_another_rows_fault_says_so() -> None:
    split = batch(5, 1, 0, answer="refused: poison")
    past = (Attempted(at(0), 1, 5),)
    assert listed(replace(ROW, attempt=2), split, batch(9, 1, 1), past=past) == [
        (1, 5, "Microsoft refused the whole request for another row of it"),
        (2, 9, "Microsoft took it"),
    ]


def test_row_that_left_a_refused_batch_for_another_goal_keeps_its_requests() -> None:
    """The batch may have gone on with the others; of those requests it knows nothing."""
    left = batch(5, 3, 4, request(1, "refused: throttled", 0), request(2, "refused: account", 1), request(3, "lost", 4))
    past = (Released(at(2), 2, 5),)
    assert [(number, id_) for number, id_, _ in listed(replace(ROW, attempt=3), left, batch(9, 1, 5), past=past)] == [
        (1, 5),
        (2, 5),
        (3, 9),
    ]


def test_gathered_requests_keep_first_and_last_number_and_time() -> None:
    many = request(50, "refused: server", 0, last=83, times=34, ended_at=at(90), error="Http500")
    found = attempts(replace(ROW, attempt=84), (), {9: batch(9, 84, 100, many)})
    assert [(one.number, one.times, one.sent_at, one.answered_at) for one in found] == [
        (50, 34, at(0), at(90)),
        (84, 1, at(100), UnixMillis(at(100) + 500)),
    ]


def test_forgotten_batch_leaves_the_attempts_that_the_row_itself_has() -> None:
    past = (Attempted(at(1), 2, 5, "tracking-5", "OfflineConversionError", 5699, times=2, since=at(0)),)
    [gathered, last] = attempts(replace(ROW, attempt=3, settled_at=at(2)), past, {})
    assert (gathered.number, gathered.times, gathered.sent_at, gathered.answered_at) == (1, 2, at(0), at(1))
    assert (last.number, last.batch_id, last.answer) == (3, 9, "Microsoft took it")
