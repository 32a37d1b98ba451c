"""GET /openapi.json agrees with the routes, with the readers of requests, and with what the running service answers."""

import asyncio
import contextlib
import copy
import json
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import overview_states
import pytest
from claim_kit import claim_of
from jsonschema import Draft202012Validator, ValidationError
from msgspec import structs
from openapi_spec_validator import validate as validate_openapi
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from row_kit import PENDING, shown

from sidecar import __version__
from sidecar.api import adjustments, erasures, log_query, replay_query, series, status
from sidecar.api.goals import _blocked
from sidecar.api.openapi import document
from sidecar.api.request.items import MAX_ITEMS
from sidecar.api.request.query import MAX_LIMIT
from sidecar.api.routes import ROUTES
from sidecar.config import parse
from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.goals.plan import Blocked
from sidecar.core.intake import adjustment as adjustment_intake
from sidecar.core.intake import conversion as intake
from sidecar.core.intake import user
from sidecar.core.states_and_reasons import State
from sidecar.emulator import CUSTOMER_ID
from sidecar.emulator.faults import Rule
from sidecar.emulator.goal_rules import DEFAULTS
from sidecar.emulator.goals import all_goals, insert_goal, replace_goal
from sidecar.service import http as serving
from sidecar.service.runtime import Runtime, chance, now
from sidecar.service.settings import Settings
from sidecar.service.wiring import Components, open_parts
from sidecar.telemetry import Telemetry
from sidecar.telemetry.event_names import LEVELS

DOCUMENT = document()
SCHEMAS = DOCUMENT["components"]["schemas"]
MSCLKID = "f894f652ea334e739002f7167ab8f8e3"
CLOCK = Runtime(now, time.monotonic, chance)

# --- The judge -------------------------------------------------------------------------------------------------------


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        place = DOCUMENT
        for step in node["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        node = place
    return node


def closed(node: Any) -> Any:
    """The same, but an object may have no more than what is said of it: an answer must not outgrow its description."""
    if isinstance(node, list):
        return [closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    node = {key: closed(value) for key, value in node.items()}
    used = [node[key] for key in ("schema", "items") if isinstance(node.get(key), dict)]
    used += node["properties"].values() if isinstance(node.get("properties"), dict) else []
    for schema in used:
        if {"$ref", "allOf", "anyOf", "properties"} & schema.keys():
            schema["unevaluatedProperties"] = False
    return node


CLOSED = Registry().with_resource("urn:api", DRAFT202012.create_resource(closed(copy.deepcopy(DOCUMENT))))


def check(pointer: str, value: Any) -> None:
    """Raise unless `value` is as the schema at `pointer` says."""
    Draft202012Validator({"$ref": f"urn:api#{pointer}"}, registry=CLOSED).validate(value)


def check_answer(method: str, path: str, code: int, content_type: str, text: str) -> None:
    """Raise unless the document knows this answer of this call."""
    operation = DOCUMENT["paths"][path][method.lower()]
    key = str(code) if str(code) in operation["responses"] else "default"
    content = resolved(operation["responses"][key])["content"]
    assert content_type in content, f"{method} {path} may not answer {code} with {content_type}"
    schema = content[content_type]["schema"]
    if content_type.endswith("json"):
        judge = {**closed({"schema": schema})["schema"]}
        judge = json.loads(json.dumps(judge).replace('"#/', '"urn:api#/'))
        Draft202012Validator(judge, registry=CLOSED).validate(json.loads(text))


def test_states_that_the_page_is_tested_with_are_answers_of_the_overview() -> None:
    for state in overview_states.SIX.values():
        check("/components/schemas/Overview", state())


# --- The service -----------------------------------------------------------------------------------------------------


@dataclass(repr=False)  # a signal handler's lookup shows what an async fixture gave: 2 s for all these parts
class Service:
    """Everything as it is wired in earnest, but that nothing is sent."""

    parts: Components
    url: str
    client: aiohttp.ClientSession

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, str]:
        data = None if body is None else body if isinstance(body, str) else json.dumps(body)
        sent = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        options = {"data": data, "headers": sent, "allow_redirects": False}
        async with self.client.request(method, self.url + path, **options) as answer:
            return answer.status, answer.content_type, await answer.text()


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    config = parse(
        f"{{server: {{port: 0, max_body: 64KiB}}, microsoft: {{environment: emulator}}, "
        f"storage: {{url: 'sqlite:///{tmp_path}/outbox.db', min_free_disk: 1MiB}}}}",
        {},
    )
    settings = Settings(config)
    async with contextlib.AsyncExitStack() as stack:
        null = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, null)
        telemetry = Telemetry(now, fd=null)
        stack.callback(telemetry.close)
        parts = await open_parts(stack, settings, telemetry, CLOCK)
        committing = asyncio.create_task(parts.store.run())
        await parts.store.outbox.open_lanes(settings.lanes())
        async with serving.served(parts, CLOCK) as url, aiohttp.ClientSession() as client:
            yield Service(parts, url, client)
        parts.store.stop()
        await committing


