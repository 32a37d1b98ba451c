"""Erasing a person: what goes, what stays, what has to be settled first, and that the files hold nothing of it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from conversion_kit import conversion, orders
from erasure_kit import AFTER, BY, EMAIL, Place, click, delivered, person
from instant_kit import DAY, HOUR, MINUTE, NOW, later
from outbox_kit import LOST, REFUSED, TAKEN, claimed, due, put, record_of, retaken, seqs_of

from sidecar.core.attribution import Deferral, Skip
from sidecar.core.entry import Requeue, Settled
from sidecar.core.erasure import ErasureRequest, Phase, Subject
from sidecar.core.instant import UnixSeconds, seconds
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.intake import Replayed
from sidecar.ports.journal import JournalEntry, JournalQuery
from sidecar.ports.outbox import Outbox
from sidecar.ports.upkeep import Unmoved
from sidecar.upkeep.retraction import Retractor

PERSONAL = (
    *("order_id", "msclkid", "click", "clicked_at", "visitor_id", "visitor", "email_sha256", "phone_sha256"),
    *("identity", "meta", "message", "request_id"),
)


def is_redacted(row: dict[str, Any]) -> bool:
    return all(row[name] is None for name in PERSONAL) and row["content"] == ""


# --- What goes and what stays ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", Subject)
async def test_person_goes_and_others_stay(place: Place, subject: Subject) -> None:
    await delivered(place, person(), *orders(3, email_sha256="ab" * 32))
    before = await place.rows()
    job = await place.erase(subject)
    gone, *others = await place.rows()
    assert (job.phase, job.search_value, job.finished_at) == (Phase.DONE, None, AFTER)
    assert (job.conversions, job.skipped) == (1, 0)
    assert is_redacted(gone)
    assert others == before[1:]
    kept = ("seq", "state", "value", "currency", "time", "key_hash", "key_digest", "goal", "batch_id", "settled_at")
    assert {name: gone[name] for name in kept} == {name: before[0][name] for name in kept}
    assert json.loads(gone["history"]) == [{"erased_at": AFTER}]


async def test_what_was_never_sent_ends_and_the_books_stay_balanced(place: Place) -> None:
    await seqs_of(place.outbox, person(), *orders(2), person("ORDER-LATER", time=UnixSeconds(seconds(NOW) + 200)))
    job = await place.erase(Subject.EMAIL)
    assert (job.phase, job.conversions, job.skipped) == (Phase.DONE, 2, 2)
    row = await record_of(place.outbox, 1)
    assert (row.state, row.reason, row.settled_at, row.email_sha256) == (State.SKIPPED, "erased", AFTER, None)
    counts = await place.outbox.counts()
    assert (counts.pending, counts.skipped) == (2, 2)
    assert [entry.seq for entry in await due(place.outbox, AFTER)] == [2, 3]


async def test_history_loses_what_is_personal_and_keeps_its_order(place: Place) -> None:
    await put(place.outbox, person())
    taken = await claimed(place.outbox)
    echo = replace(REFUSED, message="about canary")
    assert await place.outbox.settle(taken, {1: Settled(State.DEAD, REFUSED.error, echo)}, TAKEN, later(MINUTE))
    await put(place.outbox, person(value="7"), at=later(HOUR))
    await place.outbox.discard(1, later(2 * HOUR))
    await place.erase(Subject.EMAIL)
    [row] = await place.rows()
    history = json.loads(row["history"])
    assert [next(name for name in item if name.endswith("at")) for item in history] == [
        *("at", "replaced_at", "discarded_at", "erased_at"),
    ]
    assert "request_id" not in row["history"] and "canary" not in row["history"]
    assert history[1]["value"] == "99.99"
    assert row["state"] == "canceled"


async def test_row_that_comes_after_the_request_is_not_meant(place: Place) -> None:
    await put(place.outbox, person())
    job = await place.erasures.add(ErasureRequest(Subject.EMAIL, EMAIL), NOW)
    await put(place.outbox, person("ORDER-NEW"))
    await place.eraser.round()
    assert (await place.job(job.id)).conversions == 1
    assert (await record_of(place.outbox, 2)).email_sha256 == EMAIL


async def test_walk_goes_through_many_slices(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.house.use_small_slices(monkeypatch)
    many = [person(f"ORDER-{n}") if n % 2 else conversion(f"ORDER-{n}") for n in range(60)]
    await put(place.outbox, *many)
    job = await place.erase(Subject.PHONE)
    assert (job.phase, job.conversions, (await place.outbox.counts()).skipped) == (Phase.DONE, 30, 30)
    assert [is_redacted(row) for row in await place.rows()] == [bool(n % 2) for n in range(60)]


# --- Clicks and the journal ------------------------------------------------------------------------------------------


async def clicks_left(place: Place) -> list[str]:
    return [row["visitor_id"] for row in await place.house.rows("clicks")]


@pytest.mark.parametrize(
    ("subject", "left"),
    [
        (Subject.EMAIL, ["visitor-canary", "other"]),
        (Subject.VISITOR, ["other"]),
        (Subject.ORDER, ["visitor-canary"] * 4 + ["visitor-canary", "other"]),
    ],
)
async def test_clicks_of_the_visitor_go(
    place: Place, subject: Subject, left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order is one order: its visitor stays. By e-mail those of the rows' visitors go, in the rows' accounts."""
    place.house.use_small_slices(monkeypatch)
    await put(place.outbox, person())
    await place.house.clicks.capture([click("visitor-canary", n) for n in range(4)])
    await place.house.clicks.capture([click("visitor-canary", 9, "other"), click("other", 1)])
    job = await place.erase(subject)
    assert await clicks_left(place) == left
    assert job.clicks == 6 - len(left)


