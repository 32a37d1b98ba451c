"""POST /v1/conversions: every status of section 2 of the contract, on a real outbox."""

import asyncio
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from api_kit import MSCLKID, NOW, RULES, Api, OpenApi

from sidecar.core.instant import DAY_SECONDS, UnixMillis
from sidecar.ports.journal import JournalQuery

Json = dict[str, Any]


# --- One object ------------------------------------------------------------------------------------------------------


async def test_stored_conversion_is_answered_202_with_its_row(api: Api, conversion: Json) -> None:
    answer = await api.post(conversion)
    assert answer.status == 202
    assert {**answer.json, "adjustments": []} == (await api.get("/v1/conversions/conv_1")).json | {"warnings": []}
    assert answer.json["matched_by"] == ["msclkid"]
    assert (await api.pending(), api.world.commits, api.world.woken) == (1, [1], [{"default": 1}])
    assert "Idempotent-Replayed" not in answer.headers


async def test_warnings_come_with_the_row(api: Api) -> None:
    given = {"event": "purchase", "value": 59.97000000000001, "user": {"email": "no address"}, "msclkid": MSCLKID}
    warnings = (await api.post(given)).json["warnings"]
    assert [(warning["code"], warning["field"]) for warning in warnings] == [
        ("value_rounded", "value"),
        ("email_unusable", "user.email"),
        ("not_repeatable", "order_id"),
    ]
    assert all(warning["message"] for warning in warnings)


async def test_same_conversion_again_is_answered_200_and_says_so(api: Api, conversion: Json) -> None:
    first = await api.post(conversion)
    again = await api.post({**conversion, "value": 99.990, "meta": {"does not": "count"}})
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json == first.json
    assert (await api.pending(), api.world.woken) == (1, [{"default": 1}])


async def test_other_content_under_the_same_key_is_a_conflict_that_names_the_row(api: Api, conversion: Json) -> None:
    """409 naming the stored id and pointing to adjustments."""
    await api.post(conversion)
    answer = await api.post({**conversion, "value": 100})
    assert (answer.status, answer.codes, answer.json["conversion_id"]) == (409, ["conflict"], "conv_1")
    assert "conv_1" in answer.json["detail"]
    assert "/v1/adjustments" in answer.json["detail"]
    assert answer.json["errors"][0]["field"] == "order_id"
    assert answer.json["differences"] == [{"field": "value", "stored": 99.99, "given": 100}]
    assert "value was 99.99 and now is 100" in answer.json["detail"]
    assert await api.pending() == 1


async def test_conflict_shows_no_identifier_and_both_of_all_other_values(api: Api, conversion: Json) -> None:
    at = "2026-11-23T14:00:00Z"
    await api.post({**conversion, "time": at, "visitor_id": "v-1", "user": {"email": "a@example.com"}})
    other = {
        "event": "purchase",
        "order_id": "ORDER-1",
        "time": "2026-11-23T15:00:00.5+01:00",
        "currency": "EUR",
        "msclkid": "0" * 32,
        "visitor_id": "v-2",
        "user": {"email": "b@example.com", "phone": "+14255551234"},
    }
    answer = await api.post([other, {**other, "time": "2026-11-23T14:00:01Z"}])
    fields = [{"field": name} for name in ("msclkid", "visitor_id", "user.email", "user.phone")]
    money = [
        {"field": "value", "stored": 99.99, "given": None},
        {"field": "currency", "stored": None, "given": "EUR"},
    ]
    moved = {"field": "time", "stored": at, "given": "2026-11-23T14:00:01Z"}
    results = answer.json["results"]
    assert [result["differences"] for result in results] == [[*money, *fields], [moved, *money, *fields]]
    assert not [secret for secret in ("example.com", "v-1", "v-2", "0" * 8, "425") if secret in answer.text]


SHORT = {"Prefer": "return=minimal"}


async def test_short_answer_has_id_state_and_warnings(api: Api, conversion: Json) -> None:
    rounded = {**conversion, "value": 7.7225}
    for status in (202, 200):
        answer = await api.post(rounded, headers=SHORT)
        assert (answer.status, answer.headers["Preference-Applied"]) == (status, "return=minimal")
        assert answer.json.keys() == {"id", "state", "warnings"}
        assert (answer.json["id"], answer.json["state"]) == ("conv_1", "pending")
        assert [warning["code"] for warning in answer.json["warnings"]] == ["value_rounded"]
    assert answer.headers["Idempotent-Replayed"] == "true"
    whole = await api.post(rounded, headers={"Prefer": "return=representation"})
    assert "Preference-Applied" not in whole.headers
    assert whole.json["value"] == 7.723


