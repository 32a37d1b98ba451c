"""One request to Microsoft's REST API over HTTPS: headers, limits, and whether any of it left when no answer came.

Knows nothing of pace, tokens or repeats; leaves what an answer means to `wire`, and why there was none to `no_answer`.
"""

import os
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from sidecar import __version__
from sidecar.core.answer import Answer, Lost
from sidecar.core.conversion import Kind
from sidecar.core.entry import Entry
from sidecar.core.instant import UnixMillis
from sidecar.microsoft.no_answer import NoAnswer, of_upload
from sidecar.microsoft.proxies import Proxies, Proxy, is_loopback
from sidecar.microsoft.reply import HttpReply
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


class _Body(aiohttp.BytesPayload):
    """What is posted. `begun` says whether aiohttp came so far as to write any of it.

    That is the one sure sign: which exceptions come before a connection stands is aiohttp's matter, and a time limit or
    a proxy may strike at any moment.
    """

    begun = False

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self.begun = True
        await super().write_with_length(writer, content_length)


class Client:
    """Microsoft's API under one base address, such as `https://campaign.api.bingads.microsoft.com`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base: str,
        request_timeout: Callable[[], float],
        proxy: Proxy | None = None,
        heard: Callable[[UnixMillis], None] = lambda at: None,
    ) -> None:
        self._session = session
        self._proxy = proxy
        self._base = base.rstrip("/")
        self._request_timeout = request_timeout
        self._heard = heard

    async def apply(self, credentials: Credentials, entries: Sequence[Entry]) -> Answer:
        """Upload these claimed entries, at most 1,000 of one account and one kind."""
        try:
            body = encode(entries)
        except Exception as error:  # an odd row: whatever it is, nothing of the batch has left
            return _lost(of_upload(error, 0, begun=False, proxied=False), sent=False)

        def read(reply: HttpReply) -> Answer:
            return decode(reply.status, reply.headers, reply.body, len(entries))

        path = APPLY_ADJUSTMENTS if entries[0].lane.kind is Kind.ADJUSTMENT else APPLY
        return await self.ask(path, credentials, body, read)

    async def ask(self, path: str, credentials: Credentials, body: bytes, decode: Callable[[HttpReply], T]) -> T | Lost:
        """What `decode` makes of the answer to `body`; Lost when there is none."""
        reply = await self.post(path, credentials, body)
        if isinstance(reply, Lost):
            return reply
        if (at := reply.answered_at) is not None:
            self._heard(at)
        return decode(reply)

    async def post(self, path: str, credentials: Credentials, body: bytes) -> HttpReply | Lost:
        """Send `body`, JSON, to `path` and wait for the whole answer, whatever its status. Nothing is repeated.

        A redirect is handed back as it is: the token in the headers is meant for one host.
        """
        seconds = self._request_timeout()
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, CONNECT_SECONDS))
        payload = _Body(body, content_type="application/json")
        proxy = self._proxy
        try:
            async with self._session.post(
                self._base + path,
                data=payload,
                headers=credentials.headers(),
                timeout=limits,
                allow_redirects=False,
                proxy=proxy.address if proxy else None,
                proxy_headers=proxy.headers if proxy else None,
            ) as response:
                return await _receive(response, seconds)
        except Exception as error:
            if payload.begun and not isinstance(error, aiohttp.ClientError | OSError):
                raise
            why = of_upload(error, seconds, begun=payload.begun, proxied=proxy is not None)
            return _lost(why, sent=payload.begun)


@asynccontextmanager
async def open_client(
    base: str,
    tls: ssl.SSLContext,
    request_timeout: Callable[[], float],
    heard: Callable[[UnixMillis], None] = lambda at: None,
    proxies: Proxies | None = None,
) -> AsyncIterator[Client]:
    """A client that trusts `tls`; `request_timeout` gives seconds, asked before each request.

    `heard` is told Microsoft's time whenever an answer has it. `proxies` are those of the environment where none are
    given.

    Raises ValueError for a plain `http://` address that is not this machine's own, UnusableProxy.
    """
    proxy = (Proxies.of(os.environ) if proxies is None else proxies).of_url(base)
    if not is_loopback(urlsplit(base).hostname or "") and urlsplit(base).scheme != "https":
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
        trust_env=False,  # no ~/.netrc, which would take the place of our token; proxies come from `proxies`
    ) as session:
        yield Client(session, base, request_timeout, proxy, heard)


async def _receive(response: aiohttp.ClientResponse, seconds: float) -> HttpReply | Lost:
    """The answer with its whole body; Lost when that breaks off or is too large."""
    reply = HttpReply(response.status, response.headers, b"")
    body = bytearray()
    try:
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > ANSWER_BYTES:
                response.close()
                return Lost(f"the answer is larger than {ANSWER_BYTES // 1024 // 1024} MiB", reply.tracking_id)
    except (aiohttp.ClientError, OSError) as error:
        return _lost(of_upload(error, seconds, begun=True, proxied=False), reply.tracking_id)
    return HttpReply(response.status, response.headers, bytes(body))


def _lost(found: NoAnswer, tracking_id: str | None = None, *, sent: bool = True) -> Lost:
    return Lost(found.why, tracking_id, sent, found.trouble or "unreachable")