async def test_clicks_go_also_where_their_sale_was_taken_back(place: Place) -> None:
    """Such a row is found by no click any more, but its visitor is the person's all the same."""
    [seq] = await seqs_of(place.outbox, person(msclkid=None))
    await place.house.clicks.capture([click("visitor-canary", 1)])
    clicked_at = UnixSeconds(seconds(NOW) - 7_201)
    assert await place.outbox.defer([Deferral(seq, Skip(Reason.OUTSIDE_WINDOW), clicked_at)], NOW)
    assert await Retractor(place.outbox, lambda: NOW, lambda due: None).retract_uploaded([seq]) == []
    job = await place.erase(Subject.EMAIL)
    assert (job.clicks, await clicks_left(place)) == (1, [])


@pytest.mark.parametrize("subject", Subject)
async def test_journal_forgets_the_order_and_keeps_the_rest(place: Place, subject: Subject) -> None:
    journal = place.house.journal
    await delivered(place, person(), conversion("ORDER-OTHER"))
    facts = {"time": NOW, "level": "info", "name": "replayed", "message": "it"}
    await journal.append(
        [
            JournalEntry(**facts, conversion_id="conv_1", order_id="ORDER-CANARY"),
            JournalEntry(**facts, conversion_id="conv_2", order_id="ORDER-OTHER"),
            JournalEntry(**facts),
        ]
    )
    job = await place.erase(subject)
    kept = (await journal.read(JournalQuery())).items
    assert [(one.entry.conversion_id, one.entry.order_id) for one in reversed(kept)] == [
        ("conv_1", None),
        ("conv_2", "ORDER-OTHER"),
        (None, None),
    ]
    assert job.log_entries == 1


@pytest.mark.parametrize("subject", BY)
async def test_refusals_forget_which_orders_they_were_about(place: Place, subject: Subject) -> None:
    """They name some, and nothing says whose those were."""
    journal = place.house.journal
    texts = ["2 refused: conflict (orders ORDER-CANARY, R-1)", "1 refused: too_old", "batch 1 (order of rows)"]
    names = ["refused", "refused", "batch_settled"]
    await journal.append(
        [JournalEntry(time=NOW, level="info", name=n, message=text) for n, text in zip(names, texts, strict=True)]
    )
    await place.erase(subject)
    kept = (await journal.read(JournalQuery())).items
    assert [one.entry.message for one in reversed(kept)][:3] == ["2 refused: conflict", *texts[1:]]


