"""Replay and discard over HTTP: by id, by filter, and what is refused."""

from typing import Any

import pytest
from api_kit import MSCLKID, NOW, Api

from sidecar.api.operate import SLICE_ROWS
from sidecar.core.entry import Fault, Lane, Settled
from sidecar.core.instant import DAY_SECONDS, UnixMillis
from sidecar.core.states_and_reasons import State
from sidecar.ports.delivery import Note

Json = dict[str, Any]
JSON = {"Content-Type": "application/json"}


async def ended(api: Api, count: int, state: State = State.DEAD, reason: str = "poison", **given: Any) -> list[str]:
    """Ids of conversions that ended like that, at the first attempt."""
    orders = [{"event": "purchase", "order_id": f"{reason}-{n}", "msclkid": MSCLKID, **given} for n in range(count)]
    rows = (await api.post(orders)).json["results"]
    lanes: list[Lane] = list(await api.outbox.lanes())
    entries = await api.outbox.due(lanes, api.world.now, 1_000)
    claim = await api.outbox.claim("default", entries, [0] * len(entries), api.world.now, api.world.now)
    assert claim is not None
    fault = Fault("OfflineConversionNameInvalid", 5606, "There is no such goal.")
    steps = {entry.seq: Settled(state, reason, fault) for entry in claim.entries}
    assert await api.outbox.settle(claim, steps, Note("taken"), api.world.now)
    api.world.woken.clear()
    return [row["id"] for row in rows]


async def replay(api: Api, **wish: Any) -> Json:
    answer = await api.post(wish, "/v1/replay")
    assert answer.status == 200, answer.text
    body: Json = answer.json
    return body


async def test_replayed_conversion_is_due_at_once_under_its_id(api: Api) -> None:
    (id_,) = await ended(api, 1)
    answer = await api.post({}, f"/v1/conversions/{id_}/replay")
    assert answer.status == 200
    assert answer.json | {"conversion": None} == {"replayed": 1, "dry_run": False, "conversion": None}
    row = answer.json["conversion"]
    assert {**row, "adjustments": []} == (await api.get(f"/v1/conversions/{id_}")).json
    assert (row["id"], row["state"], row["reason"], row["error"], row["attempt"]) == (id_, "pending", None, None, 1)
    assert (await api.pending(), api.world.woken) == (1, [{"default": 1}])


async def test_filter_is_previewed_then_replayed_and_couriers_are_woken(api: Api) -> None:
    await ended(api, 3)
    await ended(api, 2, reason="OfflineConversionNameInvalid")
    await ended(api, 4, State.SKIPPED, "no_click")
    nothing = {"too_old": 0, "next_cursor": None}
    assert await replay(api, state="dead", dry_run=True) == {"matched": 5, "dry_run": True, **nothing}
    assert (await api.pending(), api.world.woken) == (0, [])
    wish = {"state": "dead", "reason": "poison", "event": "purchase", "since": "2026-11-23T15:30:45+01:00"}
    elsewhere = await replay(api, **wish, account="other")
    assert (elsewhere["replayed"], await api.pending()) == (0, 0)
    wish["account"] = "default"
    assert await replay(api, **wish) == {"replayed": 3, "dry_run": False, **nothing}
    assert (await api.pending(), api.world.woken) == (3, [{"default": 3}])
    assert await replay(api, state="skipped", reason=None, event=None, since=None, dry_run=None, cursor=None) == {
        "replayed": 4,
        "dry_run": False,
        **nothing,
    }
    assert (await api.get("/v1/conversions?state=dead")).json["items"][0]["reason"] == "OfflineConversionNameInvalid"


async def test_rows_that_got_too_old_are_counted_apart_and_stay(api: Api) -> None:
    (old,) = await ended(api, 1, time="2026-08-26T00:00:00Z")
    await ended(api, 2, reason="young")
    api.world.now = UnixMillis(NOW + 2 * DAY_SECONDS * 1_000)
    done = {"dry_run": False, "next_cursor": None}
    assert await replay(api, state="dead") == {"replayed": 2, "too_old": 1, **done}
    answer = await api.post({}, f"/v1/conversions/{old}/replay")
    assert (answer.status, answer.json["state"]) == (409, "dead")
    assert "more than 90 days old" in answer.json["detail"]


