"""Who may call: checked as a function of method, path and headers, then once more over a real connection."""

import base64

import pytest
from api_kit import OpenApi
from multidict import CIMultiDict

from sidecar.api.http.guard import Guard
from sidecar.api.http.problem import HttpProblem
from sidecar.api.routes import ROUTES, access_of

HOSTS = ("127.0.0.1", "localhost", "::1", "sidecar.example")
OPEN = Guard.of(HOSTS, ())
KEYED = Guard.of(HOSTS, ("test-key-one", "test-key-two"))


def status(guard: Guard, method: str = "POST", path: str = "/v1/conversions", **headers: str) -> int:
    """200 where the guard lets the request go on."""
    given = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    try:
        guard.check(method, access_of(path), given)
    except HttpProblem as problem:
        return problem.kind.status
    return 200


def challenge(method: str, path: str, **headers: str) -> str:
    """What a caller without a key is asked for."""
    with pytest.raises(HttpProblem) as refused:
        KEYED.check(method, access_of(path), CIMultiDict(headers))
    return str(refused.value.headers["WWW-Authenticate"])


# --- Host ------------------------------------------------------------------------------------------------------------


ALLOWED = (
    "localhost localhost:8077 LocalHost:1 localhost. localhost.:8077 127.0.0.1:8077 [::1] [::1]:8077 sidecar.example "
    "localhost: [0:0:0:0:0:0:0:1] [::1%lo] [::1%25lo]:8077"
)

MISDIRECTED = (
    "evil.example localhost.evil.example 127.0.0.1.evil.example evil.example:8077 localhost:x localhost:8077:1 "
    "localhost.. [::1 ::1 127.0.0.2 0.0.0.0 user@localhost [localhost] localhost/ localhost\x00 2130706433 127.1 "
    "[::ffff:127.0.0.1] localhost,evil.example [::1%] [%lo] [1:2:3]"
)


@pytest.mark.parametrize("host", ALLOWED.split())
def test_host_is_allowed_with_any_port_case_and_trailing_dot(host: str) -> None:
    assert status(OPEN, Host=host) == 200


@pytest.mark.parametrize("host", ["", " ", *MISDIRECTED.split()])
def test_any_other_host_is_misdirected(host: str) -> None:
    """Defeats DNS rebinding: a page's own name never is in allowed_hosts."""
    assert status(OPEN, Host=host) == 421


def test_missing_host_is_misdirected() -> None:
    assert status(OPEN) == 421


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/nowhere", "/connect", "/logs"])
def test_host_is_checked_on_every_path(path: str) -> None:
    assert status(OPEN, "GET", path, Host="evil.example") == 421


def test_host_is_any_where_a_key_is_required() -> None:
    """In a container it is called by names that cannot be foreseen."""
    assert status(KEYED, Host="sidecar.internal", Authorization="Bearer test-key-one") == 200


# --- Browsers --------------------------------------------------------------------------------------------------------

FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://127.0.0.1:8077"},
    {"Origin": "http://localhost:8077.evil.example"},
    {"Origin": "http://localhost:8077/"},
    {"Origin": "http://evil.example, http://localhost:8077"},
    {"Origin": "file://"},
    {"Origin": "chrome-extension://abcdef"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "Cross-Site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": ""},
    {"Sec_Fetch_Site": "anything"},
    {"Sec_Fetch_Site": "cross-site", "Origin": "http://localhost:8077"},
    {"Sec_Fetch_Site": "same-origin", "Origin": "http://evil.example"},
]


GUARDED_CALLS = (
    "POST /v1/conversions",
    "GET /v1/conversions",
    "OPTIONS /v1/conversions",
    "GET /logs",
    "HEAD /logs",
    "GET /healthz",
    "DELETE /healthz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /",
    "GET /nowhere",
    "POST /nowhere",
    "GET /connect",
    "POST /connect",
    "POST /livez",
    "POST /msclkid.js",
    "POST /oauth/callback",
)


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("call", GUARDED_CALLS)
def test_request_that_a_foreign_page_made_is_refused(call: str, headers: dict[str, str]) -> None:
    assert status(OPEN, *call.split(), Host="localhost:8077", **headers) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Mode": "cors"},  # what fetch of Node sends
        {"Origin": "http://localhost:8077"},
        {"Origin": "https://LOCALHOST:8077", "Sec_Fetch_Site": "same-origin"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/conversions"), ("GET", "/connect")])
def test_own_page_typed_address_and_server_may_call(method: str, path: str, headers: dict[str, str]) -> None:
    assert status(OPEN, method, path, Host="localhost:8077", **headers) == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/msclkid.js"])
def test_what_tells_nothing_may_be_asked_for_by_any_page(path: str) -> None:
    for method in ("GET", "HEAD"):
        assert status(OPEN, method, path, Host="localhost", Sec_Fetch_Site="cross-site", Origin="null") == 200


@pytest.mark.parametrize("name", ["Origin", "Sec-Fetch-Site"])
def test_each_value_of_a_repeated_header_is_looked_at(name: str) -> None:
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}[name]
    for values in (["x", own], [own, "x"]):
        headers = CIMultiDict([("Host", "localhost"), *((name, value) for value in values)])
        with pytest.raises(HttpProblem) as refused:
            OPEN.check("GET", access_of("/logs"), headers)
        assert refused.value.kind.status == 403
    OPEN.check("GET", access_of("/logs"), CIMultiDict([("Host", "localhost"), (name, own), (name, own)]))