# --- What may be at Microsoft ----------------------------------------------------------------------------------------


async def test_row_on_its_way_is_settled_first(place: Place) -> None:
    await put(place.outbox, person())
    taken = await claimed(place.outbox)
    job = await place.erase(Subject.EMAIL)
    assert (job.phase, job.waiting, job.conversions, job.search_value) == (Phase.WAITING, 1, 0, EMAIL)
    assert (await record_of(place.outbox, 1)).email_sha256 == EMAIL
    assert await place.outbox.settle(taken, {}, TAKEN, later(MINUTE))
    assert await place.eraser.round() is False
    job = await place.job()
    assert (job.phase, job.waiting, job.conversions, job.skipped) == (Phase.DONE, 0, 1, 0)
    assert is_redacted((await place.rows())[0])
    assert (await record_of(place.outbox, 1)).state is State.DELIVERED


async def test_lost_answer_goes_again_with_the_very_same_bytes(place: Place) -> None:
    await put(place.outbox, person())
    taken = await claimed(place.outbox)
    assert await place.outbox.postpone(taken, later(MINUTE), LOST, maybe_sent=True)
    assert (await place.erase(Subject.EMAIL)).phase is Phase.WAITING
    again = await retaken(place.outbox, later(HOUR))
    same = ("msclkid", "email_sha256", "phone_sha256", "goal", "sent_time", "value")
    first, second = taken.entries[0], again.entries[0]
    assert [getattr(first, name) for name in same] == [getattr(second, name) for name in same]


async def test_row_that_microsoft_may_have_waits_also_when_it_is_to_be_retried(place: Place) -> None:
    await put(place.outbox, person())
    taken = await claimed(place.outbox)
    assert await place.outbox.postpone(taken, later(MINUTE), LOST, maybe_sent=True)
    again = await retaken(place.outbox, later(HOUR))
    step = Requeue(later(2 * HOUR), Reason.RETRYING, REFUSED, released=False, retries=1)
    assert await place.outbox.settle(again, {1: step}, TAKEN, later(HOUR))
    assert (await place.erase(Subject.EMAIL)).waiting == 1
    await place.outbox.expire(later(91 * DAY), 10)
    await place.eraser.round()
    assert (await place.job()).phase is Phase.DONE
    assert is_redacted((await place.rows())[0])


async def test_batch_that_was_never_sent_goes_without_the_row(place: Place) -> None:
    await put(place.outbox, person(), conversion("ORDER-OTHER"))
    taken = await claimed(place.outbox)
    assert await place.outbox.postpone(taken, later(MINUTE), LOST, maybe_sent=False)
    job = await place.erase(Subject.EMAIL)
    assert (job.phase, job.skipped) == (Phase.DONE, 1)
    assert [entry.seq for entry in (await retaken(place.outbox, later(HOUR))).entries] == [2]


@pytest.mark.parametrize("subject", Subject)
async def test_erasure_goes_on_after_a_crash(place: Place, subject: Subject) -> None:
    await put(place.outbox, person(), *orders(3))
    await claimed(place.outbox)
    assert (await place.erase(subject)).phase is Phase.WAITING
    await place.house.crash()
    await place.house.open(later(HOUR))
    again = await retaken(place.outbox, later(HOUR))
    assert await place.outbox.settle(again, {}, TAKEN, later(HOUR))
    await place.eraser.round()
    assert ((await place.job()).phase, is_redacted((await place.rows())[0])) == (Phase.DONE, True)


