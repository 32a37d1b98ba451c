"""Rows that are written straight to JSON: the very members that `Rows.show` has."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from row_kit import GOALS, NOW, PENDING, ROWS

from sidecar.api.conversion_answers import ItemResult, result, result_text, summary
from sidecar.api.http.reply import text
from sidecar.api.new_rows import NewRows
from sidecar.api.row_json import HeldReason, Rows
from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.intake.problem import Warning_
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.intake import Replayed, Stored

TEXTS = st.none() | st.text(min_size=1, max_size=20)
METAS = st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(), max_size=3).map(
    lambda meta: json.dumps(meta, ensure_ascii=False, separators=(",", ":"))
)

INSTANTS = st.none() | st.integers(0, 4_000_000_000_000).map(UnixMillis)
CODES = st.sampled_from([None, "InternalError", "OfflineConversionTooOld", "Unheard_of"])

NEW_RECORDS = st.builds(
    PENDING._replace,
    seq=st.integers(1, 10**12),
    event=st.sampled_from(["purchase", "gone", 'a "quoted" 100%s one', "Käufe"]),
    account=st.sampled_from(["default", "other"]),
    order_id=TEXTS,
    time=st.integers(0, 4_000_000_000).map(UnixSeconds),
    value=st.sampled_from([None, "0", "0.001", "49.9", "999999999999.999", "1000"]),
    currency=st.sampled_from([None, "USD", "EUR"]),
    msclkid=st.sampled_from([None, PENDING.msclkid]),
    visitor_id=TEXTS,
    email_sha256=st.sampled_from([None, "a" * 64]),
    phone_sha256=st.sampled_from([None, "b" * 64]),
    attempt=st.integers(0, 3),
    received_at=st.integers(0, 4_000_000_000_000).map(UnixMillis),
    due_at=st.integers(0, 4_000_000_000_000).map(UnixMillis),
    meta=METAS,
)

LATER_RECORDS = st.builds(
    Record._replace,
    NEW_RECORDS,
    state=st.sampled_from(State),
    reason=st.none() | st.sampled_from(Reason).map(str) | CODES,
    goal=st.sampled_from([None, "Old 5% Name"]),
    due_at=INSTANTS,
    claimed=st.booleans(),
    leased=st.booleans(),
    sent_at=INSTANTS,
    settled_at=INSTANTS,
    batch_id=st.sampled_from([None, 7]),
    error=CODES,
    error_code=st.sampled_from([None, 5609]),
    tracking_id=TEXTS,
    message=TEXTS,
    bound_to=st.sampled_from([None, "1/2"]),
)

ADJUSTMENTS = st.builds(
    Record._replace,
    LATER_RECORDS,
    kind=st.just(Kind.ADJUSTMENT),
    type=st.sampled_from(AdjustmentType),
    original=st.sampled_from([16, -16]),
)

HOLDS = [
    None,
    HeldReason(Reason.NOT_CONNECTED, "client_secret_expired"),
    HeldReason(Reason.THROTTLED),
    HeldReason("retrying", None),
]

WARNINGS = [(), (Warning_("email_unusable", "user.email", 'has no "@"'),)]


GOALS_OVER_TIME = [{**GOALS, ("other", "Käufe"): 'Kauf "neu"'}, {**GOALS, ("default", "purchase"): "Renamed"}, {}]


@given(
    records=st.lists(NEW_RECORDS | LATER_RECORDS | ADJUSTMENTS, min_size=1, max_size=4),
    held=st.sampled_from(HOLDS),
    goals=st.sampled_from(GOALS_OVER_TIME),
    many=st.booleans(),
)
def test_text_says_what_the_row_says_in_the_same_order(
    records: list[Record], held: HeldReason | None, goals: dict[tuple[str, str], str], many: bool
) -> None:
    rows = Rows(lambda account, event: goals.get((account, event)), lambda record: held, lambda: NOW)
    new_rows = NewRows(rows.of_one_answer() if many else rows)
    for record in records:
        written = json.loads(f"{{{new_rows.members(record)}}}")
        assert written == json.loads(text(rows.show(record)))
        assert list(written) == list(rows.show(record))


@given(first=LATER_RECORDS | ADJUSTMENTS, own=NEW_RECORDS)
def test_rows_that_differ_in_their_own_members_only_share_the_others(first: Record, own: Record) -> None:
    names = ("seq", "order_id", "time", "value", "msclkid", "visitor_id", "email_sha256", "phone_sha256", "meta")
    second = first._replace(**{name: getattr(own, name) for name in names})
    is_alike = first.matched_by == second.matched_by
    new_rows = NewRows(ROWS)
    for record in (first, second):
        assert json.loads(f"{{{new_rows.members(record)}}}") == json.loads(text(ROWS.show(record)))
    assert len(new_rows._shared_parts) == (1 if is_alike else 2)


@given(first=LATER_RECORDS | ADJUSTMENTS, other=LATER_RECORDS, name=st.sampled_from(Record._fields))
def test_row_that_differs_in_any_one_field_is_written_with_it(first: Record, other: Record, name: str) -> None:
    new_rows = NewRows(ROWS)
    for record in (first, first._replace(**{name: getattr(other, name)})):
        if record.kind is first.kind:
            assert json.loads(f"{{{new_rows.members(record)}}}") == json.loads(text(ROWS.show(record)))


@pytest.mark.parametrize("warnings", WARNINGS, ids=["plain", "with a warning"])
def test_result_is_the_same_by_either_way(warnings: tuple[Warning_, ...]) -> None:
    item = ItemResult(Stored(PENDING), warnings)
    written = json.loads(result_text(3, item, NewRows(ROWS)))
    assert written == json.loads(text(result(3, item, ROWS)))
    assert written["warnings"] == [asdict(warning) for warning in warnings]


OTHERS = [
    PENDING._replace(reason=Reason.NOT_YET),
    PENDING._replace(reason=Reason.RETRYING, error="InternalError"),
    PENDING._replace(claimed=True),
    PENDING._replace(claimed=True, leased=True, batch_id=1),
    PENDING._replace(goal="Old Name"),
    PENDING._replace(state=State.DELIVERED, batch_id=1),
    PENDING._replace(state=State.DEAD, reason="too_old"),
    PENDING._replace(kind=Kind.ADJUSTMENT, type=AdjustmentType.RETRACT, original=16),
]


@pytest.mark.parametrize("record", OTHERS, ids=lambda record: f"{record.kind} {record.state} {record.reason}")
def test_any_other_row_is_the_same_by_either_way(record: Record) -> None:
    for verdict in (Stored(record), Replayed(record)):
        item = ItemResult(verdict, ())
        assert json.loads(result_text(0, item, NewRows(ROWS))) == json.loads(text(result(0, item, ROWS)))


def test_rows_of_one_answer_ask_once_for_what_they_share() -> None:
    asked: list[str] = []

    def held(record: Record) -> HeldReason | None:
        asked.append(record.event)
        return None

    new_rows = NewRows(Rows(ROWS.goal_of, held, ROWS.now).of_one_answer())
    for seq in range(5):
        new_rows.members(PENDING._replace(seq=seq))
        new_rows.rows.show(PENDING._replace(seq=seq))
        new_rows.rows.show(PENDING._replace(seq=seq, claimed=True))
    assert asked == ["purchase", "purchase"]  # once for rows that are claimed, once for those that are not


def test_whole_answer_is_json() -> None:
    items = [ItemResult(Stored(PENDING), ()), ItemResult(Replayed(PENDING), ())]
    whole = json.loads(summary(items).with_results(result_text(n, item, NewRows(ROWS)) for n, item in enumerate(items)))
    assert {name: whole[name] for name in ("accepted", "replayed", "skipped", "rejected")} == {
        "accepted": 1, "replayed": 1, "skipped": 0, "rejected": 0,
    }  # fmt: skip
    assert [row["status"] for row in whole["results"]] == [202, 200]