@pytest.fixture
async def connected(service: Service) -> AsyncIterator[Service]:
    """The same, signed in."""
    signing_in = asyncio.create_task(service.parts.tokens.run())
    await service.parts.tokens.access_token()
    yield service
    signing_in.cancel()


# --- The document ----------------------------------------------------------------------------------------------------


async def test_document_is_served_and_valid(service: Service) -> None:
    code, content_type, text = await service.call("GET", "/openapi.json")
    assert (code, content_type) == (200, "application/json")
    assert json.loads(text) == DOCUMENT
    assert DOCUMENT["info"]["version"] == __version__
    validate_openapi(DOCUMENT)


def test_document_describes_every_route_and_no_other() -> None:
    assert {(method, path) for method, path, _ in operations()} == {
        (route.method, route.path.replace(":.+}", "}")) for route in ROUTES
    }


def test_every_call_has_a_name_and_a_summary_of_its_own() -> None:
    found = [(operation["operationId"], operation["summary"]) for _, _, operation in operations()]
    assert len(dict(found)) == len({summary for _, summary in found}) == len(found)


def test_no_key_of_the_document_is_a_torn_off_end_of_a_sentence() -> None:
    """YAML makes `{description: one, two}` a key `two` without a value."""

    def keys(node: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(node, dict):
            yield from node.items()
        for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from keys(each)

    assert [key for key, value in keys(DOCUMENT) if value is None or " " in key] == []


@pytest.mark.parametrize(
    ("path", "readers"),
    [
        ("/v1/conversions", status._READERS),
        ("/v1/adjustments", adjustments._READERS),
        ("/logs", log_query._READERS),
        ("/v1/series", series._READERS),
    ],
    ids=["conversions", "adjustments", "logs", "series"],
)
def test_parameters_of_lists_are_those_that_are_read(path: str, readers: dict[str, Any]) -> None:
    parameters = [resolved(one) for one in DOCUMENT["paths"][path]["get"]["parameters"]]
    assert [one["name"] for one in parameters if one["in"] == "query"] == list(readers)


def test_fields_of_a_conversion_are_those_that_are_read() -> None:
    assert SCHEMAS["Conversion"]["properties"].keys() == intake.SHAPE.names
    assert SCHEMAS["User"]["properties"].keys() == user.SHAPE.names
    assert SCHEMAS["ExternalAttribution"]["properties"].keys() == intake._CREDIT.names
    assert SCHEMAS["Replay"]["properties"].keys() == replay_query.SHAPE.names
    assert SCHEMAS["ErasureWanted"]["properties"].keys() == erasures.SHAPE.names


def test_fields_of_an_adjustment_are_those_that_are_read() -> None:
    assert SCHEMAS["Adjustment"]["properties"].keys() == adjustment_intake.SHAPE.names
    assert SCHEMAS["Adjustment"]["properties"]["type"]["enum"] == list(AdjustmentType)
    assert SCHEMAS["Original"]["properties"].keys() == adjustment_intake.ORIGINAL.names


@pytest.mark.parametrize(("schema", "kind"), [("Row", Kind.CONVERSION), ("AdjustmentRow", Kind.ADJUSTMENT)])
def test_members_of_a_row_are_those_that_are_shown_in_their_order(schema: str, kind: Kind) -> None:
    assert (
        list(SCHEMAS[schema]["properties"])
        == SCHEMAS[schema]["required"]
        == list(shown(structs.replace(PENDING, kind=kind)))
    )


def test_lists_of_values_and_limits_are_those_of_the_code() -> None:
    assert SCHEMAS["State"]["enum"] == list(State)
    assert SCHEMAS["LogLevel"]["enum"] == list(LEVELS)
    assert DOCUMENT["components"]["parameters"]["limit"]["schema"]["maximum"] == MAX_LIMIT
    body = DOCUMENT["components"]["requestBodies"]["Conversions"]["content"]["application/json"]
    assert body["schema"]["anyOf"][1]["maxItems"] == MAX_ITEMS
    check("/components/schemas/Conversion", body["example"])


# --- What is asked ---------------------------------------------------------------------------------------------------

GOOD = [
    {"event": "purchase", "order_id": "A", "value": 12.5, "msclkid": MSCLKID},
    {"event": "purchase", "time": "2026-11-23T15:30:45+01:00", "value": 0, "currency": "eur"},
    {"event": "lead", "landing_url": f"https://shop.example/?msclkid={MSCLKID}", "meta": {"any": [1, None]}},
    {"event": "signup", "user": {"email": "customer@contoso.com", "phone": "0171 5551234", "country": "de"}},
    {"event": "signup", "user": {"email_sha256": "A" * 64, "phone_sha256": "b" * 64}, "consent": "granted"},
    {"event": "lead", "external_attribution": {"credit": 1, "model": "first"}, "account": "default"},
    {"event": "lead", **dict.fromkeys(sorted(intake.SHAPE.names - {"event"}))},
]
BAD = [
    {},
    {"event": None},
    {"event": ""},
    {"event": "purchase", "vlaue": 10},
    {"event": "purchase", "value": "10"},
    {"event": "purchase", "value": True},
    {"event": "purchase", "value": -1},
    {"event": "purchase", "value": 10**12},
    {"event": "purchase", "order_id": 17},
    {"event": "purchase", "order_id": "x" * 201},
    {"event": "purchase", "time": 1_795_444_245_000},
    {"event": "purchase", "currency": "EURO"},
    {"event": "purchase", "consent": "yes"},
    {"event": "purchase", "meta": "note"},
    {"event": "purchase", "user": {"mail": "customer@contoso.com"}},
    {"event": "purchase", "user": {"email_sha256": "abc"}},
    {"event": "purchase", "external_attribution": {"credit": 1.5, "model": "first"}},
    {"event": "purchase", "external_attribution": {"credit": 1}},
    "purchase",
]


@pytest.mark.parametrize("item", GOOD, ids=str)
async def test_what_is_accepted_is_as_described(service: Service, item: dict[str, Any]) -> None:
    check("/components/schemas/Conversion", item)
    item = {**item, "time": item.get("time") and now() // 1000}
    assert json.loads((await service.call("POST", "/v1/validate", [item]))[2])["results"][0]["errors"] == []


@pytest.mark.parametrize("item", BAD, ids=str)
async def test_what_is_not_as_described_is_refused(service: Service, item: Any) -> None:
    judge = Draft202012Validator({"$ref": "urn:api#/components/schemas/Conversion"}, registry=CLOSED)
    assert not judge.is_valid(item)
    assert json.loads((await service.call("POST", "/v1/validate", [item]))[2])["results"][0]["errors"] != []


# --- What is answered ------------------------------------------------------------------------------------------------

ONE = {"event": "purchase", "order_id": "ONE", "value": 10, "msclkid": MSCLKID, "meta": {"cart": 7}}
NOISY = {"event": "purchase", "value": 59.97000000000001, "user": {"email": "a@contoso.com", "phone": "12"}}
RESTATE = {"order_id": "ONE", "type": "restate", "value": 5}
ELSEWHERE = {"event": "purchase", "time": int(time.time()) - 60, "msclkid": MSCLKID}
POST, GET, DELETE = "POST", "GET", "DELETE"


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        (POST, "/v1/conversions", {**ONE, "order_id": "TWO"}, 202),
        (POST, "/v1/conversions", NOISY, 202),
        (POST, "/v1/conversions", ONE, 200),
        (POST, "/v1/conversions", {**ONE, "consent": "denied"}, 200),
        (POST, "/v1/conversions", {**ONE, "value": 11}, 409),
        (POST, "/v1/conversions", {"evnt": "purchase"}, 422),
        (POST, "/v1/conversions", [{**ONE, "order_id": "THREE"}, ONE], 202),
        (POST, "/v1/conversions", [NOISY, ONE, {**ONE, "value": 1}, {}, 7, {**ONE, "consent": "denied"}], 207),
        (POST, "/v1/conversions", [{}, {**ONE, "value": 1}], 422),
        (POST, "/v1/conversions", [], 422),
        (POST, "/v1/conversions", "{", 400),
        (POST, "/v1/conversions", "[" + "{}," * 1_000 + "{}]", 413),
        (POST, "/v1/conversions", " " * 70_000, 413),
        (POST, "/v1/validate", ONE, 200),
        (POST, "/v1/validate", [NOISY, {}, {"event": "lead"}], 200),
        (POST, "/v1/validate", "x", 400),
        (GET, "/v1/conversions?limit=1&order_id=ONE", None, 200),
        (GET, "/v1/conversions?limit=0&stat=dead", None, 422),
        (GET, "/v1/conversions/conv_1", None, 200),
        (GET, "/v1/conversions/conv_99", None, 404),
        (GET, "/v1/conversions/conv_1/explain", None, 200),
        (GET, "/v1/conversions/conv_99/explain", None, 404),
        (GET, "/v1/orders/ONE/explain", None, 200),
        (GET, "/v1/orders/NONE/explain", None, 404),
        (POST, "/v1/adjustments", RESTATE, 202),
        (POST, "/v1/adjustments", {"conversion_id": "conv_1", "type": "retract"}, 202),
        (POST, "/v1/adjustments", {"original": ELSEWHERE, "type": "retract"}, 202),
        (POST, "/v1/adjustments", {**RESTATE, "order_id": "NONE"}, 404),
        (POST, "/v1/adjustments", {**RESTATE, "value": None}, 422),
        (POST, "/v1/adjustments", [RESTATE, RESTATE, {**RESTATE, "order_id": "NONE"}, {}], 207),
        (POST, "/v1/adjustments", [RESTATE, {**RESTATE, "value": 4}], 202),
        (POST, "/v1/adjustments", [{**RESTATE, "order_id": "NONE"}], 422),
        (POST, "/v1/adjustments", "{", 400),
        (GET, "/v1/adjustments/adj_9", None, 404),
        (GET, "/v1/adjustments?order_id=ONE", None, 200),
        (GET, "/v1/adjustments?state=gone", None, 422),
        (GET, "/logs", None, 200),
        (GET, "/logs?level=warning&limit=1", None, 200),
        (GET, "/logs?level=warn", None, 422),
        (GET, "/healthz", None, 200),
        (GET, "/v1/doctor", None, 200),
        (GET, "/livez", None, 200),
        (GET, "/readyz", None, 200),
        (GET, "/metrics", None, 200),
        (GET, "/openapi.json", None, 200),
        (GET, "/msclkid.js", None, 200),
        (GET, "/v1/goals", None, 200),
        (GET, "/v1/overview", None, 200),
        (GET, "/v1/series?name=received", None, 200),
        (GET, "/v1/series?name=dead&since=2026-01-01T00:00:00Z&step=7d", None, 200),
        (GET, "/v1/series?step=1h", None, 422),
        (GET, "/v1/series?name=lost&step=0h&since=2026-01-01", None, 422),
        (POST, "/v1/goals/plan", {"account": "nobody", "goals": []}, 422),
        (POST, "/v1/goals/plan", [], 422),
        (POST, "/v1/goals/plan", "", 400),
        (POST, "/v1/goals/apply", {"goals": "Sidecar Lead"}, 422),
        (POST, "/v1/goals/apply", {"goals": [7]}, 422),
        (GET, "/v1/connection", None, 200),
        (DELETE, "/v1/connection", None, 200),
        (GET, "/oauth/callback?state=unknown&code=test-code", None, 400),
        (POST, "/oauth/callback", {"redirect_url": "http://localhost/?state=unknown&code=test-code"}, 400),
        (POST, "/oauth/callback", {}, 422),
        (POST, "/connect", {}, 200),
        (POST, "/v1/conversions/conv_1/replay", {}, 409),
        (POST, "/v1/conversions/conv_99/replay", {}, 404),
        (POST, "/v1/conversions/conv_1/discard", {}, 200),
        (POST, "/v1/conversions/conv_99/discard", {}, 404),
        (POST, "/v1/replay", {"state": "dead"}, 200),
        (POST, "/v1/replay", {"state": "skipped", "dry_run": True}, 200),
        (POST, "/v1/replay", {"state": "pending"}, 422),
        (POST, "/v1/erasures", {"email": "customer@contoso.com"}, 202),
        (POST, "/v1/erasures", {"phone": "0171 5551234", "country": "DE", "retract": False}, 202),
        (POST, "/v1/erasures", {"order_id": "ONE", "retract": True}, 202),
        (POST, "/v1/erasures", {"email": "x", "order_id": "ONE", "more": 1}, 422),
        (GET, "/v1/erasures/erasure_1", None, 200),
        (GET, "/v1/erasures/erasure_99", None, 404),
        (POST, "/v1/accounts/default/pause", {}, 200),
        (POST, "/v1/accounts/default/resume", {}, 200),
        (POST, "/v1/accounts/nobody/pause", {}, 404),
        (POST, "/v1/accounts/nobody/resume", {}, 404),
        (POST, "/v1/alerts/test", {}, 409),
    ],
)
async def test_real_answers_are_as_described(service: Service, method: str, path: str, body: Any, code: int) -> None:
    assert (await service.call(POST, "/v1/conversions", ONE))[0] == 202
    assert (await service.call(POST, "/v1/erasures", {"visitor_id": "v-1"}))[0] == 202
    service.parts.telemetry.delivery.batch_halved(claim_of(1, 10, "default"))
    await service.parts.telemetry.flush(service.parts.store.journal)
    answered, content_type, text = await service.call(method, path, body)
    assert answered == code, text
    described = re.sub(r"(conv|adj)_\d+", "{id}", path.partition("?")[0])
    described = re.sub(r"/accounts/\w+", "/accounts/{name}", described)
    described = re.sub(r"erasure_\d+", "{id}", described)
    described = re.sub(r"/orders/\w+", "/orders/{order_id}", described)
    check_answer(method, described, code, content_type, text)