async def test_short_answer_to_an_array_has_index_status_and_id_and_all_errors(api: Api, conversion: Json) -> None:
    refused, organic = {**conversion, "event": "nothing"}, {"event": "lead"}
    other = {**conversion, "value": 1}
    answer = await api.post([conversion, conversion, refused, organic, other], headers=SHORT)
    assert (answer.status, answer.headers["Preference-Applied"]) == (207, "return=minimal")
    first, again, wrong, skipped, conflict = answer.json["results"]
    assert first == {"index": 0, "status": 202, "id": "conv_1"}
    assert again == {"index": 1, "status": 200, "id": "conv_1"}
    assert (wrong["status"], wrong["errors"][0]["code"]) == (422, "unknown_event")
    assert skipped == {"index": 3, "status": 200, "state": "skipped", "reason": "no_identifier", "warnings": []}
    assert (conflict["status"], conflict["differences"][0]["field"]) == (409, "value")
    assert answer.json["accepted"] == 1


async def test_refusal_is_complete_even_if_a_minimal_answer_is_preferred(api: Api, conversion: Json) -> None:
    answer = await api.post({**conversion, "event": "nothing"}, headers=SHORT)
    assert (answer.status, answer.codes) == (422, ["unknown_event"])
    assert "Preference-Applied" not in answer.headers


async def test_dead_row_is_replaced_under_its_id(api: Api, conversion: Json) -> None:
    """A row that is dead or skipped is replaced: 202, the same id."""
    await api.post(conversion)
    api.world.now = UnixMillis(NOW + 91 * DAY_SECONDS * 1000)
    await api.outbox.expire(api.world.now, 10)
    assert (await api.get("/v1/conversions/conv_1")).json["state"] == "dead"
    answer = await api.post({**conversion, "value": 100})
    assert (answer.status, answer.json["id"], answer.json["state"], answer.json["value"]) == (
        202,
        "conv_1",
        "pending",
        100,
    )


async def test_idempotency_key_identifies_a_conversion_without_order(api: Api, conversion: Json) -> None:
    del conversion["order_id"]
    key = {"Idempotency-Key": "payment-1"}
    assert (await api.post(conversion, headers=key)).status == 202
    assert (await api.post(conversion, headers=key)).status == 200
    conflict = await api.post({**conversion, "value": 1}, headers=key)
    assert (conflict.status, conflict.json["errors"][0]["field"]) == (409, "Idempotency-Key")
    assert (await api.post(conversion, headers={"Idempotency-Key": "payment-2"})).status == 202


@pytest.mark.parametrize("key", ["", "k" * 256, " "])
async def test_unusable_idempotency_key_is_refused(api: Api, conversion: Json, key: str) -> None:
    answer = await api.post(conversion, headers={"Idempotency-Key": key})
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"event": "purchase", "consent": "denied", "msclkid": MSCLKID}, "consent_denied"),
        ({"event": "purchase", "order_id": "1"}, "no_identifier"),
        ({"event": "purchase", "user": {"phone": "12"}}, "no_identifier"),
    ],
)
async def test_conversion_that_rules_leave_out_is_answered_200_skipped(api: Api, given: Json, reason: str) -> None:
    """Not stored, answered 200 {"state": "skipped", "reason": …}."""
    answer = await api.post(given)
    assert (answer.status, answer.json["state"], answer.json["reason"]) == (200, "skipped", reason)
    assert (await api.pending(), api.world.commits, api.world.woken) == (0, [], [])


async def test_every_problem_is_reported_at_once(api: Api) -> None:
    given = {"event": "purchse", "valeu": 1, "currency": "EURO", "time": "2026-11-23T15:30:45", "order_id": ""}
    answer = await api.post(given)
    assert answer.status == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert sorted(answer.codes) == sorted(
        ["unknown_field", "unknown_event", "unknown_currency", "time_without_offset", "empty"]
    )
    assert "did you mean value?" in answer.json["detail"]
    assert set(answer.json) == {"type", "title", "status", "detail", "errors"}


