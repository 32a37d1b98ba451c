"""The sign-in by hand: discovery, consent, codes, refresh tokens and every refusal."""

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from emulator_kit import HOUR, NOON, SCOPE, Client, Reply, Serve, StillClock, conversion

from sidecar.emulator import SEED_REFRESH_TOKEN

VERIFIER = "test-verifier-" + "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
BACK = "http://localhost:8077/oauth/callback"
ASKED = {
    "client_id": "test-app",
    "response_type": "code",
    "redirect_uri": BACK,
    "scope": f"{SCOPE} openid profile offline_access",
    "state": "test-state",
    "nonce": "test-nonce",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "prompt": "select_account",
}
MINUTE = 60_000


async def authorize(client: Client, **asked: str | None) -> Reply:
    merged = {name: value for name, value in {**ASKED, **asked}.items() if value is not None}
    return await client.request("GET", f"/common/oauth2/v2.0/authorize?{urlencode(merged)}")


def returned(reply: Reply) -> dict[str, str]:
    """What the browser brings back."""
    assert reply.status == 302, reply.text
    assert reply.headers["Location"].startswith(BACK + "?")
    return dict(parse_qsl(urlsplit(reply.headers["Location"]).query))


async def redeem(client: Client, code: str, **form: str | None) -> Reply:
    usual = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    return await client.token(**{name: value for name, value in {**usual, **form}.items() if value is not None})


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def refused(reply: Reply) -> tuple[int, str, int]:
    """Status, error and AADSTS number."""
    body = reply.json()
    assert body["error_description"].startswith(f"AADSTS{body['error_codes'][0]}: ")
    assert body["correlation_id"] in body["error_description"]
    return reply.status, body["error"], body["error_codes"][0]


# --- Discovery and consent --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tenant", ["common", "organizations", "contoso.example"])
async def test_discovery_names_endpoints_of_the_tenant(client: Client, tenant: str) -> None:
    found = (await client.request("GET", f"/{tenant}/v2.0/.well-known/openid-configuration")).json()
    assert found["issuer"] == f"{client.emulator.url}/{tenant}/v2.0"
    assert found["authorization_endpoint"] == f"{client.emulator.url}/{tenant}/oauth2/v2.0/authorize"
    assert found["token_endpoint"] == f"{client.emulator.url}/{tenant}/oauth2/v2.0/token"
    assert (await client.request("GET", urlsplit(found["jwks_uri"]).path)).json() == {"keys": []}


async def test_user_is_signed_in_at_once_and_sent_back_with_code_and_state(client: Client) -> None:
    back = returned(await authorize(client))
    assert back["state"] == "test-state"
    assert back["code"].startswith("test-code-")


async def test_user_can_be_sent_back_by_a_form_that_posts_itself(client: Client) -> None:
    reply = await authorize(client, response_mode="form_post", state='"><script>')
    assert reply.status == 200
    assert f'action="{BACK}"' in reply.text
    assert 'name="code"' in reply.text
    assert "<script>" not in reply.text


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"response_type": "token"}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "https://ads.microsoft.com/nothing"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
    ],
)
async def test_wrong_request_is_reported_to_the_application(
    client: Client, asked: dict[str, str | None], error: str
) -> None:
    back = returned(await authorize(client, **asked))
    assert (back["error"], back["state"]) == (error, "test-state")
    assert "code" not in back


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({"client_id": None}, 900144),
        ({"redirect_uri": None}, 900144),
        ({"redirect_uri": "http://example.com/callback"}, 50011),
        ({"redirect_uri": "javascript:alert(1)"}, 50011),
    ],
)
async def test_application_that_cannot_be_trusted_gets_nothing_sent_back(
    client: Client, asked: dict[str, str | None], number: int
) -> None:
    reply = await authorize(client, **asked)
    assert reply.status == 400
    assert f"AADSTS{number}" in reply.text


async def test_user_may_refuse(client: Client) -> None:
    rule = {"match": {"operation": "authorize"}, "action": {"type": "oauth_error", "aadsts": 65004}}
    await client.control("POST", "faults", rule)
    assert returned(await authorize(client))["error"] == "access_denied"
    assert "code" in returned(await authorize(client))


# --- Tokens -----------------------------------------------------------------------------------------------------------


