"""Connecting in a browser and from a terminal, against the emulator as Microsoft's side."""

import asyncio
import base64
import hashlib
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from importlib.resources import files
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from api_kit import NOT_SERVED
from sign_in_double import Store

from sidecar.api.http.guard import Guard
from sidecar.api.http.middleware import ErrorMiddleware
from sidecar.api.routes import Calls, access_of, mounted
from sidecar.api.sign_in import SignInCalls
from sidecar.api.sign_in_page import connected_page
from sidecar.core.instant import UnixMillis, text_of_millis
from sidecar.emulator import Emulator, EmulatorOptions
from sidecar.emulator.faults import Match, OAuthError, Rule, Status
from sidecar.microsoft.oauth import Application, AuthorizationRequest, OAuthClient
from sidecar.microsoft.sign_in_flow import MAX_PENDING, FinishedSignIn, PendingSignIns, SignInFlow, UnknownSignIn
from sidecar.microsoft.tokens import TokenSource
from sidecar.ports.errors import NotConnected
from sidecar.telemetry import Telemetry

NOW = UnixMillis(1_795_000_000_000)
SCOPE = "https://ads.microsoft.com/msads.manage"
CALLBACK = "http://localhost:8077/oauth/callback"


@dataclass
class House:
    """The sidecar's pages, what stands behind them, and a browser."""

    emulator: Emulator
    store: Store
    tokens: TokenSource
    connector: SignInFlow
    sidecar: TestClient[web.Request, web.Application]
    finished: list[FinishedSignIn] = field(default_factory=list)

    async def microsoft(self, url: str) -> str:
        """Visit Microsoft's page as the browser does: where it sends us back to."""
        trust = ssl.create_default_context(cadata=self.emulator.ca_pem)
        async with aiohttp.ClientSession() as browser, browser.get(url, ssl=trust, allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            return answer.headers["Location"]

    async def begin(self) -> str:
        """GET /connect: Microsoft's address."""
        answer = await self.sidecar.get("/connect", allow_redirects=False)
        assert answer.status == 302, await answer.text()
        return answer.headers["Location"]

    async def come_back(self, url: str) -> aiohttp.ClientResponse:
        """Follow Microsoft's redirect to us."""
        parts = urlsplit(url)
        assert url.startswith(CALLBACK)
        return await self.sidecar.get(f"{parts.path}?{parts.query}")

    async def connect(self) -> aiohttp.ClientResponse:
        """The whole way."""
        return await self.come_back(await self.microsoft(await self.begin()))

    def fault(self, operation: str, action: Status | OAuthError, times: int = 1) -> None:
        self.emulator.script.add(Rule(match=Match(operation=operation), action=action, times=times))


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with Emulator(EmulatorOptions(client_id="test-client", client_secret="test-secret"), lambda: NOW) as emulator:
        application = Application(emulator.authority, "test-client", CALLBACK, SCOPE, "test-secret")
        sign_in = OAuthClient(application, ssl.create_default_context(cadata=emulator.ca_pem))
        store = Store(None)
        tokens = TokenSource(sign_in, store, now=lambda: NOW, chance=lambda: 0.5)
        finished: list[FinishedSignIn] = []
        connector = SignInFlow(sign_in, tokens, now=lambda: NOW, on_finished=finished.append)
        calls = Calls(**dict.fromkeys(Calls.__slots__, NOT_SERVED) | {"sign_in": SignInCalls(connector, "production")})
        edge = ErrorMiddleware(Guard.of(["127.0.0.1"], []), Telemetry(lambda: NOW), lambda: "test-request", access_of)
        app = web.Application(middlewares=[edge.middleware()])
        app.add_routes(mounted(calls))
        keeping = asyncio.create_task(tokens.run())
        async with TestClient(TestServer(app)) as client:
            yield House(emulator, store, tokens, connector, client, finished)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


# --- In a browser ----------------------------------------------------------------------------------------------------


async def test_connect_redirects_to_microsofts_sign_in_with_state_and_pkce(house: House) -> None:
    url = await house.begin()
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(f"{house.emulator.authority}/oauth2/v2.0/authorize?")
    assert query["client_id"] == "test-client"
    assert query["redirect_uri"] == CALLBACK
    assert set(query["scope"].split()) == {SCOPE, "openid", "profile", "offline_access"}
    assert query["code_challenge_method"] == "S256"
    assert len(query["state"]) >= 16
    assert "test-secret" not in url


async def test_each_sign_in_has_its_own_state_and_challenge(house: House) -> None:
    queries = [parse_qs(urlsplit(await house.begin()).query) for _ in range(3)]
    assert len({query["state"][0] for query in queries}) == 3
    assert len({query["code_challenge"][0] for query in queries}) == 3


async def test_signing_in_connects_and_delivery_can_go_on_at_once(house: House) -> None:
    answer = await house.connect()
    page = await answer.text()
    assert answer.status == 200
    assert "Connected to Microsoft Advertising" in page
    assert "emulator@example.com" in page
    assert "href='/#/set-up'" in page
    token = await house.tokens.access_token()
    assert token.value.startswith("test-access-")
    assert house.store.token is not None
    assert [finished.failure for finished in house.finished] == [None]


async def test_the_page_shows_neither_code_nor_token_and_loads_nothing(house: House) -> None:
    callback = await house.microsoft(await house.begin())
    answer = await house.come_back(callback)
    page = await answer.text()
    code = parse_qs(urlsplit(callback).query)["code"][0]
    told = page + str(answer.headers)
    for secret in (code, house.store.token, (await house.tokens.access_token()).value, "test-secret"):
        assert secret is not None
        assert secret not in told
    assert not re.search(r"https?://|<script|<img|<link|@import|url\(", page)


async def test_page_headers_allow_its_own_style_and_nothing_else(house: House) -> None:
    answer = await house.connect()
    page = await answer.text()
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer", "the address of the page holds the code"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_page_has_the_colours_of_the_dashboard_in_light_and_dark(house: House) -> None:
    theme = files("sidecar.dashboard").joinpath("static/theme.css").read_text("utf-8")
    style = re.search(r"<style>(.*)</style>", await (await house.connect()).text(), re.DOTALL)
    assert style is not None
    colour = r"(--[\w-]+): (#[0-9a-f]{6})"
    ours, dashboards = Counter(re.findall(colour, style[1])), Counter(re.findall(colour, theme))
    assert len(ours) == 20
    assert not ours - dashboards


async def test_a_state_works_once(house: House) -> None:
    callback = await house.microsoft(await house.begin())
    assert (await house.come_back(callback)).status == 200
    again = await house.come_back(callback)
    assert again.status == 400
    assert "10 minutes" in await again.text(), "the state is unknown: Microsoft was not asked whether the code is used"
    assert len(house.finished) == 1
    assert (await house.tokens.access_token()).value.startswith("test-access-")


@pytest.mark.parametrize(
    "query", ["", "code=test-code&state=unknown", "code=test-code", "state=unknown", "error=access_denied"]
)
async def test_an_unknown_state_is_refused_without_asking_microsoft(house: House, query: str) -> None:
    answer = await house.sidecar.get(f"/oauth/callback?{query}")
    assert answer.status == 400
    assert "10 minutes" in await answer.text()
    assert house.finished == []


async def test_denied_permission_is_explained_with_a_way_to_try_again(house: House) -> None:
    state = parse_qs(urlsplit(await house.begin()).query)["state"][0]
    denied = {"error": "access_denied", "error_description": "AADSTS65004: <b>User</b> declined.", "state": state}
    answer = await house.sidecar.get(f"/oauth/callback?{urlencode(denied)}")
    page = await answer.text()
    assert answer.status == 400
    assert "Consent or scope missing" in page
    assert "declined" in page
    assert "accept the permission" in page
    assert re.search(r"<a [^>]*href='/connect'>Try again</a>", page)
    assert "href='/#/set-up'" in page
    assert "<b>" not in page
    failure = house.finished[0].failure
    assert failure is not None
    assert failure.trouble == "scope_missing"


async def test_nothing_of_a_hostile_answer_is_written_into_the_page(house: House) -> None:
    state = parse_qs(urlsplit(await house.begin()).query)["state"][0]
    hostile = {"error": "<script>alert(1)</script>", "error_description": "<img src=x>", "state": state}
    page = await (await house.sidecar.get(f"/oauth/callback?{urlencode(hostile)}")).text()
    assert "alert" not in page
    assert "<img" not in page


def test_a_user_name_is_text_in_the_page_and_not_markup() -> None:
    page = connected_page("<img src=x>&").text
    assert page is not None
    assert "&lt;img src=x&gt;&amp;" in page
    assert "<img" not in page


def test_the_page_does_without_a_user_name() -> None:
    assert "Signed in as" not in str(connected_page(None).text)


async def test_a_refused_secret_names_its_cause_and_solution(house: House) -> None:
    house.fault("token", OAuthError(type="oauth_error", aadsts=7000222))
    answer = await house.connect()
    page = await answer.text()
    assert answer.status == 502
    assert "Client secret expired" in page
    assert "microsoft.client_secret" in page
    with_it = await house.connect()
    assert with_it.status == 200, "and the next try, after mending, works at once"


async def test_a_failed_sign_in_leaves_an_existing_connection_alone(house: House) -> None:
    await house.connect()
    before = await house.tokens.access_token()
    house.fault("token", OAuthError(type="oauth_error", aadsts=54005))
    answer = await house.connect()
    assert answer.status == 400
    assert "Sign-in did not succeed" in await answer.text()
    assert "code was used already" in await answer.text()
    assert await house.tokens.access_token() == before
    assert house.tokens.connection.trouble is None


async def test_damaged_end_of_the_address_does_not_matter(house: House) -> None:
    """`client_info`, which stands last in it, is for a cache of accounts that we do not have."""
    callback = await house.microsoft(await house.begin())
    assert (await house.come_back(f"{callback}&client_info=x")).status == 200


async def test_microsoft_away_at_the_callback_is_503_and_says_wait(house: House) -> None:
    callback = await house.microsoft(await house.begin())
    house.fault("token", Status(type="status", status=503))
    answer = await house.come_back(callback)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "60"
    assert "gives no token" in await answer.text()


async def test_microsoft_away_at_the_start_is_a_page_and_no_redirect(house: House) -> None:
    house.fault("discovery", Status(type="status", status=503))
    answer = await house.sidecar.get("/connect", allow_redirects=False)
    assert answer.status == 503
    assert "Location" not in answer.headers
    assert (await house.begin()).startswith("https://")


async def test_a_sign_in_that_cannot_be_stored_is_503_and_not_called_connected(house: House) -> None:
    house.store.fails = True
    answer = await house.connect()
    assert answer.status == 503
    assert "could not be stored" in await answer.text()
    assert not house.tokens.connection.connected


# --- From a terminal -------------------------------------------------------------------------------------------------


async def test_terminal_gets_an_address_and_sees_when_the_browser_is_back(house: House) -> None:
    begun = await (await house.sidecar.post("/connect", json={})).json()
    assert begun["expires_at"] == text_of_millis(UnixMillis(NOW + 600_000))
    before = await (await house.sidecar.get("/v1/connection")).json()
    assert before["last_sign_in"] is None
    assert before["connected"] is False
    assert before["trouble"]["code"] == "not_connected"
    assert "/connect" in before["trouble"]["fix"]

    await house.come_back(await house.microsoft(begun["url"]))
    after = await (await house.sidecar.get("/v1/connection")).json()
    assert after["connected"] is True
    assert after["trouble"] is None
    assert after["last_sign_in"] == {"at": text_of_millis(NOW), "trouble": None}
    assert after["expires_at"] == text_of_millis(UnixMillis(NOW + 3_600_000))


async def test_disconnecting_forgets_the_sign_in_until_the_next_one(house: House) -> None:
    await house.connect()
    answer = await house.sidecar.delete("/v1/connection")
    assert answer.status == 200
    connection = await answer.json()
    assert (connection["connected"], connection["expires_at"]) == (False, None)
    assert connection["trouble"]["code"] == "not_connected"
    assert house.store.token is None
    with pytest.raises(NotConnected):
        await house.tokens.access_token()
    await house.connect()
    assert (await (await house.sidecar.get("/v1/connection")).json())["connected"] is True


async def test_disconnecting_that_cannot_be_stored_is_503_and_changes_nothing(house: House) -> None:
    await house.connect()
    house.store.fails = True
    answer = await house.sidecar.delete("/v1/connection")
    assert answer.status == 503
    assert house.tokens.connection.connected


async def test_page_of_another_site_cannot_disconnect(house: House) -> None:
    await house.connect()
    answer = await house.sidecar.delete("/v1/connection", headers={"Origin": "https://attacker.example"})
    assert answer.status == 403
    assert house.tokens.connection.connected


async def test_connection_names_the_application_but_not_its_secret(house: House) -> None:
    answer = await house.sidecar.get("/v1/connection")
    connection = await answer.json()
    assert connection["environment"] == "production"
    assert connection["application"] == {
        "client_id": "test-client",
        "redirect_uri": CALLBACK,
        "has_secret": True,
    }
    assert "test-secret" not in await answer.text()


async def test_terminal_sees_why_the_sign_in_failed(house: House) -> None:
    house.fault("token", OAuthError(type="oauth_error", aadsts=7000215))
    await house.connect()
    connection = await (await house.sidecar.get("/v1/connection")).json()
    assert connection["last_sign_in"]["trouble"]["code"] == "client_secret_invalid"


async def test_a_pasted_redirect_address_connects(house: House) -> None:
    begun = await (await house.sidecar.post("/connect", json={})).json()
    address = await house.microsoft(begun["url"])
    answer = await house.sidecar.post("/oauth/callback", json={"redirect_url": f" {address}\n"})
    assert answer.status == 200
    assert (await answer.json())["connected"] is True


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"[" * 50_000, 400),
        (b" " * 100_000, 413),
        (b"{}", 422),
        (b'{"redirect_url": 5}', 422),
        (b'{"redirect_url": "http://["}', 422),
        (b'{"redirect_url": "http://localhost:8077/oauth/callback"}', 400),
        (b'{"redirect_url": "http://localhost:8077/oauth/callback?code=test-code&state=unknown"}', 400),
    ],
)
async def test_a_pasted_address_that_does_not_fit_is_a_problem_that_says_what_to_do(
    house: House, body: bytes, status: int
) -> None:
    answer = await house.sidecar.post("/oauth/callback", data=body, headers={"Content-Type": "application/json"})
    problem = await answer.json()
    assert (answer.status, problem["status"]) == (status, status)
    assert answer.content_type == "application/problem+json"
    assert problem["detail"]


@pytest.mark.parametrize("path", ["/connect", "/oauth/callback"])
async def test_a_web_page_cannot_begin_or_finish_a_sign_in_with_a_form(house: House, path: str) -> None:
    answer = await house.sidecar.post(path, data={"redirect_url": "http://localhost:8077/oauth/callback?code=1"})
    assert answer.status == 415


async def test_terminal_learns_that_microsoft_is_away(house: House) -> None:
    house.fault("discovery", Status(type="status", status=500))
    answer = await house.sidecar.post("/connect", json={})
    assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
    assert (await answer.json())["title"] == "Sign-in did not succeed"
    assert "sign-in service gives no token" in (await answer.json())["detail"]


# --- Pending sign-ins ------------------------------------------------------------------------------------------------


def consent(n: int) -> AuthorizationRequest:
    return AuthorizationRequest(f"https://localhost/{n}", f"state-{n}", {})


def test_a_sign_in_can_be_finished_for_ten_minutes_and_no_longer() -> None:
    pending = PendingSignIns()
    for n in range(2):
        pending.put(consent(n), at=100.0)
    assert pending.take("state-0", at=699.9) == consent(0)
    with pytest.raises(UnknownSignIn):
        pending.take("state-1", at=700.0)


def test_at_most_a_hundred_sign_ins_are_open_and_the_oldest_gives_way() -> None:
    pending = PendingSignIns()
    for n in range(MAX_PENDING + 1):
        pending.put(consent(n), at=float(n))
    with pytest.raises(UnknownSignIn):
        pending.take("state-0", at=101.0)
    assert [pending.take(f"state-{n}", at=101.0).state for n in (1, MAX_PENDING)] == ["state-1", f"state-{MAX_PENDING}"]
