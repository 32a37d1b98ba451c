"""Posts one JSON message to the alerts' webhook: no redirects, a small answer, a time limit.

The texts of exceptions are left out: some quote the address, which is a secret.
"""

import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from sidecar import __version__
from sidecar.ports.alerts import Reception

POST_SECONDS = 10.0
CONNECT_SECONDS = 5.0
ANSWER_BYTES = 16 * 1024
"""What is read of an answer; the rest is not waited for."""

SHOWN_CHARACTERS = 300
LONGEST_PAUSE_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class HttpWebhook:
    """Implements `ports.Webhook`; `proxy` is `http://host:port`, None for a direct connection."""

    address: str = field(repr=False)
    tls: ssl.SSLContext
    proxy: str | None = None
    proxy_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    clean: Callable[[str], str] = str
    """Masks persons and secrets in the webhook's own words."""
    seconds: float = POST_SECONDS

    async def post(self, body: dict[str, Any]) -> Reception:
        limits = aiohttp.ClientTimeout(total=self.seconds, sock_connect=min(self.seconds, CONNECT_SECONDS))
        headers = {"User-Agent": f"msads-sidecar/{__version__}", "Accept-Encoding": "identity"}
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=self.tls, force_close=True),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    headers=headers,
                    auto_decompress=False,
                    trust_env=False,  # no ~/.netrc; the proxy is an argument
                ) as session,
                session.post(
                    self.address,
                    json=body,
                    timeout=limits,
                    allow_redirects=False,
                    proxy=self.proxy,
                    proxy_headers=self.proxy_headers or None,
                ) as response,
            ):
                answer = self.clean(await _beginning(response))[:SHOWN_CHARACTERS]
                return _reception(response.status, answer, response.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            return Reception(None, "", _explained(error, self.seconds))


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """The first of the answer's text; none if it breaks off, since the status alone decides."""
    try:
        read = await response.content.read(ANSWER_BYTES)
    except (aiohttp.ClientError, OSError):
        read = b""
    return " ".join(read.decode("utf-8", "replace").split())


def _reception(status: int, answer: str, retry_after: str) -> Reception:
    if 200 <= status < 300:
        return Reception(status, answer)
    redirect = ", a redirect, which is not followed" if 300 <= status < 400 else ""
    text = retry_after.strip()
    pause = min(float(text), LONGEST_PAUSE_SECONDS) if text.isascii() and text.isdigit() else None
    return Reception(status, answer, f"it answered HTTP {status}{redirect}", pause)


def _explained(error: Exception, seconds: float) -> str:
    """Why no answer arrived, in words.

    https://docs.aiohttp.org/en/stable/client_reference.html#hierarchy-of-exceptions
    """
    match error:
        case TimeoutError():
            return f"no answer within {seconds:g} s"
        case aiohttp.ClientHttpProxyError(status=status):
            return f"the proxy refused to connect: HTTP {status}"
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not trusted; see microsoft.ca_bundle"
        case aiohttp.ClientSSLError():
            return "the TLS handshake failed"
        case aiohttp.ClientProxyConnectionError(os_error=cause):
            return f"the proxy cannot be reached: {_system_reason(cause)}"
        case aiohttp.ClientConnectorDNSError():
            return "its host name was not found (DNS)"
        case aiohttp.ClientConnectorError(os_error=cause):
            return f"no connection: {_system_reason(cause)}"
        case aiohttp.InvalidURL():
            return "its address cannot be used"
        case _:
            return "the connection was closed before an answer"


def _system_reason(cause: OSError) -> str:
    return os.strerror(cause.errno) if cause.errno and cause.errno > 0 else str(cause.strerror or "unknown")