async def test_adjustments_are_answered_as_described(service: Service) -> None:
    """What needs something to have been there before: the same again, nothing left to adjust, looking at them."""

    async def asked(method: str, path: str, body: Any, code: int, described: str = "", **headers: str) -> None:
        answered, content_type, text = await service.call(method, path, body, **headers)
        assert answered == code, text
        check_answer(method, described or path, code, content_type, text)

    path = "/v1/adjustments"
    for order_id, event in (("ONE", "purchase"), ("BOTH", "purchase"), ("BOTH", "signup"), ("GONE", "purchase")):
        assert (
            await service.call(
                POST, "/v1/conversions", {**ONE, "order_id": order_id, "event": event, "currency": "USD"}
            )
        )[0] == 202
    await asked(POST, path, RESTATE, 202, Idempotency_Key="a")
    await asked(POST, path, RESTATE, 200, Idempotency_Key="a")
    await asked(POST, path, {**RESTATE, "value": 6}, 409, Idempotency_Key="a")
    await asked(POST, path, {**RESTATE, "order_id": "BOTH"}, 409)
    await asked(POST, path, {"order_id": "ONE", "type": "retract"}, 202)
    await asked(POST, path, {"order_id": "ONE", "type": "retract"}, 200)
    await asked(POST, path, {**RESTATE, "value": 7}, 409)
    await service.call(POST, "/v1/conversions/conv_4/discard", {})
    await asked(POST, path, {**RESTATE, "order_id": "GONE"}, 200)
    await asked(POST, path, {"original": ELSEWHERE, "type": "retract"}, 202)
    await asked(POST, path, [{**RESTATE, "order_id": name} for name in ("GONE", "BOTH", "ONE", "NONE")], 207)
    await asked(GET, "/v1/adjustments/adj_5", None, 200, "/v1/adjustments/{id}")
    await asked(GET, "/v1/conversions/conv_1", None, 200, "/v1/conversions/{id}")


