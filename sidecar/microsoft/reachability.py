"""Asks each host of Microsoft over a new connection, without a token: is the way there free, and what time is it there?

Name, proxy, TLS and answer are tried as every call needs them; connections that are open already would show nothing.
"""

import asyncio
import os
import ssl
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import urlsplit

import aiohttp

from sidecar.core.doctor.check import Area
from sidecar.core.doctor.facts import Endpoint, FailedCall
from sidecar.core.instant import UnixMillis
from sidecar.microsoft.connection_errors import PROXY, explain_upload_error
from sidecar.microsoft.endpoints import Endpoints
from sidecar.microsoft.proxy_settings import Proxy, ProxySettings, UnusableProxy
from sidecar.microsoft.reply import HttpReply

PROBE_SECONDS = 10.0

_DISCOVERY = "/v2.0/.well-known/openid-configuration"

_HALF_SECOND = 500
"""A `Date` has whole seconds: on average it is so much too early."""


def addresses_of(endpoints: Endpoints) -> Sequence[str]:
    """One address of each host that the sidecar calls. Any answer will do, also one that says 404."""
    every = (f"{endpoints.campaign}/", f"{endpoints.customer}/", f"{endpoints.authority}{_DISCOVERY}")
    return list({urlsplit(address).netloc: address for address in every}.values())


async def reach(
    addresses: Iterable[str], tls: ssl.SSLContext, now: Callable[[], UnixMillis], proxies: ProxySettings | None = None
) -> Sequence[Endpoint]:
    """Ask all of these at once. `now` is this machine's clock; `proxies` default to those of the environment."""
    chosen = ProxySettings.of(os.environ) if proxies is None else proxies
    connector = aiohttp.TCPConnector(ssl=tls, force_close=True)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    ) as session:
        return await asyncio.gather(*(_reach(session, address, chosen, now) for address in addresses))


async def _reach(
    session: aiohttp.ClientSession, address: str, proxies: ProxySettings, now: Callable[[], UnixMillis]
) -> Endpoint:
    host = urlsplit(address).netloc
    try:
        proxy = proxies.for_url(address)
    except UnusableProxy as error:
        return Endpoint(host, FailedCall(PROXY, str(error), Area.CONNECTION))
    try:
        return await _asked(session, address, proxy, now)
    except Exception as error:  # the report shows every fault of the network
        found = explain_upload_error(error, PROBE_SECONDS, begun=False, proxied=proxy is not None)
        failure = FailedCall(found.trouble or "unreachable", found.why, Area.CONNECTION)
        return Endpoint(host, failure, proxied=proxy is not None)


async def _asked(
    session: aiohttp.ClientSession, address: str, proxy: Proxy | None, now: Callable[[], UnixMillis]
) -> Endpoint:
    """The endpoint after an answer, of any status. Its body is not read."""
    asked_at = now()
    async with session.get(
        address,
        timeout=aiohttp.ClientTimeout(total=PROBE_SECONDS),
        allow_redirects=False,
        proxy=proxy.address if proxy else None,
        proxy_headers=proxy.headers if proxy else None,
    ) as response:
        answered_at = HttpReply(response.status, response.headers, b"").answered_at
        here = (asked_at + now()) // 2
    ahead = None if answered_at is None else here - answered_at - _HALF_SECOND
    return Endpoint(urlsplit(address).netloc, ahead_millis=ahead, proxied=proxy is not None)
