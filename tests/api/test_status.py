"""GET /v1/conversions: one row, lists of rows, and what may be asked."""

from typing import Any
from urllib.parse import quote

import pytest
from api_kit import MSCLKID, NOW, Api
from hypothesis import given
from hypothesis import strategies as st

from sidecar.api.http.problem import HttpProblem
from sidecar.api.request import query as parameters
from sidecar.api.row_json import HeldReason
from sidecar.api.status import read_query
from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import State
from sidecar.ports.queries import Query


def order(number: int, event: str = "purchase") -> dict[str, Any]:
    return {"event": event, "order_id": f"O-{number}", "msclkid": MSCLKID}


async def ids(api: Api, query: str) -> list[str]:
    answer = await api.get(f"/v1/conversions?{query}")
    assert answer.status == 200
    return [row["id"] for row in answer.json["items"]]


async def test_unknown_ids_are_404(api: Api) -> None:
    for id_ in ("conv_1", "conv_", "adj_1", "1", "conv_-1", "conv_99999999999999999999", "conv_1x", "%00", "x" * 500):
        answer = await api.get(f"/v1/conversions/{id_}")
        assert (answer.status, answer.json["type"]) == (404, "urn:sidecar:problem:no_such_conversion")


async def test_list_is_newest_first_and_pages_meet_without_gap(api: Api) -> None:
    await api.post([order(n) for n in range(25)])
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        body = (await api.get(f"/v1/conversions?limit=10{cursor and '&cursor=' + cursor}")).json
        seen += [row["id"] for row in body["items"]]
        cursor, pages = body["next_cursor"], pages + 1
    assert (seen, pages) == ([f"conv_{n}" for n in range(25, 0, -1)], 3)


async def test_default_page_has_a_hundred_rows(api: Api) -> None:
    await api.post([order(n) for n in range(101)])
    assert len(await ids(api, "")) == 100
    assert len(await ids(api, "limit=1000")) == 101


async def test_every_parameter_narrows_the_list(api: Api) -> None:
    await api.post([order(1), order(2), order(1, "lead")])
    api.world.now = UnixMillis(NOW + 60_000)
    await api.post(order(4))
    assert await ids(api, "order_id=O-1") == ["conv_3", "conv_1"]
    assert await ids(api, "order_id=O-1&event=lead") == ["conv_3"]
    assert await ids(api, "event=purchase") == ["conv_4", "conv_2", "conv_1"]
    assert await ids(api, "state=dead") == []
    assert await ids(api, "account=default&state=pending&limit=1") == ["conv_4"]
    assert await ids(api, "account=other") == []
    assert await ids(api, "since=2026-11-23T14:31:00Z") == ["conv_4"]
    assert await ids(api, "since=2026-11-23T15:31:00+01:00") == ["conv_4"]  # a + that was not escaped
    for since in (
        "2026-11-23T15:31:00%2B01:00",
        "2026-11-23t14:31z",
        "2026-11-23 14:31:00 00",
        "1795444260",
        "1795444260.5",
    ):
        assert await ids(api, f"since={since}") == ["conv_4"]


async def test_reason_is_the_one_that_is_shown_and_may_come_from_account_or_goal(api: Api) -> None:
    api.world.held = lambda record: HeldReason("goal_not_found") if record.event == "lead" else None
    await api.post([order(n, "lead" if n % 2 else "purchase") for n in range(6)])
    (last,) = await ids(api, "order_id=O-5")
    await api.post({}, f"/v1/conversions/{last}/discard")
    assert await ids(api, "reason=goal_not_found") == ["conv_4", "conv_2"]
    assert await ids(api, "reason=goal_not_found&state=pending&limit=1") == ["conv_4"]
    first = (await api.get("/v1/conversions?reason=goal_not_found&limit=1")).json
    assert await ids(api, f"reason=goal_not_found&cursor={first['next_cursor']}") == ["conv_2"]
    assert await ids(api, "reason=discarded") == [last]
    assert await ids(api, "reason=throttled") == []


