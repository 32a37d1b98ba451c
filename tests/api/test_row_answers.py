"""Rows in answers: every member as it is stored, alone and as one result of a bulk answer."""

import json
from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from row_kit import GOALS, NOW, PENDING, ROWS, shown

from sidecar.api.answers import HttpAnswer
from sidecar.api.conversion_answers import ItemResult, answer, result, summary
from sidecar.api.http.reply import encode
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
    replace,
    st.just(PENDING),
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
    replace,
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
    replace,
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


AS_STORED = (
    *("kind", "state", "account", "event", "order_id", "currency", "msclkid", "visitor_id"),
    *("attempt", "batch_id", "error", "error_code", "tracking_id"),
)


@given(
    record=NEW_RECORDS | LATER_RECORDS | ADJUSTMENTS,
    held=st.sampled_from(HOLDS),
    goals=st.sampled_from(GOALS_OVER_TIME),
)
def test_row_says_what_is_stored(record: Record, held: HeldReason | None, goals: dict[tuple[str, str], str]) -> None:
    rows = Rows(lambda account, event: goals.get((account, event)), lambda record: held, lambda: NOW)
    row = shown(record, rows)
    assert [row[name] for name in AS_STORED] == [getattr(record, name) for name in AS_STORED]
    assert row["id"] == f"{'conv' if record.kind is Kind.CONVERSION else 'adj'}_{record.seq}"
    assert row["goal"] == record.goal or goals.get((record.account, record.event))
    assert row["value"] == (None if record.value is None else float(record.value))
    assert row["meta"] == (None if record.meta is None else json.loads(record.meta))
    assert datetime.fromisoformat(row["time"]).timestamp() == record.time
    for name in ("received_at", "sent_at", "settled_at"):
        assert row[name] == _utc(getattr(record, name))
    assert row["due_at"] in (None, _utc(record.due_at))
    assert row == shown(record, rows.of_one_answer())


def _utc(at: UnixMillis | None) -> str | None:
    if at is None:
        return None
    exact = datetime.fromtimestamp(at // 1000, UTC).replace(microsecond=at % 1000 * 1000)
    return exact.isoformat(timespec="milliseconds" if at % 1000 else "seconds").replace("+00:00", "Z")


@pytest.mark.parametrize("warnings", WARNINGS, ids=["plain", "with a warning"])
@pytest.mark.parametrize("record", [PENDING, replace(PENDING, kind=Kind.ADJUSTMENT, type=AdjustmentType.RETRACT)])
def test_result_is_the_answer_to_a_single_one_with_place_and_status(
    record: Record, warnings: tuple[Warning_, ...]
) -> None:
    for verdict, status in ((Stored(record), 202), (Replayed(record), 200)):
        item = ItemResult(verdict, warnings)
        alone = answer(item, ROWS)
        assert isinstance(alone, HttpAnswer)
        written = json.loads(encode(result(3, item, ROWS)))
        assert alone.status == status
        assert list(written.items())[:2] == [("index", 3), ("status", status)]
        assert written == {"index": 3, "status": status, **json.loads(encode(alone.body))}
        assert written["warnings"] == [asdict(warning) for warning in warnings]


def test_rows_of_one_answer_ask_once_for_what_they_share() -> None:
    asked: list[str] = []

    def held(record: Record) -> HeldReason | None:
        asked.append(record.event)
        return None

    rows = Rows(ROWS.goal_of, held, ROWS.now).of_one_answer()
    for seq in range(5):
        rows.show(replace(PENDING, seq=seq))
        rows.show(replace(PENDING, seq=seq, claimed=True))
    assert asked == ["purchase", "purchase"]  # once for rows that are claimed, once for those that are not


def test_whole_answer_is_json() -> None:
    items = [ItemResult(Stored(PENDING), ()), ItemResult(Replayed(PENDING), ())]
    whole = json.loads(summary(items).with_results(encode(result(n, item, ROWS)) for n, item in enumerate(items)))
    assert {name: whole[name] for name in ("accepted", "replayed", "skipped", "rejected")} == {
        "accepted": 1, "replayed": 1, "skipped": 0, "rejected": 0,
    }  # fmt: skip
    assert [row["status"] for row in whole["results"]] == [202, 200]