async def accounts(service: Service) -> Any:
    code, content_type, text = await service.call(GET, "/v1/accounts")
    assert code == 200, text
    check_answer(GET, "/v1/accounts", code, content_type, text)
    return json.loads(text)


async def test_accounts_are_answered_as_described(connected: Service) -> None:
    for held, state in ((None, "open"), ("pause", "paused"), ("resume", "open")):
        if held:
            await connected.call(POST, f"/v1/accounts/default/{held}", {})
        answer = await accounts(connected)
        (account,) = answer["configured"]
        assert (account["visible"], account["paused"], account["state"]) == (True, held == "pause", state)
        assert [(one["account_id"], one["configured_as"]) for one in answer["visible"]] == [
            ("200000001", "default"),
            ("200000002", None),
            ("200000900", None),
        ]


async def test_accounts_that_cannot_be_read_are_answered_as_described(connected: Service) -> None:
    emulator = connected.parts.emulator
    assert emulator is not None
    fault = {"match": {"operation": "Accounts/Search"}, "action": {"type": "fault", "code": 106}}
    emulator.script.add(Rule.model_validate(fault))
    answer = await accounts(connected)
    assert (answer["visible"], answer["yaml"], answer["user"]) == ([], "", None)
    assert answer["trouble"]["code"] == "not_authorized"
    assert "Standard or Super Admin" in answer["trouble"]["fix"]
    assert [one["visible"] for one in answer["configured"]] == [None]


