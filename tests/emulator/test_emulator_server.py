"""The emulator as a whole: restarts, certificate, control calls, and the documentation."""

import asyncio
import contextlib
import ssl
import stat
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from emulator_kit import GOALS, HOUR, NOON, Client, Serve, StillClock, adjustment, conversion
from multidict import CIMultiDict

from sidecar.emulator import Emulator, EmulatorOptions, MappedGoal
from sidecar.emulator.faults import Rule
from sidecar.emulator.tls import make_certificate

DOCS = Path(__file__).parents[2] / "docs" / "emulator.md"


# --- Restarts --------------------------------------------------------------------------------------------------------


async def test_ledger_tokens_and_goals_survive_a_restart(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "emulator.db"
    async with serve(state_file=file) as client:
        await client.apply(conversion(1))
        await client.campaign("ConversionGoals", {"ConversionGoals": [{"Name": "Made", "GoalCategory": "Other"}]})
        headers, pem = client.headers, client.emulator.ca_pem
    async with serve(state_file=file) as client:
        client.headers = headers
        assert client.emulator.ca_pem == pem
        await client.apply(conversion(1), conversion(2, ConversionName="Made"))
        await client.adjust(adjustment(1, "Retract"))
        (entry,) = await client.stored()
        assert (entry["seen"], entry["adjusted"]) == (2, "Retract")
        names = [item["goal"]["Name"] for item in (await client.control("GET", "goals")).json()["items"]]
        assert names == ["Purchase", "Plain", "Outside", "Made"]


async def test_state_in_memory_is_gone_with_the_emulator(serve: Serve) -> None:
    async with serve() as client:
        await client.apply(conversion(1))
    async with serve() as client:
        assert await client.stored() == []


async def test_state_file_is_for_its_owner_only(serve: Serve, tmp_path: Path) -> None:
    async with serve(state_file=tmp_path / "emulator.db") as client:
        await client.apply(conversion(1))
        modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o600}


