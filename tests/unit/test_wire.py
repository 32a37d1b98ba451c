"""What is sent, byte for byte, and that any answer decodes to an outcome of every row."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from sidecar.core.answer import Answer, Lost, RefusedBatch, Taken, Verdict
from sidecar.core.entry import Dead, Entry, Hold, Lane, Retry
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.microsoft.error_codes import TABLE
from sidecar.microsoft.wire import decode, encode

CLICK = Entry(
    seq=1,
    lane=Lane(1, "default", "purchase"),
    time=UnixSeconds(1_795_443_000),
    received_at=UnixMillis(1_795_443_000_000),
    value="249.90",
    currency="EUR",
    msclkid="f894f652ea334e739002f7167ab8f8e3",
    goal="Closed deal",
    sent_time=UnixSeconds(1_795_442_587),
)
HASHES = replace(CLICK, msclkid=None, value=None, currency=None, email_sha256="ec" * 32, phone_sha256="c5" * 32)
OK = {"TrackingId": "test-tracking"}


def sent(*entries: Entry) -> list[dict[str, Any]]:
    """The conversions in the request, numbers kept as their text."""
    document = json.loads(encode(entries), parse_float=str, parse_int=str)
    assert document.keys() == {"OfflineConversions"}
    return document["OfflineConversions"]


def answered(*errors: object, size: int = 3, status: int = 200) -> Answer:
    return decode(status, OK, json.dumps({"PartialErrors": errors}).encode(), size)


# --- What is sent ----------------------------------------------------------------------------------------------------


def test_a_request_is_written_byte_for_byte() -> None:
    assert encode([CLICK]) == (
        b'{"OfflineConversions":[{"ConversionName":"Closed deal","ConversionTime":"2026-11-23T14:03:07Z",'
        b'"MicrosoftClickId":"f894f652ea334e739002f7167ab8f8e3","ConversionValue":249.90,'
        b'"ConversionCurrencyCode":"EUR"}]}'
    )


def test_what_an_entry_lacks_is_left_out() -> None:
    assert sent(HASHES) == [
        {
            "ConversionName": "Closed deal",
            "ConversionTime": "2026-11-23T14:03:07Z",
            "HashedEmailAddress": "ec" * 32,
            "HashedPhoneNumber": "c5" * 32,
        }
    ]


def test_currency_without_a_value_stays_at_home() -> None:
    """Alone it would relabel the goal's own default value."""
    [conversion] = sent(replace(CLICK, value=None))
    assert "ConversionCurrencyCode" not in conversion


def test_external_attribution_is_sent_where_there_is_one() -> None:
    [conversion] = sent(replace(CLICK, external_credit="0.25", external_model="Linear"))
    assert conversion["ExternalAttributionCredit"] == "0.25"
    assert conversion["ExternalAttributionModel"] == "Linear"


def test_the_time_is_the_one_that_the_claim_chose() -> None:
    """Two orders of one person in one second: the second one is moved, and what is sent is the moved time."""
    assert sent(replace(CLICK, sent_time=UnixSeconds(0)))[0]["ConversionTime"] == "1970-01-01T00:00:00Z"


def test_an_entry_that_was_not_claimed_cannot_be_sent() -> None:
    with pytest.raises(AssertionError, match="claim"):
        encode([replace(CLICK, sent_time=None)])


@pytest.mark.parametrize("value", ["0", "0.001", "59.97", "1.50", "10", "999999999999", "999999999999.999", "0.1"])
def test_a_value_is_written_digit_for_digit_as_a_number(value: str) -> None:
    assert f'"ConversionValue":{value},'.encode() in encode([replace(CLICK, value=value)])


@pytest.mark.parametrize(
    "goal", ['Käufe "Sommer"', "back\\slash", "линия\n\t", "\u2028\u2029", "emoji 🛒", "</script>"]
)
def test_a_goal_of_any_characters_arrives_as_it_is(goal: str) -> None:
    body = encode([replace(CLICK, goal=goal)])
    assert json.loads(body)["OfflineConversions"][0]["ConversionName"] == goal
    assert body.isascii()