@pytest.mark.parametrize(
    ("ids", "reach", "fix"),
    [
        (("200000001", "100000001"), "swapped", "{customer_id: 100000001, account_id: 200000001}"),
        (("100000001", "200000002"), "visible", None),
        (("5", "200000002"), "unknown", "accounts.default.customer_id to 100000002"),
        (("100000001", "4711"), "unknown", "emulator@example.com can reach no account 4711"),
    ],
)
async def test_wrong_ids_are_named_with_the_right_ones(
    connected: Service, ids: tuple[str, str], reach: str, fix: str | None
) -> None:
    settings = connected.parts.settings
    account = settings.config.accounts["default"].model_copy(update={"customer_id": ids[0], "account_id": ids[1]})
    settings.config = settings.config.model_copy(update={"accounts": {"default": account}})
    (answer,) = (await accounts(connected))["configured"]
    assert (answer["reach"], answer["visible"]) == (reach, reach == "visible")
    assert fix in answer["fix"] if fix else answer["fix"] is None


async def change_goals(service: Service, **changes: dict[str, Any] | None) -> None:
    """Other members for the goals of these events at Microsoft; None: there is no such goal."""
    wanted = {service.parts.settings.goals()[event]: members for event, members in changes.items()}
    emulator = service.parts.emulator
    assert emulator is not None

    def change(db: Any) -> None:
        for goal in all_goals(db):
            members = wanted.get(goal.body["Name"], {})
            if members is None:
                db.execute("DELETE FROM goals WHERE id = ?", (goal.id,))
            else:
                replace_goal(db, replace(goal, body=goal.body | members))

    await emulator._state().transact(change)