def test_two_host_headers_name_no_host() -> None:
    with pytest.raises(HttpProblem) as refused:
        OPEN.check("GET", access_of("/logs"), CIMultiDict([("Host", "localhost"), ("Host", "evil.example")]))
    assert refused.value.kind.status == 421


@pytest.mark.parametrize("guard", [OPEN, KEYED])
def test_return_from_microsoft_is_exempt_from_all_rules(guard: Guard) -> None:
    assert status(guard, "GET", "/oauth/callback", Host="elsewhere.example", Sec_Fetch_Site="cross-site") == 200


def test_host_is_judged_before_the_browser_and_the_browser_before_the_key() -> None:
    assert status(OPEN, Host="evil.example", Origin="http://evil.example") == 421
    assert status(KEYED, "GET", "/connect", Sec_Fetch_Site="cross-site") == 403


def test_both_methods_of_a_path_declare_the_same_access() -> None:
    """The guard looks it up by path, so that a wrong method is refused like a right one."""
    assert len({(route.path, route.access) for route in ROUTES}) == len({route.path for route in ROUTES})


# --- Keys ------------------------------------------------------------------------------------------------------------


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize("given", ["Bearer test-key-one", "bearer test-key-two", "BEARER  test-key-one "])
def test_any_of_the_keys_opens(given: str) -> None:
    assert status(KEYED, Authorization=given) == 200


WRONG_KEYS = (
    "",
    "Bearer",
    "Bearer ",
    "Bearer test-key",
    "Bearer test-key-one2",
    "Bearer TEST-KEY-ONE",
    "Bearer test-key-one,test-key-two",
    "Bearer \udcff",
    "Bearer tést",
    "test-key-one",
    "Token test-key-one",
    "Basic !!!",
    basic("any:wrong"),
    basic("test-key-one"),
)


@pytest.mark.parametrize("given", WRONG_KEYS)
def test_anything_else_does_not(given: str) -> None:
    assert status(KEYED, Authorization=given) == 401


@pytest.mark.parametrize("path", ["/v1/conversions", "/healthz", "/metrics", "/logs", "/nowhere", "/", "/livez/"])
def test_key_is_needed_everywhere(path: str) -> None:
    assert status(KEYED, "GET", path) == 401


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_never_need_a_key(path: str) -> None:
    assert status(KEYED, "GET", path, Host="10.0.0.7:8077") == 200


def test_connect_page_takes_the_key_as_a_password_since_a_browser_can_send_no_other() -> None:
    assert status(KEYED, "GET", "/connect", Authorization=basic("any name:test-key-two")) == 200
    assert status(KEYED, "GET", "/connect", Authorization=basic("any name:wrong")) == 401
    assert status(KEYED, "GET", "/connect", Authorization=basic("test-key-two")) == 401


@pytest.mark.parametrize("path", ["/", "/connect", "/logs", "/healthz", "/v1/conversions"])
def test_person_who_opens_an_address_is_asked_for_the_key(path: str) -> None:
    assert challenge("GET", path, Accept="text/html,application/xhtml+xml,*/*;q=0.8").startswith("Basic realm=")


def test_script_of_the_page_is_not_interrupted_by_a_question() -> None:
    assert challenge("GET", "/v1/overview", Accept="application/json") == "Bearer"
    assert challenge("GET", "/logs", Accept="text/event-stream") == "Bearer"


def test_page_calls_everything_with_the_key_that_the_browser_repeats() -> None:
    own = {"Authorization": basic("any name:test-key-two"), "Sec_Fetch_Site": "same-origin"}
    assert status(KEYED, "GET", "/", **own) == 200
    assert status(KEYED, "GET", "/dashboard/app.js", **own) == 200
    assert status(KEYED, "POST", "/v1/replay", **own) == 200


@pytest.mark.parametrize("foreign", [{"Sec_Fetch_Site": "cross-site"}, {"Origin": "http://evil.example"}])
def test_page_of_another_site_cannot_use_the_key_that_the_browser_repeats(foreign: dict[str, str]) -> None:
    for method, path in (("GET", "/"), ("POST", "/v1/replay"), ("GET", "/v1/conversions")):
        assert status(KEYED, method, path, Authorization=basic("any:test-key-one"), **foreign) == 403


def test_guard_does_not_show_its_keys() -> None:
    assert "test-key" not in repr(KEYED)


# --- Over a connection -----------------------------------------------------------------------------------------------


async def test_refused_request_does_not_touch_the_outbox(open_api: OpenApi, conversion: dict[str, object]) -> None:
    """Wrong token = 401 without touching the database."""
    api = await open_api(keys=("test-key-one",))
    refused = await api.post(conversion, headers={"Authorization": "Bearer wrong"})
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert (await api.pending(), api.world.commits, api.world.woken) == (0, [], [])
    assert (await api.post(conversion, headers={"Authorization": "Bearer test-key-one"})).status == 202


async def test_page_of_another_site_writes_nothing(open_api: OpenApi, conversion: dict[str, object]) -> None:
    api = await open_api()
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
        assert (await api.post(conversion, headers=headers)).status in (403, 421)
    assert await api.pending() == 0


async def test_no_answer_grants_another_origin_anything(open_api: OpenApi, conversion: dict[str, object]) -> None:
    """No CORS."""
    api = await open_api()
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answers = [
        await api.call("OPTIONS", "/v1/conversions", headers=preflight),
        await api.call("OPTIONS", "/v1/conversions"),
        await api.post(conversion),
        await api.get("/healthz", headers={"Origin": "http://evil.example"}),
    ]
    assert [answer.status for answer in answers] == [403, 405, 202, 403]
    assert not [name for answer in answers for name in answer.headers if name.lower().startswith("access-control")]
