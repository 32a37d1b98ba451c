"""What was skipped, refused or in conflict is found by its order id: in explain, in the logs, in the 404."""

from typing import Any

import pytest
from api_kit import MSCLKID, NOW, Api

from sidecar.core.instant import UnixMillis

Json = dict[str, Any]
PERSON = {"email": "anna@example.com", "phone": "+49 171 5551234"}


async def explained(api: Api, order_id: str = "ORDER-1") -> Json:
    answer = await api.get(f"/v1/orders/{order_id}/explain")
    body: Json = answer.json
    return body


def what(body: Json) -> list[tuple[str, list[str], str | None]]:
    return [(one["what"], one["codes"], one["event"]) for one in body["not_stored"]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"value": "12"}, ("refused", ["not_a_number"], "purchase")),
        ({"event": "purchse"}, ("refused", ["unknown_event"], "purchse")),
        ({"valeu": 5, "time": "yesterday"}, ("refused", None, "purchase")),
        ({"consent": "denied"}, ("skipped", ["consent_denied"], "purchase")),
        ({"msclkid": None}, ("skipped", ["no_identifier"], "purchase")),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
async def test_order_that_was_not_stored_is_explained(
    api: Api, conversion: Json, changes: Json, expected: tuple[str, list[str] | None, str], alone: bool
) -> None:
    item = {**conversion, **changes}
    await api.post(item if alone else [item], headers={"X-Request-Id": "from-the-shop"})
    body = await explained(api)
    assert (body["status"], body["type"]) == (404, "urn:sidecar:problem:no_such_conversion")
    [(kind, codes, event)] = what(body)
    assert (kind, event) == (expected[0], expected[2])
    assert codes == expected[1] or (expected[1] is None and len(codes) == 2)
    [one] = body["not_stored"]
    assert (one["at"], one["request_id"], one["times"]) == ("2026-11-23T14:30:45Z", "from-the-shop", 1)
    assert codes[0] in body["detail"] and "came and was not stored" in body["detail"]


async def test_conflict_is_listed_beside_the_receipt(api: Api, conversion: Json) -> None:
    await api.post(conversion)
    assert (await api.post({**conversion, "value": 5})).status == 409
    body = await explained(api)
    assert [item["id"] for item in body["items"]] == ["conv_1"]
    assert what(body) == [("conflict", ["conflict"], "purchase")]


async def test_order_that_was_stored_or_repeated_leaves_no_trace(api: Api, conversion: Json) -> None:
    await api.post(conversion)
    await api.post([conversion, {**conversion, "order_id": "ORDER-2"}])
    assert (await explained(api))["not_stored"] == []
    assert (await explained(api, "NONE"))["not_stored"] == []


async def test_validation_leaves_no_trace(api: Api, conversion: Json) -> None:
    await api.post({**conversion, "value": "12"}, "/v1/validate")
    assert (await explained(api))["not_stored"] == []


async def test_traces_are_found_once_they_are_on_disk_and_hold_no_person(api: Api, conversion: Json) -> None:
    store = api.store.unstored
    bad = {**conversion, "value": "12", "user": PERSON, "visitor_id": "v-81f0"}
    await api.post(bad)
    assert await api.telemetry.intake.traces.flush(store) == 0
    api.world.now = UnixMillis(NOW + 60_000)
    await api.post(bad)
    for _ in range(2):  # half of it on disk, then all of it
        [one] = (await explained(api))["not_stored"]
        assert (one["times"], one["first_at"], one["at"]) == (2, "2026-11-23T14:30:45Z", "2026-11-23T14:31:45Z")
        await api.telemetry.intake.traces.flush(store)
    stored = api.place.stored_bytes()
    for secret in (b"anna@example.com", b"5551234", b"v-81f0", MSCLKID.encode(), b"ORDER-1"):
        assert secret not in stored


async def test_adjustment_of_an_order_that_was_refused_says_why_it_is_not_known(api: Api, conversion: Json) -> None:
    await api.post({**conversion, "value": "12"})
    retract = {"order_id": "ORDER-1", "type": "retract"}
    answer = await api.post(retract, "/v1/adjustments")
    assert answer.status == 404
    assert "purchase was refused (not_a_number)" in answer.json["detail"]
    body = await explained(api)
    assert {(one["kind"], one["codes"][0]) for one in body["not_stored"]} == {
        ("conversion", "not_a_number"),
        ("adjustment", "no_such_conversion"),
    }
    assert "refused" not in (await api.post({**retract, "order_id": "OTHER"}, "/v1/adjustments")).json["detail"]