async def asked(service: Service, method: str, path: str, body: Any = None) -> Any:
    """The only item of a good answer, which is as described."""
    code, content_type, text = await service.call(method, path, body)
    assert code == 200, text
    check_answer(method, path, code, content_type, text)
    [item] = json.loads(text)["items"]
    return item


@pytest.mark.parametrize("body", [{}, {"account": "default"}, {"account": None}])
async def test_account_that_lacks_nothing_is_answered_as_described(connected: Service, body: Any) -> None:
    assert (await asked(connected, POST, "/v1/goals/plan", body))["create"] == []
    assert (await asked(connected, POST, "/v1/goals/apply", body))["goals"] == []


async def test_goals_in_every_state_are_answered_as_described(connected: Service) -> None:
    await change_goals(connected, purchase={"Status": "Paused"}, lead=None, signup={"Name": "Sidecar Signups"})
    planned = await asked(connected, POST, "/v1/goals/plan", {})
    assert [each["goal"] for each in planned["create"]] == ["Sidecar Lead", "Sidecar Signup"]
    assert planned["create"][1]["did_you_mean"] == "Sidecar Signups"
    assert planned["create"][0]["revenue"] == {"type": "VariableValue", "value": 0, "currency": None}
    assert [each["state"] for each in planned["blocked"]] == ["goal_paused"]
    listed = await asked(connected, GET, "/v1/goals")
    assert {each["event"]: each["state"] for each in listed["events"]} == {
        "purchase": "goal_paused",
        "lead": "goal_not_found",
        "signup": "goal_not_found",
    }
    assert [goal["name"] for goal in listed["goals"]] == ["Sidecar Purchase", "Sidecar Signups"]
    assert (listed["auto_tagging"], listed["trouble"]) == (True, None)
    applied = await asked(connected, POST, "/v1/goals/apply", {"account": "default", "goals": ["Sidecar Lead"]})
    [made] = applied["goals"]
    assert (made["goal"], made["outcome"]) == ("Sidecar Lead", "created")
    assert made["first_conversion_at"] is not None
    await change_goals(connected, lead={"Type": "Url"})
    assert [each["goal"] for each in (await asked(connected, POST, "/v1/goals/plan", {}))["create"]] == [
        "Sidecar Signup"
    ]
    states = {each["event"]: each["state"] for each in (await asked(connected, GET, "/v1/goals"))["events"]}
    assert states["lead"] == "goal_wrong_type"


