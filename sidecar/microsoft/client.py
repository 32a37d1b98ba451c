"""One request to Microsoft's REST API over HTTPS: headers, limits, and in plain words why there was no answer.

Knows nothing of pace, tokens or repeats, and leaves what an answer means to `wire`.
"""

import os
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from sidecar import __version__
from sidecar.core.answer import Answer, Lost
from sidecar.core.conversion import Kind
from sidecar.core.entry import Entry
from sidecar.core.instant import UnixMillis
from sidecar.microsoft.reply import Reply
from sidecar.microsoft.wire import decode, encode

T = TypeVar("T")

APPLY = "/CampaignManagement/v13/OfflineConversions/Apply"
"""https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversions"""

APPLY_ADJUSTMENTS = "/CampaignManagement/v13/OfflineConversionAdjustments/Apply"
"""https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversionadjustments"""

ANSWER_BYTES = 8 * 1024 * 1024
"""A thousand rows with several errors each take about 1 MiB; counted after inflation."""

CONNECT_SECONDS = 10.0
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks, and for which account. An empty id is not sent: "None" and "" are ids too, for Microsoft."""

    access_token: str = field(repr=False)
    developer_token: str = field(repr=False)
    customer_id: str = ""
    account_id: str = ""

    def headers(self) -> dict[str, str]:
        """https://learn.microsoft.com/advertising/guides/get-started, in the names of its REST pivot."""
        named = {
            "Authorization": f"Bearer {self.access_token}",
            "DeveloperToken": self.developer_token,
            "CustomerId": self.customer_id,
            "CustomerAccountId": self.account_id,
        }
        return {name: value for name, value in named.items() if value}


class Client:
    """Microsoft's API under one base address, such as `https://campaign.api.bingads.microsoft.com`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base: str,
        request_timeout: Callable[[], float],
        proxy: str | None = None,
        heard: Callable[[UnixMillis], None] = lambda at: None,
    ) -> None:
        self._session = session
        self._proxy = proxy
        self._base = base.rstrip("/")
        self._request_timeout = request_timeout
        self._heard = heard

    async def apply(self, credentials: Credentials, entries: Sequence[Entry]) -> Answer:
        """Upload these claimed entries, at most 1,000 of one account and one kind."""

        def read(reply: Reply) -> Answer:
            return decode(reply.status, reply.headers, reply.body, len(entries))

        path = APPLY_ADJUSTMENTS if entries[0].lane.kind is Kind.ADJUSTMENT else APPLY
        return await self.ask(path, credentials, encode(entries), read)

    async def ask(self, path: str, credentials: Credentials, body: bytes, decode: Callable[[Reply], T]) -> T | Lost:
        """What `decode` makes of the answer to `body`; Lost when there is none."""
        reply = await self.post(path, credentials, body)
        if isinstance(reply, Lost):
            return reply
        if (at := reply.answered_at) is not None:
            self._heard(at)
        return decode(reply)

    async def post(self, path: str, credentials: Credentials, body: bytes) -> Reply | Lost:
        """Send `body`, JSON, to `path` and wait for the whole answer, whatever its status. Nothing is repeated.

        A redirect is handed back as it is: the token in the headers is meant for one host.
        """
        seconds = self._request_timeout()
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, CONNECT_SECONDS))
        try:
            async with self._session.post(
                self._base + path,
                data=body,
                headers=credentials.headers(),
                timeout=limits,
                allow_redirects=False,
                proxy=self._proxy,
            ) as response:
                return await _receive(response, seconds)
        except (aiohttp.ClientError, OSError) as error:
            return Lost(_why(error, seconds), sent=not isinstance(error, _NEVER_SENT))


@asynccontextmanager
async def open_client(
    base: str,
    tls: ssl.SSLContext,
    request_timeout: Callable[[], float],
    heard: Callable[[UnixMillis], None] = lambda at: None,
) -> AsyncIterator[Client]:
    """A client that trusts `tls`; `request_timeout` gives seconds, asked before each request.

    `heard` is told Microsoft's time whenever an answer has it.

    Raises ValueError for a plain `http://` address that is not this machine's own.
    """
    local = _is_loopback(base)
    if not local and urlsplit(base).scheme != "https":
        raise ValueError(f"{base} is not https: access tokens travel encrypted, or not at all")
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "User-Agent": f"msads-sidecar/{__version__}",
    }
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls, limit=0),  # the flusher's window limits what is in flight
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
    ) as session:
        yield Client(session, base, request_timeout, None if local else _proxy(base), heard)


def _proxy(base: str) -> str | None:
    """The proxy that the environment names for this address, as MSAL's transport has it.

    Asked for here rather than by aiohttp's `trust_env`, which reads ~/.netrc as well and then refuses our token.
    """
    url = urlsplit(base)
    return None if proxy_bypass(url.hostname or "") else getproxies().get(url.scheme)


def _is_loopback(base: str) -> bool:
    host = urlsplit(base).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _receive(response: aiohttp.ClientResponse, seconds: float) -> Reply | Lost:
    """The answer with its whole body; Lost when that breaks off or is too large."""
    reply = Reply(response.status, response.headers, b"")
    body = bytearray()
    try:
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > ANSWER_BYTES:
                response.close()
                return Lost(f"the answer is larger than {ANSWER_BYTES // 1024 // 1024} MiB", reply.tracking_id)
    except (aiohttp.ClientError, OSError) as error:
        return Lost(_why(error, seconds), reply.tracking_id)
    return Reply(response.status, response.headers, bytes(body))


_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
"""Raised before a connection stands: not a byte of the request has left."""

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "the name of Microsoft's host was not found (DNS)"),
    (aiohttp.ClientConnectorCertificateError, "the server's certificate is not trusted; see microsoft.ca_bundle"),
    (aiohttp.ClientSSLError, "the TLS handshake failed"),
    (aiohttp.ConnectionTimeoutError, "no connection in time"),
    (aiohttp.ClientProxyConnectionError, "the proxy cannot be reached"),
    (aiohttp.ClientHttpProxyError, "the proxy refused to connect"),
    (aiohttp.ClientConnectorError, "no connection"),
    (TimeoutError, "no answer within {seconds:g} s"),
    (aiohttp.ClientPayloadError, "the answer broke off or could not be unpacked"),
    (aiohttp.ClientResponseError, "the answer is not HTTP"),
    (aiohttp.ClientConnectionError, "the connection was closed before the answer"),
    (OSError, "the connection was closed before the answer"),
)
"""The first that fits. The errors' own texts stay out: some quote addresses and headers."""


def _why(error: Exception, seconds: float) -> str:
    reason = next((text for kind, text in _REASONS if isinstance(error, kind)), type(error).__name__)
    detail = _detail(error)
    return reason.format(seconds=seconds) + (f": {detail}" if detail else "")


def _detail(error: Exception) -> str | None:
    """What OpenSSL or the operating system says in its own words, such as "Connection refused"."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return getattr(error.certificate_error, "verify_message", None)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"HTTP {error.status}"
    if not isinstance(error, aiohttp.ClientConnectorError):
        return None
    cause = error.os_error
    if isinstance(cause, ssl.SSLError):
        return cause.reason
    return os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror
