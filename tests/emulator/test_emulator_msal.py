"""Real MSAL as the judge of the sign-in."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msal
import pytest
import requests
from emulator_kit import SCOPE, Client, conversion

from sidecar.emulator import SEED_REFRESH_TOKEN, Emulator

BACK = "http://localhost:8077/oauth/callback"


@pytest.fixture
def ca_file(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The authority as a file. Without these variables, which requests prefers to what MSAL tells it."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    path = tmp_path / "ca.pem"
    path.write_text(client.emulator.ca_pem)
    return str(path)


def msal_application(emulator: Emulator, ca_file: str, secret: str | None) -> Any:
    kind, more = (
        (msal.ConfidentialClientApplication, {"client_credential": secret})
        if secret
        else (msal.PublicClientApplication, {})
    )
    return kind("test-app", authority=emulator.authority, instance_discovery=False, verify=ca_file, timeout=60, **more)


def signed_in(application: Any, ca_file: str, mode: str) -> dict[str, Any]:
    """The whole flow, the browser's part by hand."""
    flow = application.initiate_auth_code_flow([SCOPE], redirect_uri=BACK, response_mode=mode, prompt="consent")
    page = requests.get(flow["auth_uri"], verify=ca_file, allow_redirects=False, timeout=60)
    back = dict(parse_qsl(urlsplit(page.headers["Location"]).query))
    found: dict[str, Any] = application.acquire_token_by_auth_code_flow(flow, back)
    return found


@pytest.mark.parametrize("secret", ["test-secret", None])
@pytest.mark.filterwarnings("ignore:response_mode")
async def test_msal_signs_in_and_refreshes(client: Client, ca_file: str, secret: str | None) -> None:
    def work() -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
        application = msal_application(client.emulator, ca_file, secret)
        first = signed_in(application, ca_file, "query")
        second = application.acquire_token_by_refresh_token(first["refresh_token"], [SCOPE])
        return first, second, application.get_accounts()

    first, second, accounts = await asyncio.to_thread(work)
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert first["id_token_claims"]["preferred_username"] == "emulator@example.com"
    assert [account["username"] for account in accounts] == ["emulator@example.com"]
    client.headers["Authorization"] = f"Bearer {second['access_token']}"
    assert (await client.apply(conversion(1))).status == 200


async def test_msal_refreshes_the_seed_and_understands_refusals(client: Client, ca_file: str) -> None:
    def refresh_with(token: str) -> dict[str, Any]:
        application = msal_application(client.emulator, ca_file, "test-secret")
        found: dict[str, Any] = application.acquire_token_by_refresh_token(token, [SCOPE])
        return found

    assert (await asyncio.to_thread(refresh_with, SEED_REFRESH_TOKEN))["token_type"] == "Bearer"
    rule = {"match": {"operation": "token"}, "action": {"type": "oauth_error", "aadsts": 700082}}
    await client.control("POST", "faults", rule)
    wrong = await asyncio.to_thread(refresh_with, SEED_REFRESH_TOKEN)
    assert (wrong["error"], wrong["error_codes"], wrong["suberror"]) == ("invalid_grant", [700082], "token_expired")