async def test_one_account_and_goal_are_answered_as_described(connected: Service) -> None:
    await change_goals(connected, lead=None, signup=None)
    planned = await asked(connected, POST, "/v1/goals/plan", {"goals": ["Sidecar Signup"]})
    assert [(each["goal"], each["assumed"]) for each in planned["create"]] == [
        ("Sidecar Signup", ["count_type", "window", "revenue", "enhanced", "scope"])
    ]
    for path in ("/v1/goals?goal=Sidecar%20Purchase", "/v1/goals?account=default&goal=Sidecar%20Purchase"):
        code, content_type, text = await connected.call(GET, path)
        check_answer(GET, "/v1/goals", code, content_type, text)
        [item] = json.loads(text)["items"]
        assert [goal["name"] for goal in item["goals"]] == ["Sidecar Purchase"]
        assert [event["event"] for event in item["events"]] == ["purchase"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        (GET, "/v1/goals?goal=Sidecar%20Purchas", None),
        (POST, "/v1/goals/plan", {"goals": ["Sidecar Purchas"]}),
        (POST, "/v1/goals/apply", {"goals": ["Sidecar Lead", "Sidecar Purchas"]}),
    ],
)
async def test_goal_that_no_event_is_mapped_to_is_refused_with_the_near_one(
    connected: Service, method: str, path: str, body: Any
) -> None:
    code, content_type, text = await connected.call(method, path, body)
    assert code == 422
    check_answer(method, path.partition("?")[0], code, content_type, text)
    [error] = json.loads(text)["errors"]
    assert (error["code"], "did you mean Sidecar Purchase?" in error["message"]) == ("unknown_goal", True)


