"""Sends one request to Microsoft's REST API over HTTPS, and reports whether any of it was sent when no answer arrived.

Pace, tokens and repeats are decided elsewhere. `wire` reads an answer; `connection_errors` explains a missing one.
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
from sidecar.microsoft.connection_errors import ConnectionFailure, explain_upload_error
from sidecar.microsoft.proxy_settings import Proxy, ProxySettings
from sidecar.microsoft.reply import HttpReply
from sidecar.microsoft.wire import decode, encode
from sidecar.system.listening import is_loopback

T = TypeVar("T")

APPLY = "/CampaignManagement/v13/OfflineConversions/Apply"
"""https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversions"""

APPLY_ADJUSTMENTS = "/CampaignManagement/v13/OfflineConversionAdjustments/Apply"
"""https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversionadjustments"""

ANSWER_BYTES = 8 * 1024 * 1024
"""The limit of an answer, after decompression; a thousand rows with several errors each take about 1 MiB."""

CONNECT_SECONDS = 10.0

CONNECTIONS = 128
"""At once, over all accounts; further requests wait for one that is free.

A thousand accounts that begin together would make a thousand TLS connections, at 2 ms of CPU time each: the last ones
were too late for CONNECT_SECONDS. One account has at most `delivery.max_in_flight` requests.
"""
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """The tokens, and the ids of the account. An empty id is not sent: Microsoft would read "" as an id."""

    access_token: str = field(repr=False)
    developer_token: str = field(repr=False)
    customer_id: str = ""
    account_id: str = ""

    def headers(self) -> dict[str, str]:
        """The headers of https://learn.microsoft.com/advertising/guides/get-started, as its REST pivot names them."""
        named = {
            "Authorization": f"Bearer {self.access_token}",
            "DeveloperToken": self.developer_token,
            "CustomerId": self.customer_id,
            "CustomerAccountId": self.account_id,
        }
        return {name: value for name, value in named.items() if value}


class _Body(aiohttp.BytesPayload):
    """The body of a request. `begun` is True once aiohttp has started to write it.

    Exceptions alone do not show this: a time limit or a proxy may end the request before or after.
    """

    begun = False

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self.begun = True
        await super().write_with_length(writer, content_length)


@dataclass(frozen=True, slots=True)
class Client:
    """Microsoft's API under one base address, such as `https://campaign.api.bingads.microsoft.com`."""

    session: aiohttp.ClientSession
    base: str
    request_timeout: Callable[[], float]
    proxy: Proxy | None = None
    on_server_time: Callable[[UnixMillis], None] = lambda at: None

    async def apply(self, credentials: Credentials, entries: Sequence[Entry]) -> Answer:
        """Uploads claimed entries, at most 1,000 of one account and one kind."""
        try:
            body = encode(entries)
        except Exception as error:  # an odd row: nothing of the batch was sent
            return _lost(explain_upload_error(error, 0, begun=False, proxied=False), sent=False)

        def read(reply: HttpReply) -> Answer:
            return decode(reply.status, reply.headers, reply.body, len(entries))

        path = APPLY_ADJUSTMENTS if entries[0].lane.kind is Kind.ADJUSTMENT else APPLY
        return await self.ask(path, credentials, body, read)

    async def ask(self, path: str, credentials: Credentials, body: bytes, decode: Callable[[HttpReply], T]) -> T | Lost:
        """Posts `body` and decodes the answer with `decode`; Lost when there is none."""
        reply = await self.post(path, credentials, body)
        if isinstance(reply, Lost):
            return reply
        if (at := reply.answered_at) is not None:
            self.on_server_time(at)
        return decode(reply)

    async def post(self, path: str, credentials: Credentials, body: bytes) -> HttpReply | Lost:
        """Sends `body`, JSON, to `path` and waits for the whole answer, of any status. Nothing is repeated.

        A redirect is returned, not followed: the token in the headers is meant for one host.
        """
        seconds = self.request_timeout()
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, CONNECT_SECONDS))
        payload = _Body(body, content_type="application/json")
        proxy = self.proxy
        try:
            async with self.session.post(
                self.base.rstrip("/") + path,
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
            why = explain_upload_error(error, seconds, begun=payload.begun, proxied=proxy is not None)
            return _lost(why, sent=payload.begun)


@asynccontextmanager
async def open_client(
    base: str,
    tls: ssl.SSLContext,
    request_timeout: Callable[[], float],
    on_server_time: Callable[[UnixMillis], None] = lambda at: None,
    proxies: ProxySettings | None = None,
) -> AsyncIterator[Client]:
    """A client that trusts `tls`; `request_timeout` gives seconds and is called before each request.

    `on_server_time` gets Microsoft's time from each answer that has it. `proxies` default to those of the environment.
    Raises UnusableProxy, and ValueError for a plain `http://` address of another machine.
    """
    proxy = (ProxySettings.of(os.environ) if proxies is None else proxies).for_url(base)
    if not is_loopback(urlsplit(base).hostname or "") and urlsplit(base).scheme != "https":
        raise ValueError(f"{base} is not https: access tokens travel encrypted, or not at all")
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "User-Agent": f"msads-sidecar/{__version__}",
    }
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls, limit=CONNECTIONS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        trust_env=False,  # no ~/.netrc, which would replace our token; proxies come from `proxies`
    ) as session:
        yield Client(session, base, request_timeout, proxy, on_server_time)


async def _receive(response: aiohttp.ClientResponse, seconds: float) -> HttpReply | Lost:
    """The answer with its whole body; Lost when the body breaks off or is too large."""
    reply = HttpReply(response.status, response.headers, b"")
    body = bytearray()
    try:
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > ANSWER_BYTES:
                response.close()
                return Lost(f"the answer is larger than {ANSWER_BYTES // 1024 // 1024} MiB", reply.tracking_id)
    except (aiohttp.ClientError, OSError) as error:
        return _lost(explain_upload_error(error, seconds, begun=True, proxied=False), reply.tracking_id)
    return HttpReply(response.status, response.headers, bytes(body))


def _lost(found: ConnectionFailure, tracking_id: str | None = None, *, sent: bool = True) -> Lost:
    return Lost(found.why, tracking_id, sent, found.trouble or "unreachable")