maybe = st.none() | st.text(max_size=20)
decimals = st.decimals(0, 999_999_999_999, places=3).map(lambda number: format(number, "f"))
entries = st.builds(
    replace,
    st.just(CLICK),
    goal=st.text(max_size=20),
    sent_time=st.integers(0, 4_000_000_000),
    value=st.none() | decimals,
    currency=maybe,
    msclkid=maybe,
    email_sha256=maybe,
    phone_sha256=maybe,
    external_credit=st.none() | decimals,
    external_model=maybe,
)


@given(st.lists(entries, max_size=8))
def test_rows_are_sent_all_in_order_and_always_as_the_same_bytes(batch: list[Entry]) -> None:
    rows = sent(*batch)
    assert [row["ConversionName"] for row in rows] == [entry.goal for entry in batch]
    assert [row.get("ConversionValue") for row in rows] == [entry.value for entry in batch]
    assert [row.get("MicrosoftClickId") for row in rows] == [entry.msclkid for entry in batch]
    assert encode(batch) == encode(tuple(replace(entry) for entry in batch))


@given(decimals)
def test_a_value_keeps_its_exact_worth(value: str) -> None:
    [row] = json.loads(encode([replace(CLICK, value=value)]), parse_float=Decimal)["OfflineConversions"]
    assert Decimal(row["ConversionValue"]) == Decimal(value)


# --- What comes back -------------------------------------------------------------------------------------------------


def test_a_row_with_one_permanent_error_is_dead_beside_any_other_error() -> None:
    answer = answered({"Code": 5606, "Index": 0}, {"Code": 0, "Index": 0}, {"Code": 5604, "Index": 0}, size=1)
    assert isinstance(answer, Taken)
    assert isinstance(answer.named[0], Dead)


def test_the_rows_own_error_comes_before_one_of_ours() -> None:
    answer = answered({"Code": 5600, "Index": 1}, {"Code": 5604, "Index": 1})
    assert isinstance(answer, Taken)
    assert isinstance(dead := answer.named[1], Dead)
    assert not dead.ours


def test_rows_are_decided_singly_where_only_some_errors_are_about_the_request() -> None:
    """One row's own error speaks against the account being closed: Microsoft looked at the rows."""
    both = {"Code": 117, "Index": 0}, {"Code": 5604, "Index": 1}
    answer = answered(*both, size=2)
    assert isinstance(answer, Taken)
    assert {place: type(outcome) for place, outcome in answer.named.items()} == {0: Retry, 1: Dead}
    of_request = answered({"Code": 117, "Index": 0}, {"Code": 117, "Index": 1}, size=2)
    assert isinstance(of_request, RefusedBatch)


def test_an_error_of_no_row_leaves_every_row_in_doubt() -> None:
    """None may count as delivered, none as refused, and what was sent must not change before it is sent again."""
    answer = answered({"Code": 5604, "Index": 0}, {"Code": 106, "Index": 1}, {"Code": 5610, "Index": 99})
    assert isinstance(answer, RefusedBatch)
    assert answer.verdict is Verdict.POISON
    assert answer.maybe_applied
    assert answer.rows == {}


@pytest.mark.parametrize("index", [None, True, -1, 3, "x", 0.5, [], {}, "-1", 10**30])
def test_an_index_that_is_no_rows_is_never_taken_for_one(index: object) -> None:
    assert isinstance(answered({"Code": 5604, "Index": index}), RefusedBatch)


def test_a_lone_row_that_is_refused_for_good_still_waits_for_the_poison_rule() -> None:
    """One refusal may be Microsoft's bad moment; `after_refusal` counts to three."""
    body = b'{"OperationErrors":[{"Code":5604}]}'
    assert isinstance(decode(400, OK, body, 1), RefusedBatch)


@pytest.mark.parametrize(("code", "kind"), [(5606, Hold), (5615, Hold), (5614, Retry)])
def test_a_lone_row_whose_goal_or_time_is_refused_never_counts_as_poison(code: int, kind: type) -> None:
    answer = decode(400, OK, json.dumps({"OperationErrors": [{"Code": code}]}).encode(), 1)
    assert isinstance(answer, Taken)
    assert isinstance(answer.named[0], kind)