async def test_long_walk_ends_with_a_cursor_to_go_on_with(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.api.operate.SLICE_ROWS", 2)
    monkeypatch.setattr("sidecar.api.operate.MAX_SLICES", 3)
    await ended(api, 15)
    first = await replay(api, state="dead")
    assert (first["replayed"], await api.pending()) == (6, 6)
    second = await replay(api, state="dead", cursor=first["next_cursor"])
    third = await replay(api, state="dead", cursor=second["next_cursor"])
    assert (second["replayed"], third["replayed"], third["next_cursor"], await api.pending()) == (6, 3, None, 15)


def test_transaction_of_a_replay_has_at_most_a_thousand_rows() -> None:
    assert SLICE_ROWS <= 1_000


@pytest.mark.parametrize(
    ("wish", "codes"),
    [
        ({}, ["required"]),
        ({"state": "pending"}, ["unknown_state"]),
        ({"state": ["dead"]}, ["unknown_state"]),
        ({"state": "dead", "resaon": "poison"}, ["unknown_field"]),
        ({"state": "dead", "reason": ""}, ["empty"]),
        ({"state": "dead", "event": 7, "dry_run": "yes"}, ["not_text", "not_a_boolean"]),
        ({"state": "dead", "since": "2026-11-23", "cursor": "x"}, ["invalid_time", "invalid_cursor"]),
        ([], ["not_an_object"]),
    ],
)
async def test_every_problem_of_a_request_is_reported(api: Api, wish: Any, codes: list[str]) -> None:
    await ended(api, 1)
    answer = await api.post(wish, "/v1/replay")
    assert (answer.status, answer.codes, await api.pending()) == (422, codes, 0)


async def test_body_that_is_no_json_is_400(api: Api) -> None:
    answer = await api.post(b"{", "/v1/replay")
    assert (answer.status, answer.json["type"]) == (400, "urn:sidecar:problem:malformed_body")


@pytest.mark.parametrize(
    ("state", "reason", "why"),
    [
        (State.DELIVERED, None, "is delivered: sent again it could count twice"),
        (State.CANCELED, "discarded", "is canceled; send it again under another order_id"),
        (State.SKIPPED, "erased", "was erased"),
    ],
)
async def test_rows_in_another_state_are_not_replayed(api: Api, state: State, reason: str, why: str) -> None:
    (id_,) = await ended(api, 1, state, reason)
    answer = await api.post({}, f"/v1/conversions/{id_}/replay")
    assert (answer.status, answer.json["type"]) == (409, "urn:sidecar:problem:wrong_state")
    assert (answer.json["conversion_id"], answer.json["state"], answer.json["reason"]) == (id_, state, reason)
    assert f"{id_} {why}" in answer.json["detail"]


async def test_pending_row_need_not_be_replayed(api: Api, conversion: Json) -> None:
    await api.post(conversion)
    answer = await api.post({}, "/v1/conversions/conv_1/replay")
    assert (answer.status, answer.json["state"]) == (409, "pending")


async def test_discarded_row_is_canceled_and_reported(api: Api, conversion: Json) -> None:
    await api.post(conversion)
    answer = await api.post({}, "/v1/conversions/conv_1/discard")
    assert (answer.status, answer.json["state"], answer.json["reason"]) == (200, "canceled", "discarded")
    assert {**answer.json, "adjustments": []} == (await api.get("/v1/conversions/conv_1")).json
    again = await api.post({}, "/v1/conversions/conv_1/discard")
    assert (again.status, again.json["state"]) == (409, "canceled")
    assert (await api.post(conversion)).json["state"] == "canceled"
    (text, _) = api.telemetry.metrics.exposition("")
    assert b'sidecar_conversions_settled_total{goal="",reason="discarded",state="canceled"} 1.0' in text


async def test_row_that_is_on_its_way_is_not_discarded(api: Api, conversion: Json) -> None:
    await api.post(conversion)
    entries = await api.outbox.due(list(await api.outbox.lanes()), api.world.now, 10)
    assert await api.outbox.claim("default", entries, [0], api.world.now, UnixMillis(api.world.now + 60_000))
    answer = await api.post({}, "/v1/conversions/conv_1/discard")
    assert (answer.status, answer.json["state"]) == (409, "pending")
    assert "on its way, or may have been sent" in answer.json["detail"]


@pytest.mark.parametrize("verb", ["replay", "discard"])
async def test_unknown_ids_and_web_pages_are_refused(api: Api, verb: str, conversion: Json) -> None:
    await api.post(conversion)
    for id_ in ("conv_99", "adj_1", "1", "conv_x", "%00"):
        assert (await api.post({}, f"/v1/conversions/{id_}/{verb}")).status == 404
    path = f"/v1/conversions/conv_1/{verb}"
    assert (await api.call("POST", path)).status == 415
    assert (await api.post({}, path, headers={"Origin": "https://evil.example"})).status == 403
    assert await api.pending() == 1
