"""Putting: what is new, what was there before, and what contradicts it."""

from decimal import Decimal

import pytest
from conversion_kit import conversion, orders
from instant_kit import DAY, HOUR, MINUTE, NOW, first_of_day, later
from msgspec.structs import replace
from outbox_kit import LOST, REFUSED, TAKEN, claimed, due, put, retaken, seqs, seqs_of

from sidecar.core.conversion import Conversion, ExternalAttribution, Kind
from sidecar.core.difference import FieldDifference
from sidecar.core.entry import Requeue, Settled
from sidecar.core.instant import UnixSeconds, millis, seconds, text_of_seconds
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.intake import Conflict, Replayed, Stored
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Counts


async def ended(outbox: Outbox, given: Conversion, state: State, reason: str = "OfflineConversionNameInvalid") -> int:
    """The number of a row that ended in that state."""
    (seq,) = await seqs_of(outbox, given)
    claim = await claimed(outbox)
    steps = {} if state is State.DELIVERED else {seq: Settled(state, reason, REFUSED)}
    assert await outbox.settle(claim, steps, TAKEN, later(MINUTE))
    return seq


# --- new -------------------------------------------------------------------------------------------------------------


async def test_new_conversion_is_stored_pending_and_due_at_once(outbox: Outbox) -> None:
    given = conversion(
        value="12.50",
        email_sha256="a" * 64,
        phone_sha256="b" * 64,
        meta='{"shop":1}',
        external_attribution=ExternalAttribution(Decimal("0.50"), "last"),
    )
    record = Record(
        seq=1, kind=Kind.CONVERSION, state=State.PENDING, reason=None, account="main", event="purchase", goal=None,
        order_id="ORDER-1", time=given.time, value="12.5", currency="USD", msclkid=given.msclkid, visitor_id=None,
        email_sha256="a" * 64, phone_sha256="b" * 64, attempt=0, received_at=NOW, due_at=NOW, claimed=False,
        sent_at=None, settled_at=None, batch_id=None, error=None, error_code=None, tracking_id=None, message=None,
        meta='{"shop":1}',
    )  # fmt: skip
    assert await put(outbox, given) == [Stored(record)]
    assert await outbox.get(1) == record
    (entry,) = await due(outbox)
    assert (entry.value, entry.external_credit, entry.external_model) == ("12.5", "0.5", "last")
    assert await outbox.counts() == Counts(pending=1)


async def test_values_stay_exact(outbox: Outbox) -> None:
    values = ["0", "0.001", "999999999999", "999999999999.999", "59.97", "1E+3", "1.500"]
    await put(outbox, *(conversion(f"ORDER-{value}", value=value) for value in values))
    kept = [entry.value for entry in await due(outbox)]
    assert kept == ["0", "0.001", "999999999999", "999999999999.999", "59.97", "1000", "1.5"]


async def test_texts_come_back_as_they_went_in(outbox: Outbox) -> None:
    odd = "Ünï-\u4f60\u597d-\U0001f6d2-'\"\\%_?-" + "x" * 150
    (result,) = await put(outbox, conversion(odd, meta='{"note":"\\u0000 \\" \U0001f6d2"}'))
    kept = await outbox.get(result.record.seq)
    assert kept is not None
    assert (kept.order_id, kept.meta) == (odd, '{"note":"\\u0000 \\" \U0001f6d2"}')


async def test_rows_are_numbered_in_the_order_of_their_arrival(outbox: Outbox) -> None:
    assert await seqs_of(outbox, *orders(3)) == [1, 2, 3]
    assert await seqs_of(outbox, *orders(2, start=3)) == [4, 5]


async def test_conversion_of_the_next_minutes_waits_as_not_yet(outbox: Outbox) -> None:
    """Up to 5 min ahead it waits (`not_yet`)."""
    soon = UnixSeconds(seconds(NOW) + 120)
    (result,) = await put(outbox, conversion(time=soon))
    assert (result.record.reason, result.record.due_at) == ("not_yet", millis(soon))
    assert await due(outbox, later(2 * MINUTE - 1)) == []
    assert seqs(await due(outbox, later(2 * MINUTE))) == [1]


async def test_thousand_conversions_of_one_call_are_all_stored(outbox: Outbox) -> None:
    results = await put(outbox, *orders(1_000))
    assert [result.record.seq for result in results] == list(range(1, 1_001))
    assert await outbox.counts() == Counts(pending=1_000)


async def test_nothing_put_is_nothing_stored(outbox: Outbox) -> None:
    assert await put(outbox) == []
    assert await outbox.counts() == Counts()


