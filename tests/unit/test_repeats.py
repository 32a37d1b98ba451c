"""What another report under a known key is, by table; the store only carries the decision out."""

from dataclasses import replace

import pytest

from sidecar.core import repeats
from sidecar.core.adjustment import Earlier
from sidecar.core.conversion import AdjustmentType
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.repeats import ERASED_CONTENT, KeyedAdjustment, Repeat, RepeatedAdjustment
from sidecar.core.states_and_reasons import Reason, State

AT, LATER = UnixSeconds(1_000), UnixSeconds(1_001)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(
    ("time", "stored_time"), [(AT, AT), (None, AT), (AT, None), (None, None)], ids=["equal", "new", "stored", "both"]
)
def test_equal_content_is_the_same_where_the_times_are_equal_or_absent(
    time: UnixSeconds | None, stored_time: UnixSeconds | None, state: State
) -> None:
    assert repeats.of_conversion("a", time, "a", stored_time, state) is Repeat.SAME


@pytest.mark.parametrize(("content", "time"), [("b", AT), ("b", None), ("a", LATER)])
@pytest.mark.parametrize(
    ("state", "found"),
    [
        (State.PENDING, Repeat.CONFLICT),
        (State.DELIVERED, Repeat.CONFLICT),
        (State.CANCELED, Repeat.CONFLICT),
        (State.DEAD, Repeat.REPLACES),
        (State.SKIPPED, Repeat.REPLACES),
    ],
)
def test_other_content_or_time_replaces_a_row_that_was_not_sent_and_else_conflicts(
    content: str, time: UnixSeconds | None, state: State, found: Repeat
) -> None:
    assert repeats.of_conversion(content, time, "a", AT, state) is found


@pytest.mark.parametrize("state", State)
def test_every_report_under_the_key_of_an_erased_row_is_the_same(state: State) -> None:
    assert repeats.of_conversion("b", LATER, ERASED_CONTENT, AT, state) is Repeat.SAME


# --- Adjustments with a key ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        ([], None),
        ([("a", State.PENDING)], (Repeat.SAME, 1)),
        ([("a", State.CANCELED)], (Repeat.SAME, 1)),
        ([("b", State.DELIVERED)], (Repeat.CONFLICT, 1)),
        ([(ERASED_CONTENT, State.DELIVERED)], (Repeat.SAME, 1)),
        ([("a", State.DEAD)], None),
        ([("a", State.SKIPPED), ("b", State.DEAD)], None),
        ([("b", State.DELIVERED), ("a", State.DEAD)], (Repeat.CONFLICT, 1)),
        ([("b", State.CANCELED), ("a", State.PENDING), ("b", State.SKIPPED)], (Repeat.SAME, 2)),
    ],
)
def test_adjustment_with_a_key_is_compared_with_the_newest_that_was_not_refused(
    stored: list[tuple[str, State]], found: tuple[Repeat, int] | None
) -> None:
    rows = [KeyedAdjustment(seq, content, state) for seq, (content, state) in enumerate(stored, start=1)]
    assert repeats.of_keyed_adjustment("a", rows) == found


# --- Adjustments without a key ---------------------------------------------------------------------------------------


def earlier(seq: int, state: State, reason: Reason | None = None, content: str = "a") -> Earlier:
    return Earlier(
        seq=seq,
        type=AdjustmentType.RESTATE,
        state=state,
        possibly_sent=False,
        was_claimed=False,
        adjusted_at=AT,
        received_at=UnixMillis(1_000 + seq),
        content=content,
        reason=reason,
    )


PENDING = earlier(1, State.PENDING)
DELIVERED = earlier(1, State.DELIVERED)
APPLIED = earlier(1, State.CANCELED, Reason.APPLIED_BEFORE_UPLOAD)
SUPERSEDED = earlier(1, State.CANCELED, Reason.SUPERSEDED)
DEAD = earlier(1, State.DEAD)
SKIPPED = earlier(1, State.SKIPPED, Reason.ORIGINAL_NOT_SENT)


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        ([], None),
        ([PENDING], RepeatedAdjustment(1, overtaken=False)),
        ([DELIVERED], RepeatedAdjustment(1, overtaken=False)),
        ([APPLIED], RepeatedAdjustment(1, overtaken=False)),
        ([DEAD], None),
        ([SKIPPED], None),
        ([SUPERSEDED], None),
        ([replace(PENDING, content="b")], None),
        ([replace(PENDING, content=ERASED_CONTENT)], None),
        ([DELIVERED, earlier(2, State.DELIVERED)], RepeatedAdjustment(2, overtaken=False)),
        ([DELIVERED, earlier(2, State.DELIVERED, content="b")], RepeatedAdjustment(1, overtaken=True)),
        ([DELIVERED, earlier(2, State.CANCELED, content="b")], RepeatedAdjustment(1, overtaken=True)),
        ([DELIVERED, earlier(2, State.DEAD, content="b")], RepeatedAdjustment(1, overtaken=False)),
        ([DELIVERED, earlier(2, State.DEAD)], RepeatedAdjustment(1, overtaken=False)),
        ([SUPERSEDED, earlier(2, State.PENDING, content="b")], RepeatedAdjustment(1, overtaken=True)),
        ([SUPERSEDED, earlier(2, State.DELIVERED, content="b")], RepeatedAdjustment(1, overtaken=True)),
        ([SUPERSEDED, earlier(2, State.DEAD, content="b")], None),
        ([SUPERSEDED, earlier(2, State.CANCELED, content="b")], None),
    ],
)
def test_adjustment_without_a_key_repeats_the_newest_of_its_content_that_is_valid(
    stored: list[Earlier], found: RepeatedAdjustment | None
) -> None:
    assert repeats.of_adjustment("a", stored, UnixMillis(0)) == found


@pytest.mark.parametrize(("received_at", "is_known"), [(1_000, True), (1_001, True), (1_002, False)])
def test_what_changed_a_conversion_that_was_replaced_since_is_repeated_by_none(
    received_at: int, is_known: bool
) -> None:
    assert (repeats.of_adjustment("a", [APPLIED], UnixMillis(received_at)) is not None) is is_known
    assert repeats.of_adjustment("a", [DELIVERED], UnixMillis(received_at)) is not None