async def test_code_brings_all_tokens_and_who_signed_in(client: Client) -> None:
    code = returned(await authorize(client))["code"]
    body = (await redeem(client, code)).json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    assert body["scope"].split() == [SCOPE, "openid", "profile"]
    message = claims(body["id_token"])
    assert (message["aud"], message["nonce"], message["iss"]) == (
        "test-app",
        "test-nonce",
        f"{client.emulator.url}/common/v2.0",
    )
    assert (message["iat"], message["exp"]) == (NOON // 1000, NOON // 1000 + 3600)
    assert {"sub", "tid", "oid", "preferred_username"} <= message.keys()
    client.headers["Authorization"] = f"Bearer {body['access_token']}"
    assert (await client.apply(conversion(1))).status == 200


async def test_code_is_good_once(client: Client) -> None:
    code = returned(await authorize(client))["code"]
    assert (await redeem(client, code)).status == 200
    assert refused(await redeem(client, code)) == (400, "invalid_grant", 54005)


async def test_code_is_good_for_five_minutes(client: Client, clock: StillClock) -> None:
    first, second = returned(await authorize(client))["code"], returned(await authorize(client))["code"]
    clock.now += 5 * MINUTE - 1
    assert (await redeem(client, first)).status == 200
    clock.now += 1
    assert refused(await redeem(client, second)) == (400, "invalid_grant", 70008)


@pytest.mark.parametrize(
    ("form", "number"),
    [
        ({"code_verifier": "test-wrong"}, 501481),
        ({"code_verifier": None}, 501481),
        ({"redirect_uri": BACK + "/other"}, 500112),
        ({"client_id": "test-other-app"}, 70000),
        ({"code": "test-unknown"}, 70000),
    ],
)
async def test_code_of_another_request_is_refused_and_stays_good(
    client: Client, form: dict[str, str | None], number: int
) -> None:
    code = returned(await authorize(client))["code"]
    assert refused(await redeem(client, **{"code": code, **form})) == (400, "invalid_grant", number)
    assert (await redeem(client, code)).status == 200


async def test_code_without_challenge_needs_no_verifier(client: Client) -> None:
    code = returned(await authorize(client, code_challenge=None, code_challenge_method=None))["code"]
    assert (await redeem(client, code, code_verifier=None)).status == 200


async def refresh(client: Client, token: str, **form: str) -> Reply:
    return await client.token(grant_type="refresh_token", refresh_token=token, **form)


async def grant(client: Client) -> str:
    """A refresh token that was signed in for."""
    body = (await redeem(client, returned(await authorize(client))["code"])).json()
    return str(body["refresh_token"])


async def test_each_refresh_brings_a_new_refresh_token_and_the_old_one_keeps_working(client: Client) -> None:
    """Each use returns a new one; the old one is not revoked at once."""
    first = await grant(client)
    second = (await refresh(client, first)).json()["refresh_token"]
    assert second != first
    assert (await refresh(client, first)).status == 200
    assert (await refresh(client, second)).status == 200


async def test_used_refresh_token_dies_where_that_is_wanted(serve: Serve) -> None:
    async with serve(revoke_used_refresh_tokens=True) as client:
        first = await grant(client)
        second = (await refresh(client, first)).json()["refresh_token"]
        assert refused(await refresh(client, first)) == (400, "invalid_grant", 50173)
        assert (await refresh(client, second)).status == 200


async def test_refresh_token_lives_while_it_is_used_within_ninety_days(client: Client, clock: StillClock) -> None:
    token = await grant(client)
    for _ in range(3):
        clock.now += 90 * 24 * HOUR
        assert (await refresh(client, token)).status == 200
    clock.now += 90 * 24 * HOUR + 1
    assert refused(await refresh(client, token)) == (400, "invalid_grant", 700082)


async def test_refresh_token_belongs_to_its_application_and_scope(client: Client) -> None:
    token = await grant(client)
    assert refused(await refresh(client, token, client_id="test-other-app"))[2] == 70000
    assert refused(await refresh(client, token, scope="https://si.ads.microsoft.com/msads.manage"))[2] == 65001
    assert refused(await refresh(client, token, scope="https://example.com/.default"))[1] == "invalid_scope"
    assert refused(await refresh(client, "test-unknown"))[2] == 70000


@pytest.mark.parametrize("scope", ["", SCOPE, "https://si.ads.microsoft.com/msads.manage offline_access openid"])
async def test_seed_is_always_accepted(client: Client, scope: str) -> None:
    reply = await refresh(client, SEED_REFRESH_TOKEN, client_id="test-anyone", scope=scope)
    client.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"
    assert (await client.apply(conversion(1))).status == 200


async def test_public_and_confidential_clients_may_sign_in_where_no_secret_is_set(client: Client) -> None:
    assert (await refresh(client, SEED_REFRESH_TOKEN)).status == 200
    assert (await refresh(client, SEED_REFRESH_TOKEN, client_secret="test-any")).status == 200


async def test_configured_application_must_identify_itself(serve: Serve) -> None:
    async with serve(client_id="test-app", client_secret="test-secret") as client:
        good = {"client_secret": "test-secret"}
        assert (await refresh(client, SEED_REFRESH_TOKEN, **good)).status == 200
        assert refused(await refresh(client, SEED_REFRESH_TOKEN)) == (401, "invalid_client", 7000218)
        wrong = await refresh(client, SEED_REFRESH_TOKEN, client_secret="test-wrong")
        assert refused(wrong) == (401, "invalid_client", 7000215)
        stranger = await refresh(client, SEED_REFRESH_TOKEN, client_id="test-stranger", **good)
        assert refused(stranger) == (400, "unauthorized_client", 700016)
        assert "AADSTS700016" in (await authorize(client, client_id="test-stranger")).text


async def test_unknown_grant_is_refused(client: Client) -> None:
    assert refused(await client.token(grant_type="password"))[1] == "unsupported_grant_type"
    assert refused(await client.token())[2] == 900144
    assert refused(await client.token(client_id=""))[2] == 900144


async def test_tokens_look_false(client: Client) -> None:
    body = (await redeem(client, returned(await authorize(client))["code"])).json()
    assert body["access_token"].startswith("test-access-")
    assert body["refresh_token"].startswith("test-refresh-")