@pytest.mark.parametrize("given", [None, 1, "text", True, 1.5])
async def test_json_that_is_neither_object_nor_array_is_422(api: Api, given: object) -> None:
    answer = await api.post(given)
    assert (answer.status, answer.codes) == (422, ["not_an_object"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"{",
        b'{"event": }',
        b"\xff\xfe",
        b'{"event": "\xe9"}',
        b"NaN",
        b"[Infinity]",
        b"{}{}",
        b"'x'",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"value": 1e' + b"9" * 30 + b"}",
    ],
)
async def test_body_that_is_empty_not_utf8_or_not_json_is_400(api: Api, body: bytes) -> None:
    answer = await api.post(body)
    assert (answer.status, answer.json["type"]) == (400, "urn:sidecar:problem:malformed_body")


async def test_value_stays_exact_from_request_to_row(api: Api, conversion: Json) -> None:
    body = json.dumps(conversion).replace("99.99", "999999999998.999").encode()
    assert '"value":999999999998.999,' in (await api.post(body)).text


async def test_new_configuration_is_in_force_with_the_next_request(api: Api) -> None:
    given = {"event": "refill", "msclkid": MSCLKID, "order_id": "1"}
    assert (await api.post(given)).codes == ["unknown_event"]
    await api.outbox.open_lanes([("default", "refill")])
    api.world.rules = replace(RULES, events={**RULES.events, "refill": RULES.events["lead"]})
    assert (await api.post(given)).status == 202


# --- An array --------------------------------------------------------------------------------------------------------


def orders(*numbers: int, **more: Any) -> list[Json]:
    return [{"event": "purchase", "order_id": f"O-{n}", "value": n, "msclkid": MSCLKID, **more} for n in numbers]


def counts(body: Json) -> tuple[int, ...]:
    return tuple(body[name] for name in ("accepted", "replayed", "skipped", "rejected"))


async def test_array_is_answered_item_by_item_in_order(api: Api) -> None:
    await api.post(orders(1, 2))
    skipped, refused, conflict = {"event": "lead"}, {"event": "nothing"}, orders(2, value=7)[0]
    answer = await api.post([refused, *orders(1, 3), skipped, conflict, "no object"])
    assert (answer.status, counts(answer.json)) == (207, (1, 1, 1, 3))
    results = answer.json["results"]
    assert [(one["index"], one["status"]) for one in results] == list(enumerate([422, 200, 202, 200, 409, 422]))
    assert results[0]["errors"][0]["code"] == "unknown_event"
    assert (results[1]["id"], results[2]["id"]) == ("conv_1", "conv_3")
    assert (results[3]["state"], results[3]["reason"]) == ("skipped", "no_identifier")
    assert (results[4]["conversion_id"], results[4]["errors"][0]["code"]) == ("conv_2", "conflict")
    assert results[5]["errors"] == [{"field": "", "code": "not_an_object", "message": "must be an object"}]


async def test_array_is_202_when_nothing_was_refused(api: Api) -> None:
    """202 when every item was stored, replayed or skipped."""
    await api.post(orders(1)[0])
    answer = await api.post([*orders(1, 2), {"event": "lead"}])
    assert (answer.status, counts(answer.json)) == (202, (1, 1, 1, 0))


async def test_array_is_422_when_everything_was_refused(api: Api) -> None:
    await api.post(orders(1)[0])
    answer = await api.post([{"event": "nothing"}, orders(1, value=9)[0]])
    assert (answer.status, counts(answer.json)) == (422, (0, 0, 0, 2))
    assert [one["status"] for one in answer.json["results"]] == [422, 409]


async def test_accepted_items_of_a_request_are_committed_together(api: Api) -> None:
    assert (await api.post([*orders(*range(300)), {"event": "nothing"}])).status == 207
    assert (api.world.commits, await api.pending(), api.world.woken) == ([300], 300, [{"default": 300}])


async def test_of_equal_keys_in_one_array_the_first_stores(api: Api) -> None:
    answer = await api.post([*orders(1), *orders(1), *orders(1, value=9)])
    assert [one["status"] for one in answer.json["results"]] == [202, 200, 409]
    assert (counts(answer.json), await api.pending()) == ((1, 1, 0, 1), 1)


async def test_thousand_items_go_into_one_request_and_no_more(api: Api) -> None:
    assert counts((await api.post(orders(*range(1000)))).json) == (1000, 0, 0, 0)
    answer = await api.post([{}] * 1001)
    assert (answer.status, answer.json["type"]) == (413, "urn:sidecar:problem:too_many_items")
    assert "1001" in answer.json["detail"]