# --- the same again --------------------------------------------------------------------------------------------------


async def test_same_key_and_content_is_answered_with_the_row_as_it_is_now(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    await outbox.settle(await claimed(outbox), {}, TAKEN, later(MINUTE))
    (result,) = await put(outbox, conversion(), at=later(HOUR))
    assert isinstance(result, Replayed)
    assert (result.record.seq, result.record.state, result.record.tracking_id) == (seq, State.DELIVERED, "tracking-1")
    assert result.record == await outbox.get(seq)
    assert await outbox.counts() == Counts(delivered=1)


def _without_time(given: Conversion, received: int = 0) -> Conversion:
    return replace(given, time=UnixSeconds(given.time + received), time_given=False)


SAME = [
    (conversion(value="1.50"), conversion(value="1.5")),
    (conversion(meta=None), conversion(meta='{"other":true}')),
    (conversion(), _without_time(conversion(), 77)),
    (_without_time(conversion()), conversion(time=first_of_day(3))),
    (_without_time(conversion()), _without_time(conversion(), 99)),
    (conversion(), conversion(goal="Renamed goal")),
    (conversion(currency="EUR", given_currency=None), conversion(currency="USD", given_currency=None)),
]


@pytest.mark.parametrize(("first", "second"), SAME)
async def test_same_content_is_a_replay(outbox: Outbox, first: Conversion, second: Conversion) -> None:
    """Compares what the caller gave, normalised, without defaults: an absent `time` equals any; `meta` does not
    count."""
    await put(outbox, first)
    (result,) = await put(outbox, second)
    assert isinstance(result, Replayed)
    assert await outbox.counts() == Counts(pending=1)


OTHER = {
    "value": conversion(value="100"),
    "currency": conversion(given_currency="EUR", currency="EUR"),
    "currency left out": conversion(given_currency=None),
    "time": conversion(time=first_of_day(3)),
    "click": conversion(msclkid="0" * 32),
    "e-mail": conversion(email_sha256="a" * 64),
    "phone": conversion(phone_sha256="a" * 64),
    "credit": conversion(external_attribution=ExternalAttribution(Decimal("0.5"), "last")),
}


@pytest.mark.parametrize("other", OTHER.values(), ids=OTHER)
async def test_other_content_is_a_conflict_that_shows_the_stored_row(outbox: Outbox, other: Conversion) -> None:
    (stored,) = await put(outbox, conversion())
    (result,) = await put(outbox, other)
    assert isinstance(result, Conflict)
    assert result.record == stored.record
    assert await outbox.counts() == Counts(pending=1)


DIFFERING = {
    "value": [FieldDifference("value", Decimal("99.99"), Decimal(100))],
    "currency": [FieldDifference("currency", "USD", "EUR")],
    "currency left out": [FieldDifference("currency", "USD", None)],
    "time": [FieldDifference("time", text_of_seconds(conversion().time), text_of_seconds(first_of_day(3)))],
    "click": [FieldDifference("msclkid", is_secret=True)],
    "e-mail": [FieldDifference("user.email", is_secret=True)],
    "phone": [FieldDifference("user.phone", is_secret=True)],
    "credit": [
        FieldDifference("external_attribution.credit", None, Decimal("0.5")),
        FieldDifference("external_attribution.model", None, "last"),
    ],
}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("name", OTHER)
async def test_conflict_names_the_fields_that_differ_with_both_values(
    outbox: Outbox, name: str, together: bool
) -> None:
    other = OTHER[name]
    if together:
        _, result = await put(outbox, conversion(), other)
    else:
        await put(outbox, conversion())
        (result,) = await put(outbox, other)
    assert isinstance(result, Conflict)
    assert list(result.differences) == DIFFERING[name]


APART = {
    "order": (conversion("ORDER-1"), conversion("ORDER-2")),
    "account": (conversion(), conversion(account="other")),
    "event": (conversion(), conversion(event="lead")),
    "header, not order": (conversion("K"), conversion(None, idempotency_key="K")),
    "natural key of another second": (conversion(None), conversion(None, time=first_of_day(2))),
    "natural key of another click": (conversion(None), conversion(None, msclkid="0" * 32)),
    "natural key of another goal": (conversion(None), conversion(None, goal="Other goal")),
}


@pytest.mark.parametrize(("first", "second"), APART.values(), ids=APART)
async def test_other_key_is_another_conversion(outbox: Outbox, first: Conversion, second: Conversion) -> None:
    results = await put(outbox, first, second)
    assert [type(result) for result in results] == [Stored, Stored]
    assert await outbox.counts() == Counts(pending=2)


@pytest.mark.parametrize("given", [conversion(None, idempotency_key="K"), conversion(None)], ids=["header", "natural"])
async def test_every_kind_of_key_finds_its_row_again(outbox: Outbox, given: Conversion) -> None:
    await put(outbox, given)
    assert [type(result) for result in await put(outbox, given)] == [Replayed]


async def test_without_any_key_every_report_is_a_new_conversion(outbox: Outbox) -> None:
    nameless = conversion(None, time_given=False)
    assert [type(result) for result in await put(outbox, nameless, nameless)] == [Stored, Stored]
    assert [type(result) for result in await put(outbox, nameless)] == [Stored]
    assert await outbox.counts() == Counts(pending=3)


async def test_of_equal_keys_in_one_request_the_first_stores(outbox: Outbox) -> None:
    results = await put(outbox, conversion(), conversion(), conversion(value="1"), conversion("ORDER-2"))
    assert [type(result) for result in results] == [Stored, Replayed, Conflict, Stored]
    assert [result.record.seq for result in results] == [1, 1, 1, 2]
    assert await outbox.counts() == Counts(pending=2)


# --- in place of what ended ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.DEAD, State.SKIPPED])
async def test_other_content_replaces_a_row_that_is_dead_or_skipped(outbox: Outbox, state: State) -> None:
    """A row that is `dead` or `skipped` is replaced: `202`, the same id."""
    seq = await ended(outbox, conversion(), state)
    mended = conversion(value="1", msclkid=None, email_sha256="a" * 64)
    (result,) = await put(outbox, mended, at=later(HOUR))
    assert isinstance(result, Stored)
    record = result.record
    assert (record.seq, record.state, record.value, record.received_at) == (seq, State.PENDING, "1", later(HOUR))
    assert (record.reason, record.error, record.message, record.settled_at, record.goal) == (None,) * 5
    assert record == await outbox.get(seq)
    assert await outbox.counts() == Counts(pending=1)


async def test_replaced_row_goes_out_with_its_new_content_and_counts_its_attempts_on(outbox: Outbox) -> None:
    seq = await ended(outbox, conversion(), State.DEAD)
    await put(outbox, conversion(value="1"), at=later(HOUR))
    (entry,) = (await claimed(outbox, later(HOUR))).entries
    assert (entry.seq, entry.value, entry.attempt, entry.retries, entry.maybe_sent) == (seq, "1", 2, 0, False)


async def test_replaced_row_starts_with_no_attempts(outbox: Outbox) -> None:
    """Other content is another request: that the old one may have been sent says nothing of the new one."""
    await put(outbox, conversion())
    for step in (Requeue(NOW, Reason.RETRYING, REFUSED, False, 4, 2), Settled(State.DEAD, "poison", REFUSED)):
        await outbox.postpone(await claimed(outbox), NOW, LOST, maybe_sent=True)
        assert await outbox.settle(await retaken(outbox, NOW), {1: step}, TAKEN, NOW)
    await put(outbox, conversion(value="1"))
    (entry,) = await due(outbox, limit=1)
    assert (entry.retries, entry.refusals, entry.maybe_sent, entry.goal, entry.sent_time) == (0, 0, False, None, None)
    assert entry.attempt == 4


async def test_replaced_row_is_known_by_its_new_content_from_then_on(outbox: Outbox) -> None:
    await ended(outbox, conversion(), State.DEAD)
    results = await put(outbox, conversion(value="1"), conversion(value="1"), conversion(), at=later(HOUR))
    assert [type(result) for result in results] == [Stored, Replayed, Conflict]
    results = await put(outbox, conversion(value="1"), conversion(), at=later(HOUR))
    assert [type(result) for result in results] == [Replayed, Conflict]


async def test_same_content_does_not_revive_a_dead_row(outbox: Outbox) -> None:
    await ended(outbox, conversion(), State.DEAD)
    (result,) = await put(outbox, conversion(), at=later(HOUR))
    assert isinstance(result, Replayed)
    assert await outbox.counts() == Counts(dead=1)


@pytest.mark.parametrize("state", [State.DELIVERED, State.CANCELED])
async def test_other_content_does_not_replace_a_row_that_was_delivered_or_canceled(
    outbox: Outbox, state: State
) -> None:
    await ended(outbox, conversion(), state)
    (result,) = await put(outbox, conversion(value="1"), at=later(DAY))
    assert isinstance(result, Conflict)