def test_goal_of_another_account_is_reported_with_both_remedies() -> None:
    told = _blocked("us", Blocked("Purchase", ("purchase",), "goal_name_taken", "eu"))
    assert told["message"].endswith("It is account eu.")
    assert "accounts.us.goals.purchase" in told["fix"]
    assert "events.purchase.goal a new name" in told["fix"]
    assert "scope Customer" in told["fix"]


async def test_differences_are_answered_as_described(connected: Service) -> None:
    await change_goals(connected, purchase={"GoalCategory": "Signup"})
    planned = await asked(connected, POST, "/v1/goals/plan", {"account": "default"})
    assert planned["create"] == []
    assert planned["differences"] == [
        {"goal": "Sidecar Purchase", "event": "purchase", "field": "category", "wanted": "Purchase", "found": "Signup"}
    ]


async def test_goals_that_cannot_be_read_or_created_are_answered_as_described(connected: Service) -> None:
    assert connected.parts.emulator is not None
    script = connected.parts.emulator.script
    await change_goals(connected, lead=None, signup=None)
    script.add(
        Rule.model_validate({"match": {"operation": "ConversionGoals"}, "action": {"type": "fault", "code": 106}})
    )
    applied = await asked(connected, POST, "/v1/goals/apply", {})
    assert [(made["outcome"], made["error"]) for made in applied["goals"]] == [("refused", "UserIsNotAuthorized")] * 2
    query = {"match": {"operation": "ConversionGoals/QueryByIds"}, "times": None}
    script.add(Rule.model_validate({**query, "action": {"type": "fault", "code": 106}}))
    for method, path in ((POST, "/v1/goals/plan"), (POST, "/v1/goals/apply"), (GET, "/v1/goals")):
        item = await asked(connected, method, path, {} if method == POST else None)
        assert item["trouble"]["code"] == "not_authorized"


async def test_refused_goal_is_answered_with_microsofts_reason(connected: Service) -> None:
    assert connected.parts.emulator is not None
    state = connected.parts.emulator._state()
    await change_goals(connected, lead=None)
    body = DEFAULTS | {"Name": "Sidecar Lead", "GoalCategory": "Other"}
    await state.transact(lambda db: insert_goal(db, CUSTOMER_ID, "200000099", body, 0))
    [made] = (await asked(connected, POST, "/v1/goals/apply", {}))["goals"]
    assert (made["outcome"], made["error"], made["id"]) == ("refused", "ConversionGoalNameAlreadyExists", None)
    assert "another account of the customer has it" in made["fix"]


async def test_refusals_at_the_door_are_as_described(service: Service) -> None:
    for code, headers in ((421, {"Host": "shop.example"}), (403, {"Origin": "https://shop.example"})):
        answered, content_type, text = await service.call(GET, "/v1/conversions", **headers)
        assert answered == code
        check_answer(GET, "/v1/conversions", code, content_type, text)
    answered, content_type, text = await service.call(POST, "/v1/conversions", ONE, Content_Type="text/plain")
    assert answered == 415
    check_answer(POST, "/v1/conversions", 415, content_type, text)


async def test_storage_that_takes_nothing_is_answered_as_described(service: Service) -> None:
    service.parts.store.stop()
    for method, path, body in ((POST, "/v1/conversions", ONE), (GET, "/readyz", None), (GET, "/healthz", None)):
        answered, content_type, text = await service.call(method, path, body)
        assert answered == 503
        check_answer(method, path, 503, content_type, text)


def test_judge_refuses_an_answer_that_has_more_or_less_than_described() -> None:
    good = {"status": "ok"}
    check_answer(GET, "/livez", 200, "application/json", json.dumps(good))
    for bad in ({}, {"status": "fine"}, {**good, "more": 1}):
        with pytest.raises(ValidationError, match=r"required|expected|Unevaluated"):
            check_answer(GET, "/livez", 200, "application/json", json.dumps(bad))
