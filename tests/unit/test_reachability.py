"""Each host of Microsoft is asked over a new connection: reached or not, why not, and what time it is there."""

import time

from aiohttp import web
from client_kit import Recorder, clean, microsoft
from proxy_double import proxy

from sidecar.core.instant import UnixMillis
from sidecar.microsoft.endpoints import Endpoints, endpoints_of
from sidecar.microsoft.proxy_settings import ProxySettings
from sidecar.microsoft.reachability import addresses_of, reach
from sidecar.microsoft.tls import context

DIRECT = ProxySettings()


def here() -> UnixMillis:
    return UnixMillis(int(time.time() * 1000))


def test_each_host_is_asked_once() -> None:
    production = addresses_of(endpoints_of("production", "common", {}))
    assert [address.split("/")[2] for address in production] == [
        "campaign.api.bingads.microsoft.com",
        "clientcenter.api.bingads.microsoft.com",
        "login.microsoftonline.com",
    ]
    alone = "https://127.0.0.1:8443"
    assert len(addresses_of(Endpoints(alone, alone, f"{alone}/common", "scope"))) == 1


async def test_any_answer_shows_that_the_way_is_free_and_tells_the_time() -> None:
    recorder = Recorder(lambda: web.Response(status=404))
    async with microsoft(recorder) as base:
        [well] = await reach([f"{base}/"], context(None), here, DIRECT)
    assert (well.failure, well.proxied) == (None, False)
    assert well.ahead_millis is not None
    assert abs(well.ahead_millis) < 60_000
    assert all("Authorization" not in headers for _, _, headers, _ in recorder.requests)


async def test_machine_whose_clock_is_ahead_is_found_by_the_date_of_the_answer() -> None:
    async with microsoft(Recorder(clean)) as base:
        [ahead] = await reach([f"{base}/"], context(None), lambda: UnixMillis(here() + 7_200_000), DIRECT)
    assert ahead.ahead_millis is not None
    assert abs(ahead.ahead_millis - 7_200_000) < 60_000


async def test_host_that_refuses_connections_has_its_reason_and_delays_no_other() -> None:
    async with microsoft(Recorder(clean)) as base:
        addresses = ["https://127.0.0.1:1/", f"{base}/"]
        closed, open_ = await reach(addresses, context(None), here, DIRECT)
    assert closed.failure is not None
    assert (closed.host, closed.failure.trouble) == ("127.0.0.1:1", "unreachable")
    assert closed.failure.detail == "no connection: Connection refused"
    assert open_.failure is None


async def test_name_that_does_not_exist_is_a_trouble_of_dns() -> None:
    [unknown] = await reach(["https://campaign.invalid/"], context(None), here, DIRECT)
    assert unknown.failure is not None
    assert unknown.failure.trouble == "name_not_found"


async def test_proxy_that_wants_a_login_and_one_that_is_no_address_are_named() -> None:
    async with proxy(says=b"HTTP/1.1 407 No\r\n\r\n") as between:
        settings = ProxySettings("HTTPS_PROXY", f"localhost:{between.port}")
        [refused] = await reach(["https://campaign.example/"], context(None), here, settings)
    assert refused.failure is not None
    assert (refused.failure.trouble, refused.proxied) == ("proxy_login", True)
    unusable = ProxySettings("HTTPS_PROXY", "socks5://localhost:1")
    [odd] = await reach(["https://campaign.example/"], context(None), here, unusable)
    assert odd.failure is not None
    assert odd.failure.trouble == "proxy_unusable"