# --- The same order again --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [{}, {"value": "1"}, {"email_sha256": "ab" * 32}])
async def test_same_order_is_answered_with_its_row_and_not_stored_again(place: Place, other: dict[str, Any]) -> None:
    await delivered(place, person())
    await put(place.outbox, person("ORDER-SKIPPED"))
    await place.erase(Subject.EMAIL)
    for order_id, state in (("ORDER-CANARY", State.DELIVERED), ("ORDER-SKIPPED", State.SKIPPED)):
        [result] = await put(place.outbox, person(order_id, **other), at=later(HOUR))
        assert isinstance(result, Replayed)
        assert (result.record.state, result.record.order_id) == (state, None)
    assert len(await place.rows()) == 2


async def test_erased_dead_row_can_neither_be_replayed_nor_replaced(place: Place) -> None:
    await put(place.outbox, person())
    taken = await claimed(place.outbox)
    assert await place.outbox.settle(taken, {1: Settled(State.DEAD, REFUSED.error, REFUSED)}, TAKEN, later(MINUTE))
    await place.erase(Subject.EMAIL)
    assert isinstance(await place.outbox.replay(1, later(HOUR)), Unmoved)
    assert isinstance((await put(place.outbox, person(value="1")))[0], Replayed)
    assert (await record_of(place.outbox, 1)).state is State.DEAD


async def test_late_click_revives_no_erased_row(place: Place) -> None:
    await put(place.outbox, person(msclkid=None))
    await place.erase(Subject.EMAIL)
    assert await place.house.clicks.capture([click("visitor-canary", 1)]) == {}
    assert (await record_of(place.outbox, 1)).state is State.SKIPPED


# --- Retracting ------------------------------------------------------------------------------------------------------


class Asked:
    """The real thing, and what it was asked for."""

    def __init__(self, outbox: Outbox) -> None:
        self.real = Retractor(outbox, lambda: NOW, lambda rows: None)
        self.asked: list[int] = []

    async def retract_uploaded(self, seqs: Sequence[int]) -> Sequence[int]:
        self.asked += seqs
        return await self.real.retract_uploaded(seqs)


async def test_what_was_uploaded_is_retracted_before_it_is_redacted(place: Place) -> None:
    place.retracts = Asked(place.outbox)
    [first] = await delivered(place, person())
    [second] = await seqs_of(place.outbox, person("ORDER-WAITING"))
    job = await place.erase(Subject.EMAIL, retract=True)
    assert place.retracts.asked[:1] == [first]
    assert job.phase is Phase.WAITING
    assert [is_redacted(row) for row in await place.rows()] == [False, True, False]
    assert (await record_of(place.outbox, second)).reason == "erased"
    taken = await claimed(place.outbox, AFTER)
    assert [entry.email_sha256 for entry in taken.entries] == [EMAIL], "the retract goes out with what it needs"
    assert await place.outbox.settle(taken, {}, TAKEN, AFTER)
    await place.eraser.round()
    job = await place.job()
    assert (job.phase, job.conversions, job.retracted) == (Phase.DONE, 2, 1)
    assert {is_redacted(row) for row in await place.rows()} == {True}


async def test_row_that_is_delivered_meanwhile_is_retracted_too(place: Place) -> None:
    place.retracts = Asked(place.outbox)
    await put(place.outbox, person())
    taken = await claimed(place.outbox)
    assert (await place.erase(Subject.EMAIL, retract=True)).waiting == 1
    looked_at = await place.erasures.waited_for(await place.job(), 0)
    assert await place.outbox.settle(taken, {}, TAKEN, later(HOUR))
    await place.erasures.redact(await place.job(), looked_at, (), AFTER)
    assert not is_redacted((await place.rows())[0]), "it was delivered after it had been looked at"
    await place.eraser.round()
    assert place.retracts.asked[:1] == [1]
    assert await place.outbox.settle(await claimed(place.outbox, AFTER), {}, TAKEN, AFTER)
    await place.eraser.round()
    assert {is_redacted(row) for row in await place.rows()} == {True}