async def test_empty_array_and_key_on_an_array_are_422(api: Api) -> None:
    assert (await api.post([])).codes == ["empty_array"]
    answer = await api.post(orders(1), headers={"Idempotency-Key": "k"})
    assert (answer.status, answer.codes, await api.pending()) == (422, ["key_on_array"], 0)
    assert (await api.post([], headers={"Idempotency-Key": "k"})).codes == ["empty_array", "key_on_array"]


# --- Validate --------------------------------------------------------------------------------------------------------


async def test_validate_shows_what_would_be_sent_and_stores_nothing(api: Api) -> None:
    given = {"event": "trial", "user": {"email": "Customer@Example.com"}, "msclkid": MSCLKID, "order_id": "1"}
    answer = await api.post(given, path="/v1/validate")
    assert (answer.status, answer.json["valid"], answer.json["errors"]) == (200, True, [])
    normalized = answer.json["normalized"]
    assert (normalized["goal"], normalized["value"], normalized["currency"]) == ("Sidecar Trial", 5, "EUR")
    assert normalized["email_sha256"] == hashlib.sha256(b"customer@example.com").hexdigest()
    assert (await api.pending(), api.world.commits) == (0, [])


async def test_validate_shows_each_step_of_normalising_the_request(api: Api) -> None:
    user = {"email": "John+1@Contoso.com", "phone": "0171 5551234"}
    one = {"event": "lead", "order_id": "1", "user": user}
    none = {"event": "lead", "order_id": "2", "msclkid": MSCLKID, "user": {"email_sha256": "a" * 64}}
    answer = await api.post([one, none, {"event": "lead", "order_id": "3"}], path="/v1/validate")
    first, second, third = (result["normalized"] for result in answer.json["results"])
    assert first["steps"]["email"][0] == {"step": "blanks removed", "result": "John+1@Contoso.com"}
    assert first["steps"]["email"][-1] == {"step": "dots before @ removed", "result": "john@contoso.com"}
    assert first["steps"]["phone"][-1] == {"step": "country code added (E.164)", "result": ""}
    assert (second["steps"], third) == ({"email": None, "phone": None}, None)


async def test_validate_takes_the_country_of_the_request_then_that_of_the_configuration(api: Api) -> None:
    api.world.rules = replace(RULES, default_country="DE")
    for country, number in (("gb", "+441715551234"), (None, "+491715551234")):
        user = {"phone": "0171 5551234", "country": country}
        answer = await api.post({"event": "lead", "msclkid": MSCLKID, "user": user}, path="/v1/validate")
        assert answer.json["normalized"]["steps"]["phone"][-1]["result"] == number


async def test_validate_lists_problems_without_refusing(api: Api) -> None:
    answer = await api.post({"event": "nothing"}, path="/v1/validate")
    assert (answer.status, answer.json["valid"], answer.codes) == (200, False, ["unknown_event"])
    assert answer.json["normalized"] is None


async def test_validate_tells_what_would_be_skipped(api: Api) -> None:
    answer = await api.post({"event": "lead", "order_id": "1"}, path="/v1/validate")
    assert (answer.json["valid"], [one["code"] for one in answer.json["warnings"]]) == (True, ["no_identifier"])


async def test_validate_of_an_array_gives_a_list_in_order(api: Api, conversion: Json) -> None:
    answer = await api.post([conversion, {"event": "nothing"}], path="/v1/validate")
    assert answer.status == 200
    assert [(one["index"], one["valid"]) for one in answer.json["results"]] == [(0, True), (1, False)]
    assert (await api.post([], path="/v1/validate")).codes == ["empty_array"]


# --- Storage ---------------------------------------------------------------------------------------------------------


async def test_full_outbox_is_503_with_outcome_unknown(open_api: OpenApi) -> None:
    api = await open_api(max_pending=2)
    assert (await api.post(orders(1, 2))).status == 202
    answer = await api.post(orders(3)[0])
    assert (answer.status, answer.codes, answer.headers["Retry-After"]) == (503, ["outbox_growing"], "1")
    assert "Outcome unknown" in answer.json["detail"]
    assert [trouble.code for trouble in api.telemetry.board.active()] == ["outbox_growing"]
    assert (await api.post({"event": "nothing"})).status == 422  # validation comes before storage