async def test_rows_of_another_reason_end_a_page_early_with_a_cursor(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer looks through a bounded number of rows."""
    api.world.held = lambda record: HeldReason("goal_not_found") if record.event == "lead" else None
    await api.post([order(0, "lead"), *(order(n) for n in range(1, 10))])
    monkeypatch.setattr(parameters, "MAX_LIMIT", 2)
    page = (await api.get("/v1/conversions?reason=goal_not_found&limit=2")).json
    assert page["items"] == []
    assert await ids(api, f"reason=goal_not_found&limit=2&cursor={page['next_cursor']}") == ["conv_1"]


async def test_visitor_and_click_id_in_any_form_find_their_conversions(api: Api) -> None:
    await api.post([{"event": "lead", "order_id": "O-1", "visitor_id": "v 1"}, order(2)])
    assert await ids(api, "visitor_id=%20v%201") == ["conv_1"]
    dashed = "F894F652-ea33-4e73-9002-f7167ab8f8e3"
    for form in (MSCLKID, dashed, f"_uet{MSCLKID}", f"{MSCLKID}-1"):
        assert await ids(api, f"msclkid={form}") == ["conv_2"]


@pytest.mark.parametrize("limit", ["1", "0100", "1000"])
def test_limits_within_bounds_are_taken(limit: str) -> None:
    assert read_query([("limit", limit)]) == Query(limit=int(limit))


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        *(("limit", text, "invalid_limit") for text in ("0", "1001", "-1", "", "ten", "1.5", "١٠", "99999999999999")),
        *(("cursor", text, "invalid_cursor") for text in ("", "17", "YmVmb3JlIA", "!!", "YmVmb3JlIHg", "é")),
        *(("state", text, "unknown_state") for text in ("", "Dead", "failed")),
        *(("since", text, "invalid_time") for text in ("", "2026-11-23", "yesterday", "-1", "20261123T153045Z")),
        ("since", "2026-11-23T15:30:45", "time_without_offset"),
        *((name, "", "invalid_length") for name in ("order_id", "event", "account", "reason")),
        ("visitor_id", "", "empty"),
        ("visitor_id", "x" * 201, "too_long"),
        *(("msclkid", text, "invalid_msclkid") for text in ("GCLID-1", "f894", " ")),
        ("order", "1", "unknown_parameter"),
        ("", "", "unknown_parameter"),
    ],
)
def test_anything_else_is_a_problem(name: str, text: str, code: str) -> None:
    with pytest.raises(HttpProblem) as caught:
        read_query([(name, text)])
    assert (caught.value.kind.status, caught.value.errors[0].field, caught.value.reason) == (422, name, code)


async def test_all_problems_are_reported_and_a_near_name_is_suggested(api: Api) -> None:
    answer = await api.get("/v1/conversions?lmit=5&state=gone&event=a&event=b")
    assert (answer.status, answer.codes) == (422, ["unknown_parameter", "unknown_state", "repeated"])
    assert "did you mean limit?" in answer.json["detail"]


@given(st.dictionaries(st.sampled_from(["since", "limit", "cursor", "state", "order_id", "x"]), st.text(max_size=40)))
def test_no_text_breaks_the_reader(given: dict[str, str]) -> None:
    try:
        query = read_query(given.items())
    except HttpProblem as problem:
        assert problem.kind.status == 422
    else:
        assert isinstance(query.state, State | None)


@pytest.mark.parametrize("written", [" R-1 ", "\tR-1\n", "\N{NO-BREAK SPACE}R-1\N{ZERO WIDTH SPACE}"])
async def test_blanks_around_ids_are_taken_off_wherever_they_are_asked_for(api: Api, written: str) -> None:
    sale = {"event": " lead ", "order_id": written, "visitor_id": written, "account": "default "}
    stored = await api.post(sale)
    assert (stored.status, stored.json["order_id"], stored.json["visitor_id"]) == (202, "R-1", "R-1")
    assert (await api.post({"event": "lead", "order_id": "R-1", "visitor_id": "R-1"})).status == 200
    asked = quote(written, safe="")
    assert await ids(api, f"order_id={asked}&event=%20lead&account=default%20") == ["conv_1"]
    explained = await api.get(f"/v1/orders/{asked}/explain")
    assert explained.json["items"][0]["id"] == "conv_1"
    refund = await api.post({"order_id": written, "type": "retract"}, "/v1/adjustments")
    assert (refund.status, refund.json["conversion_id"]) == (202, "conv_1")