def test_a_goal_that_refuses_the_whole_of_a_doubtful_answer_holds_nothing() -> None:
    """Rows that may have been taken must go again as they are, not be given another goal's name."""
    answer = answered({"Code": 5606})
    assert isinstance(answer, RefusedBatch)
    assert answer.hold is None


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
numbers = st.sampled_from([code.number for code in TABLE if code.number is not None])
symbols = st.sampled_from([symbol for code in TABLE for symbol in code.symbols])
errors = st.fixed_dictionaries(
    {},
    optional={
        "Code": numbers | numbers.map(str) | st.integers() | junk,
        "ErrorCode": symbols | st.text(max_size=8) | junk,
        "Index": st.integers(-2, 6) | st.integers(-2, 6).map(str) | junk,
        "Message": st.text(max_size=8) | junk,
        "Details": junk,
        "Type": st.sampled_from(["BatchError", "EditorialError"]) | junk,
    },
)
lists = st.lists(errors | junk, max_size=6) | junk
names = ["PartialErrors", "Errors", "OperationErrors", "BatchErrors", "EditorialErrors", "ErrorCode", "Code", "Type"]
documents = st.fixed_dictionaries({}, optional=dict.fromkeys(names, lists))
documents = documents | st.builds(lambda inner: {"ApplicationFault": inner}, documents | junk) | junk
bodies = st.binary(max_size=40) | documents.map(lambda document: json.dumps(document).encode())
statuses = st.sampled_from([200, 204, 302, 400, 401, 403, 404, 422, 429, 500, 503]) | st.integers(100, 599)


@given(statuses, st.dictionaries(st.sampled_from(["TrackingId", "Retry-After", "Date"]), st.text(max_size=30)), bodies)
@example(200, {}, b"[" * 100_000)
@example(200, {}, b'{"PartialErrors":' * 50_000)
@example(400, {}, b'{"Errors":[{"Code":' + b"9" * 5_000 + b"}]}")
@example(400, {}, b'{"Errors":[{"Code":NaN,"Index":-Infinity}]}')
@example(200, {}, "{}".encode("utf-16"))
@example(200, {"content-type": "\x00"}, b"")
def test_no_answer_raises(status: int, headers: dict[str, str], body: bytes) -> None:
    for size in (0, 1, 3):
        match decode(status, headers, body, size):
            case Taken(rows=rows, named=named):
                assert rows == size
                assert all(0 <= place < size for place in named)
            case RefusedBatch() as refused:
                assert refused.faults
                assert all(0 <= index < size for index in refused.rows)
                assert not (refused.maybe_applied and (refused.rows or refused.hold))
                assert refused.retry_after_seconds is None or 1 <= refused.retry_after_seconds <= 900
            case Lost(why=why):
                assert why


indexed = st.fixed_dictionaries({"Code": numbers, "Index": st.integers(0, 4)})


@given(st.lists(indexed, max_size=12).flatmap(lambda listed: st.tuples(st.just(listed), st.permutations(listed))))
def test_the_order_of_errors_changes_nothing(listings: tuple[list[object], list[object]]) -> None:
    first, second = listings
    for status in (200, 400):
        assert answered(*first, size=5, status=status) == answered(*second, size=5, status=status)


@given(st.lists(indexed, max_size=12))
def test_exactly_the_rows_that_no_error_names_are_delivered(listed: list[dict[str, int]]) -> None:
    answer = answered(*listed, size=6)  # row 5 is never named
    assert isinstance(answer, Taken)
    assert (answer.rows, set(answer.named)) == (6, {error["Index"] for error in listed})


@given(statuses.filter(lambda status: not 200 <= status < 300), bodies)
def test_a_refused_request_delivers_nothing(status: int, body: bytes) -> None:
    answer = decode(status, OK, body, 3)
    assert not isinstance(answer, Lost)
    assert not isinstance(answer, Taken) or answer.delivered == 0