async def test_full_outbox_still_knows_what_it_has(open_api: OpenApi) -> None:
    """Conflict comes before storage: a client that repeats after a 503 learns that the row is on disk."""
    api = await open_api(max_pending=2)
    first, second = orders(1, 2)
    await api.post([first, second])
    again = await api.post(first)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert (await api.post({**first, "value": 7})).status == 409
    several = await api.post([first, second, {"event": "nothing"}])
    assert (several.status, several.json["replayed"], several.json["rejected"]) == (207, 2, 1)
    assert (await api.post([first, *orders(3)])).status == 503
    assert await api.pending() == 2


async def test_refused_requests_are_timed_too(api: Api) -> None:
    await api.post({"event": "nothing"})
    assert "sidecar_intake_seconds_count 1.0" in api.telemetry.metrics.exposition("")[0].decode()


async def test_stopping_outbox_is_503_and_no_trouble(api: Api, conversion: Json) -> None:
    api.store.stop()
    answer = await api.post(conversion)
    assert (answer.status, answer.codes) == (503, ["stopping"])
    assert int(answer.headers["Retry-After"]) > 0
    assert api.telemetry.board.active() == []


async def test_fifty_equal_requests_at_once_store_one_row(api: Api, conversion: Json) -> None:
    answers = await asyncio.gather(*(api.post(conversion) for _ in range(50)))
    assert sorted(answer.status for answer in answers) == [200] * 49 + [202]
    assert {answer.json["id"] for answer in answers} == {"conv_1"}
    assert await api.pending() == 1


async def test_request_that_its_caller_gave_up_is_stored_all_the_same(api: Api, conversion: Json) -> None:
    body = json.dumps(conversion).encode()
    head = b"POST /v1/conversions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    _, writer = await asyncio.open_connection(api.host, api.port)
    writer.write(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))
    await writer.drain()
    writer.transport.abort()
    assert (await api.post(conversion)).status in (200, 202)
    assert await api.pending() == 1


async def test_metrics_count_what_was_received_skipped_and_refused(api: Api) -> None:
    await api.post([*orders(1, 2), {"event": "lead"}, {"event": "nothing"}])
    page = api.telemetry.metrics.exposition("")[0].decode()
    assert 'sidecar_conversions_received_total{event="purchase"} 2.0' in page
    assert 'reason="no_identifier",state="skipped"} 1.0' in page
    assert "sidecar_intake_seconds_count 1.0" in page


# --- What conversions can be matched by ------------------------------------------------------------------------------


async def test_goal_whose_conversions_have_few_identifiers_is_reported_until_it_recovers(api: Api) -> None:
    organic = [{"event": "purchase", "order_id": f"N-{n}"} for n in range(90)]
    matched = [{"event": "purchase", "order_id": f"M-{n}", "msclkid": MSCLKID} for n in range(30)]
    denied = [{"event": "purchase", "order_id": f"D-{n}", "consent": "denied"} for n in range(500)]
    await api.post(denied)
    await api.post(organic)
    assert api.telemetry.board.active() == []
    await api.post(matched[:10])
    (standing,) = api.telemetry.board.active()
    assert (standing.code, standing.subject) == ("low_match_rate", "Sidecar Purchase")
    assert "of the last 100 conversions 10 can be matched: 10 by click id" in standing.message
    health = (await api.get("/healthz")).json
    assert (health["status"], health["checks"]["goals"]["status"]) == ("ok", "ok")
    await api.post(matched[:10])  # known already: nothing new came in
    assert api.telemetry.board.active() == [standing]
    await api.post(matched[10:])
    assert api.telemetry.board.active() == []


async def test_goals_are_judged_each_on_its_own(api: Api) -> None:
    await api.post([{"event": "lead", "order_id": f"L-{n}"} for n in range(100)])
    await api.post([{"event": "trial", "order_id": f"T-{n}", "msclkid": MSCLKID} for n in range(100)])
    assert [standing.subject for standing in api.telemetry.board.active()] == ["Sidecar Lead"]
    (text, _) = api.telemetry.metrics.exposition("")
    assert b'sidecar_match_total{by="none"} 100.0' in text
    assert b'sidecar_match_total{by="msclkid"} 100.0' in text


async def test_order_within_a_request_says_nothing(api: Api) -> None:
    nothing = [{"event": "lead", "order_id": f"N-{n}"} for n in range(150)]
    await api.post([*nothing, *({"event": "lead", "order_id": f"M-{n}", "msclkid": MSCLKID} for n in range(150))])
    assert api.telemetry.board.active() == []
    journal = api.store.journal
    await api.telemetry.flush(journal)
    assert (await journal.read(JournalQuery(name="trouble_raised"))).items == ()
