"""POST /v1/clicks: what is captured, what is not, and what it says of each."""

from typing import Any

import pytest
from api_kit import MSCLKID, NOW, Api, OpenApi

from sidecar.core.intake.click import CaptureRules

CLICK = {"visitor_id": "v-81f0", "url": f"https://shop.example/?a=b&msclkid={MSCLKID}&c=d#top"}
DAY = 86_400


async def post(api: Api, given: Any, **options: Any) -> Any:
    return await api.post(given, path="/v1/clicks", **options)


@pytest.mark.parametrize(
    "given",
    [
        CLICK,
        {"visitor_id": "v", "msclkid": MSCLKID},
        {"visitor_id": "v", "msclkid": f"_uet{MSCLKID}"},
        {"visitor_id": "v", "url": f"/landing?MSCLKID={MSCLKID}"},
        {**CLICK, "time": "2026-11-23T14:00:00Z", "account": "default", "consent": "granted"},
        {**CLICK, "time": NOW // 1_000 - 90 * DAY},
    ],
)
async def test_click_is_captured(api: Api, given: Any) -> None:
    answer = await post(api, given)
    assert (answer.status, answer.json) == (202, {"captured": True, "reason": None, "warnings": []})


async def test_url_without_a_click_is_no_problem(api: Api) -> None:
    answer = await post(api, {"visitor_id": "v", "url": "https://shop.example/?gclid=x"})
    assert (answer.status, answer.json["captured"], answer.json["reason"]) == (202, False, "no_msclkid")


async def test_url_with_an_unusable_click_is_reported(api: Api) -> None:
    answer = await post(api, {"visitor_id": "v", "url": "https://shop.example/?msclkid=x"})
    assert (answer.status, answer.json["captured"]) == (202, False)
    assert [warning["code"] for warning in answer.json["warnings"]] == ["click_id_unusable"]


async def test_click_without_consent_is_not_kept(api: Api, open_api: OpenApi) -> None:
    answer = await post(api, {**CLICK, "consent": "denied"})
    assert (answer.status, answer.json["captured"], answer.json["reason"]) == (202, False, "consent_denied")


async def test_missing_consent_means_what_is_configured(open_api: OpenApi) -> None:
    api = await open_api(capture=lambda: CaptureRules(("default",), "denied"))
    assert (await post(api, CLICK)).json["reason"] == "consent_denied"
    assert (await post(api, {**CLICK, "consent": "granted"})).json["captured"]


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"url": "https://shop.example/"}, "visitor_id", "required"),
        ({"visitor_id": ""}, "visitor_id", "empty"),
        ({**CLICK, "visitor_id": "v" * 201}, "visitor_id", "too_long"),
        ({**CLICK, "visitor_id": 5}, "visitor_id", "not_text"),
        ({"visitor_id": "v"}, "url", "required"),
        ({"visitor_id": "v", "msclkid": "x"}, "msclkid", "invalid_msclkid"),
        ({**CLICK, "time": NOW // 1_000 - 90 * DAY - 1}, "time", "too_old"),
        ({**CLICK, "time": NOW // 1_000 + 301}, "time", "in_future"),
        ({**CLICK, "time": "2026-11-23T14:00:00"}, "time", "time_without_offset"),
        ({**CLICK, "account": "nobody"}, "account", "unknown_account"),
        ({**CLICK, "consent": "yes"}, "consent", "invalid_consent"),
        ({**CLICK, "visitorid": "v"}, "visitorid", "unknown_field"),
        (5, "", "not_an_object"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_its_field(api: Api, given: Any, field: str, code: str) -> None:
    answer = await post(api, given)
    assert (answer.status, (field, code) in [(e["field"], e["code"]) for e in answer.json["errors"]]) == (422, True)


async def test_all_problems_of_a_click_are_reported_at_once(api: Api) -> None:
    answer = await post(api, {"msclkid": "x", "time": "now"})
    assert answer.codes == ["required", "invalid_time", "invalid_msclkid"]


async def test_account_is_needed_where_there_are_several(open_api: OpenApi) -> None:
    api = await open_api(capture=lambda: CaptureRules(("default", "other")))
    assert (await post(api, CLICK)).codes == ["account_required"]
    assert (await post(api, {**CLICK, "account": "other"})).status == 202


async def test_array_is_answered_item_by_item(api: Api) -> None:
    answer = await post(api, [CLICK, {"visitor_id": "v", "url": "/"}, {"visitor_id": "v"}])
    assert answer.status == 207
    assert {key: answer.json[key] for key in ("captured", "not_captured", "rejected")} == {
        "captured": 1,
        "not_captured": 1,
        "rejected": 1,
    }
    assert [(one["index"], one["status"]) for one in answer.json["results"]] == [(0, 202), (1, 202), (2, 422)]
    assert (await post(api, [{}])).status == 422
    assert (await post(api, [CLICK])).status == 202
    assert (await post(api, [])).codes == ["empty_array"]
    assert (await post(api, [CLICK] * 1_001)).status == 413


async def test_clicks_of_a_request_are_committed_together(api: Api) -> None:
    await post(api, [{**CLICK, "visitor_id": f"v-{number}"} for number in range(200)])
    assert api.world.commits == [200]


async def test_repeat_changes_nothing(api: Api) -> None:
    for _ in range(2):
        assert (await post(api, CLICK)).json["captured"]
    stored = api.place.query("SELECT visitor_id, msclkid FROM clicks")
    assert stored == [{"visitor_id": CLICK["visitor_id"], "msclkid": MSCLKID}]


async def test_conversion_of_a_visitor_is_stored_and_shown(api: Api) -> None:
    answer = await api.post({"event": "purchase", "order_id": "A", "visitor_id": "v-1"})
    assert (answer.status, answer.json["visitor_id"], answer.json["matched_by"]) == (202, "v-1", ["visitor"])
    assert answer.json["msclkid"] is None


async def test_url_is_stored_nowhere(api: Api) -> None:
    await post(api, {"visitor_id": "v", "url": f"https://shop.example/canary?msclkid={MSCLKID}"})
    stored = api.place.stored_bytes()
    assert MSCLKID.encode() in stored
    assert b"canary" not in stored


async def test_conversion_that_lies_before_its_own_click_is_warned_of(api: Api) -> None:
    """A local time that was sent as if it were UTC."""
    await post(api, {"visitor_id": "v-1", "msclkid": MSCLKID, "time": "2026-11-23T14:00:00Z"})
    sale = {"event": "lead", "order_id": "A", "visitor_id": "v-1", "time": "2026-11-23T13:10:00Z"}
    own, visitors, right = (
        {**sale, "msclkid": MSCLKID},
        {**sale, "order_id": "B"},
        {**sale, "order_id": "C", "time": "2026-11-23T14:10:00Z"},
    )
    alone = await api.post(own)
    assert (alone.status, [(one["code"], one["field"]) for one in alone.json["warnings"]]) == (
        202,
        [("before_click", "time")],
    )
    assert "its own click, captured at 2026-11-23T14:00:00Z" in alone.json["warnings"][0]["message"]
    results = (await api.post([visitors, right])).json["results"]
    assert [[one["code"] for one in result["warnings"]] for result in results] == [["before_click"], []]
    assert "the first click of its visitor" in results[0]["warnings"][0]["message"]


async def test_what_was_captured_of_a_visitor_is_shown(api: Api) -> None:
    await post(api, [{**CLICK, "time": NOW // 1_000 - 60}, {"visitor_id": "v-2", "msclkid": "0" * 32}])
    answer = await api.get("/v1/clicks", params={"visitor_id": " v-81f0 "})
    shown = {
        "account": "default",
        "visitor_id": "v-81f0",
        "msclkid": MSCLKID,
        "clicked_at": "2026-11-23T14:29:45Z",
        "captured_at": "2026-11-23T14:30:45Z",
    }
    assert (answer.status, answer.json) == (200, {"items": [shown], "next_cursor": None})
    assert (await api.get("/v1/clicks?visitor_id=v-3")).json == {"items": [], "next_cursor": None}
    assert (await api.get("/v1/clicks?visitor_id=v-81f0&account=other")).json["items"] == []


async def test_clicks_of_a_visitor_are_those_of_all_accounts_unless_one_is_named(open_api: OpenApi) -> None:
    rules = CaptureRules(("default", "second"))
    api = await open_api(capture=lambda: rules)
    for account in rules.accounts:
        assert (await post(api, {**CLICK, "account": account})).status == 202
    for query, wanted in (("", {"default", "second"}), ("&account=second", {"second"})):
        items = (await api.get(f"/v1/clicks?visitor_id=v-81f0{query}")).json["items"]
        assert {item["account"] for item in items} == wanted


async def test_clicks_of_a_visitor_come_page_by_page(api: Api) -> None:
    ids = [f"{number:032x}" for number in range(3)]
    await post(api, [{"visitor_id": "v", "msclkid": id_, "time": NOW // 1_000 - n} for n, id_ in enumerate(ids)])
    found, query = [], {"visitor_id": "v", "account": "default", "limit": "2"}
    while True:
        page = (await api.get("/v1/clicks", params=query)).json
        found.append([item["msclkid"] for item in page["items"]])
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == [ids[:2], ids[2:]]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "required"),
        ("visitor_id=", "empty"),
        ("visitor_id=" + "v" * 201, "too_long"),
        ("visitor_id=v&limit=0", "invalid_limit"),
        ("visitor_id=v&limit=1001", "invalid_limit"),
        ("visitor_id=v&cursor=x", "invalid_cursor"),
        ("visitor_id=v&visitor_id=w", "repeated"),
        ("visitor=v", "unknown_parameter"),
    ],
)
async def test_query_that_cannot_be_read_is_refused(api: Api, query: str, code: str) -> None:
    answer = await api.get(f"/v1/clicks?{query}")
    assert (answer.status, answer.codes) == (422, [code])