async def test_goal_that_is_mapped_later_is_added_and_a_changed_one_stays(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "emulator.db"
    async with serve(state_file=file) as client:
        await client.control("PATCH", "goals/1", {"goal": {"Status": "Paused"}})
    async with serve(state_file=file, goals=(*GOALS, MappedGoal(name="Later"))) as client:
        later = await client.apply(conversion(1), conversion(2, ConversionName="Later"))
        assert later.errors == [(0, "OfflineConversionNameInvalid")]


# --- The end ---------------------------------------------------------------------------------------------------------


async def test_request_of_a_connection_that_shook_hands_during_the_end_is_cut(
    clock: StillClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with Emulator(EmulatorOptions(), clock) as emulator:
        trust = ssl.create_default_context(cadata=emulator.ca_pem)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        shaking = trust.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        reader, writer = await asyncio.open_connection("127.0.0.1", emulator.port)
        with pytest.raises(ssl.SSLWantReadError):
            shaking.do_handshake()
        writer.write(outgoing.read())
        incoming.write(await reader.read(65_536))  # the server's half; ours comes when the emulator has closed
        shaking.do_handshake()
    shaking.write(b"GET /_emulator/summary HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    writer.write(outgoing.read())
    with contextlib.suppress(ConnectionResetError):  # an end without a word is as good as a reset
        async with asyncio.timeout(60):
            await reader.read()
    writer.close()
    assert caplog.messages == []


# --- Certificate -----------------------------------------------------------------------------------------------------


async def test_certificate_holds_for_its_names_under_the_strictest_check(clock: StillClock) -> None:
    options = EmulatorOptions(host_names=("emulator.example", "127.0.0.1"))
    async with Emulator(options, clock) as emulator:
        trust = ssl.create_default_context(cadata=emulator.ca_pem)
        trust.verify_flags |= ssl.VERIFY_X509_STRICT
        for name in options.host_names:
            _, writer = await asyncio.open_connection("127.0.0.1", emulator.port, ssl=trust, server_hostname=name)
            writer.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", emulator.port, ssl=trust, server_hostname="other.example")
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", emulator.port, ssl=ssl.create_default_context())


async def test_new_host_names_get_a_new_certificate(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "emulator.db"
    async with serve(state_file=file) as client:
        first = client.emulator.ca_pem
    async with serve(state_file=file, host_names=("127.0.0.1", "emulator.example")) as client:
        assert client.emulator.ca_pem != first


def test_private_key_shows_up_nowhere() -> None:
    made = make_certificate(("localhost",))
    assert "PRIVATE KEY" in made.key_pem
    assert "PRIVATE KEY" not in repr(made) + made.ca_pem + made.server_pem


def test_options_do_not_print_secrets() -> None:
    options = EmulatorOptions(client_secret="test-secret", developer_token="test-developer-token")
    assert "test-" not in repr(options)


async def test_taken_port_is_an_error_that_leaves_nothing_open(client: Client, clock: StillClock) -> None:
    with pytest.raises(OSError, match="address already in use"):
        async with Emulator(EmulatorOptions(port=client.emulator.port), clock):
            pass


# --- Control ---------------------------------------------------------------------------------------------------------


async def test_control_calls_exist_only_when_asked_for(serve: Serve) -> None:
    async with serve(control=False) as client:
        for method, path in (("GET", "summary"), ("POST", "reset"), ("GET", "ledger/conversions"), ("POST", "faults")):
            assert (await client.control(method, path)).status == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8443"}, 200),
        ({"Host": "emulator.example"}, 200),
        ({"Host": "Two.Ci.Example:8443"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.ci.example.evil"}, 421),
        ({"Host": "a.b.ci.example"}, 421),
        ({"Host": ".ci.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
async def test_control_calls_of_a_foreign_page_are_refused(serve: Serve, headers: dict[str, str], status: int) -> None:
    names = ("localhost", "127.0.0.1", "emulator.example", "*.ci.example")
    async with serve(host_names=names) as client:
        await client.apply(conversion(1))
        for method, path in (("GET", "summary"), ("GET", "faults"), ("POST", "reset")):
            answer = await client.request(method, f"/_emulator/{path}", headers=headers)
            assert answer.status == status
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        kept = (await client.control("GET", "summary")).json()["conversions"]["kept"]
        assert kept == (0 if status == 200 else 1)


async def test_repeated_header_of_a_control_call_is_looked_at_whole(client: Client) -> None:
    headers = CIMultiDict([("Sec-Fetch-Site", "none"), ("Sec-Fetch-Site", "cross-site")])
    assert (await client.request("POST", "/_emulator/reset", headers=headers)).status == 403


async def test_ledger_is_read_over_http(client: Client) -> None:
    await client.apply(*(conversion(number) for number in range(3)))
    first = (await client.control("GET", "ledger/conversions?limit=2")).json()
    assert len(first["items"]) == 2
    rest = (await client.control("GET", f"ledger/conversions?limit=2&after={first['next_after']}")).json()
    assert (rest["items"][0]["row"], rest["next_after"]) == (conversion(2), None)
    assert (await client.control("GET", "ledger/conversions?account=4711")).json()["items"] == []
    assert (await client.control("GET", "ledger/requests")).json()["items"][-1]["rows"] == 3
    assert (await client.control("GET", "summary")).json()["conversions"]["kept"] == 3
    assert (await client.control("GET", "ledger/nothing")).status == 404
    mistaken = await client.control("GET", "ledger/conversions?limit=many")
    assert (mistaken.status, mistaken.json()) == (400, {"errors": ["limit: must be a whole number"]})


async def test_reset_forgets_everything_but_the_mapped_goals(serve: Serve) -> None:
    async with serve(requests_per_minute=2) as client:
        await client.apply(conversion(1))
        await client.control("POST", "goals", {"goal": {"Name": "Made"}})
        await client.fault("hang", match={"operation": "token"})
        assert (await client.control("POST", "reset")).json() == {}
        assert (await client.apply(conversion(1))).fault == "InvalidCredentials"
        await client.sign_in()
        assert (await client.apply(conversion(1))).errors == []
        assert (await client.apply(conversion(1))).errors == []
        (entry,) = await client.stored()
        assert entry["seen"] == 2
        assert len((await client.control("GET", "goals")).json()["items"]) == 3


async def test_ledger_alone_can_be_reset(client: Client) -> None:
    await client.apply(conversion(1))
    await client.control("POST", "reset", {"ledger_only": True})
    assert await client.stored() == []
    assert (await client.apply(conversion(1))).status == 200


async def test_goals_can_be_made_of_any_age_for_one_account_and_changed(client: Client) -> None:
    body = {"goal": {"Name": "Young"}, "created_at": NOON - HOUR, "account_id": "4711"}
    goal_id = (await client.control("POST", "goals", body)).json()["id"]
    row = conversion(1, ConversionName="Young")
    assert (await client.apply(row)).errors == [(0, "OfflineConversionNameInvalid")]
    client.headers["CustomerAccountId"] = "4711"
    assert (await client.apply(row)).errors == [(0, "OfflineConversionNotAcceptedForGoal")]
    changed = await client.control("PATCH", f"goals/{goal_id}", {"created_at": NOON - 2 * HOUR})
    assert changed.json()["created_at"] == NOON - 2 * HOUR
    assert (await client.apply(row)).errors == []


async def test_rules_can_be_listed_with_their_progress_and_removed(client: Client) -> None:
    rule = {"match": {"operation": "OfflineConversions/Apply"}, "after": 1, "action": {"type": "status", "status": 503}}
    rule_id = (await client.control("POST", "faults", rule)).json()["id"]
    await client.apply(conversion(1))
    (shown,) = (await client.control("GET", "faults")).json()["items"]
    assert (shown["id"], shown["matched"], shown["fired"]) == (rule_id, 1, 0)
    assert shown["rule"]["action"]["status"] == 503
    assert (await client.control("DELETE", f"faults/{rule_id}")).status == 200
    gone = await client.control("DELETE", f"faults/{rule_id}")
    assert (gone.status, gone.json()) == (404, {"errors": ["there is no rule of that id"]})
    await client.fault("hang")
    await client.control("DELETE", "faults")
    assert (await client.control("GET", "faults")).json() == {"items": []}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "faults", {"action": {"type": "explode"}}, 422),
        ("POST", "faults", {"acton": {}}, 422),
        ("POST", "faults", {"match": {"operation": "Nope"}, "action": {"type": "hang"}}, 400),
        ("GET", f"ledger/requests?after={10**20}", {}, 400),
        ("POST", "clicks", {"msclkid": "x", "account_id": "1", "clicked_at": 10**20}, 400),
        ("POST", "goals", {}, 422),
        ("POST", "goals", {"goal": {"Name": 5}}, 422),
        ("PATCH", "goals/999", {}, 404),
        ("POST", "clicks", {"msclkid": "x"}, 422),
    ],
)
async def test_wrong_control_call_gets_the_reason(
    client: Client, method: str, path: str, body: Any, status: int
) -> None:
    reply = await client.control(method, path, body)
    assert reply.status == status
    assert reply.text
    assert "pydantic" not in reply.text


async def test_mistake_in_a_rule_is_answered_in_our_own_words(client: Client) -> None:
    reply = await client.control("POST", "faults", {"match": {"operaton": "token"}, "action": {"type": "hang"}})
    (text,) = reply.json()["errors"]
    assert text.startswith("match.operaton: is not known; did you mean operation?")
    reply = await client.control("POST", "faults", {"match": {"operation": "tokn"}, "action": {"type": "hang"}})
    (text,) = reply.json()["errors"]
    assert text.startswith("match.operation: is not known; did you mean token?")


async def test_tokens_can_be_ended_at_once(client: Client) -> None:
    assert (await client.control("POST", "tokens/expire")).json() == {"expired": 1}
    assert (await client.apply(conversion(1))).fault == "AuthenticationTokenExpired"
    assert (await client.control("POST", "tokens/revoke")).json() == {"revoked": 1}


async def test_tests_in_the_same_process_can_script_without_control_calls(serve: Serve) -> None:
    async with serve(control=False) as client:
        client.emulator.script.add(Rule.model_validate({"action": {"type": "status", "status": 418}}))
        assert (await client.apply(conversion(1))).status == 418


async def test_requests_at_the_same_time_lose_and_repeat_nothing(client: Client) -> None:
    rows = [conversion(number) for number in range(400)]
    chunks = [rows[start : start + 50] for start in range(0, 400, 50)]
    replies = await asyncio.gather(*(client.apply(*chunk) for chunk in [*chunks, *chunks]))
    assert [reply.errors for reply in replies] == [[]] * 16
    summary = (await client.emulator.summary())["conversions"]
    assert summary == {"kept": 400, "seen": 800, "repeated": 400, "changed": 0, "unattributed": 0}


# --- Documentation ---------------------------------------------------------------------------------------------------


def test_documentation_names_every_action_and_every_field_of_a_rule() -> None:
    text = DOCS.read_text()
    schema = Rule.model_json_schema()
    for model in (schema, *schema["$defs"].values()):
        for name in model.get("properties", {}):
            assert f"`{name}`" in text or f'"{name}"' in text, f"docs/emulator.md does not name {name}"
        kind = model.get("properties", {}).get("type", {}).get("const")
        assert kind is None or f"`{kind}`" in text, f"docs/emulator.md does not name the action {kind}"


async def test_documentation_names_every_control_call(client: Client) -> None:
    text = DOCS.read_text()
    for path in ("summary", "ledger/conversions", "ledger/adjustments", "ledger/requests", "reset", "goals"):
        assert f"/_emulator/{path}" in text
    for path in ("clicks", "faults", "faults/{id}", "goals/{id}", "tokens/expire", "tokens/revoke"):
        assert f"/_emulator/{path}" in text


async def test_plain_http_is_not_spoken(client: Client) -> None:
    url = client.emulator.url.replace("https", "http")
    with pytest.raises(aiohttp.ClientError):
        await client.session.get(url + "/common/v2.0/.well-known/openid-configuration")
