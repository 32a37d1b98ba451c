"""The HTTP client of MSAL: our TLS context, time limits, no redirects, small answers, nothing logged or stored.

An answer that MSAL could not read never reaches it, because MSAL would log it.
"""

import json
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from sidecar.microsoft.connection_errors import explain_sign_in_error
from sidecar.microsoft.proxy_settings import ProxySettings
from sidecar.microsoft.sign_in_error_codes import LONG_PAUSE_SECONDS
from sidecar.microsoft.sign_in_errors import SignInFailed, classify, unavailable

CALL_SECONDS = 5.0
"""Limit for connecting, and again for each wait on an answer."""

ANSWER_SECONDS = 15.0
"""Limit for a whole answer that arrives slowly."""

MAX_ANSWER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TransportReply:
    """An answer in the shape MSAL expects of its `http_client`."""

    status_code: int
    text: str
    headers: Mapping[str, str]


class Transport:
    """`http_client` of an MSAL application, for one thread at a time. Raises SignInFailed for every unusable answer."""

    def __init__(
        self, tls: ssl.SSLContext, call_seconds: float = CALL_SECONDS, proxies: ProxySettings | None = None
    ) -> None:
        """`proxies` default to those of the environment."""
        self._proxies = ProxySettings.of(os.environ) if proxies is None else proxies
        self._call_seconds = call_seconds
        self._session = requests.Session()
        self._session.trust_env = False  # no ~/.netrc, no REQUESTS_CA_BUNDLE; proxies come from `proxies`
        self._session.adapters.clear()  # no plain http://
        self._session.mount("https://", _TlsAdapter(tls, self._proxies))
        self._session.headers["Accept-Encoding"] = "identity"  # no decompression bombs
        self._session.headers["Connection"] = "close"  # an hour later the server has closed it anyway

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> TransportReply:
        """GET a discovery document; SignInFailed also when it is refused."""
        reply = self._call("GET", url, params=params, headers=headers)
        if reply.status_code >= 400:
            raise SignInFailed(classify(json.loads(reply.text)))
        return reply

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> TransportReply:
        """POST a form to the token endpoint; refusals of OAuth (400, 401 …) are for MSAL to return."""
        return self._call("POST", url, params=params, data=data, headers=headers)

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def _call(self, method: str, url: str, **arguments: Any) -> TransportReply:
        proxy = self._proxies.for_url(url)
        named = {} if proxy is None else {"https": proxy.address}
        try:
            return self._exchange(method, url, proxies=named, **arguments)
        except requests.RequestException as error:
            found = explain_sign_in_error(error, proxied=proxy is not None)
            failure = unavailable(found.why, trouble=found.trouble or "sign_in_unavailable")
        raise SignInFailed(failure)  # outside of `except`: the error of requests holds the request and its form

    def _exchange(self, method: str, url: str, **arguments: Any) -> TransportReply:
        until = time.monotonic() + ANSWER_SECONDS
        limits = (self._call_seconds, self._call_seconds)
        with self._session.request(
            method, url, **arguments, timeout=limits, allow_redirects=False, stream=True
        ) as response:
            _refuse_status(response)
            text = _body(response, until)
            _refuse_unreadable(response.status_code, text)
            return TransportReply(response.status_code, text, dict(response.headers))


class _TlsAdapter(HTTPAdapter):
    """Verifies with the given context only; requests would add its own roots."""

    def __init__(self, tls: ssl.SSLContext, proxies: ProxySettings) -> None:
        self._tls = tls
        self._proxies = proxies
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._tls)

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, **kwargs, ssl_context=self._tls, proxy_ssl_context=self._tls)

    def proxy_headers(self, proxy: Any) -> dict[str, str]:
        """User and password as the given bytes; requests would encode them as Latin-1."""
        return self._proxies.headers

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"


def _refuse_status(response: requests.Response) -> None:
    status = response.status_code
    if status == 429 or status >= 500:
        raise SignInFailed(unavailable(f"it answered HTTP {status}", _retry_after(response)))
    if 300 <= status < 400:
        raise SignInFailed(unavailable(f"it answered HTTP {status}, a redirect, which is not followed"))


def _retry_after(response: requests.Response) -> float | None:
    """`Retry-After` in seconds, at most a quarter of an hour; None when absent or not a number."""
    text = response.headers.get("Retry-After", "").strip()
    return min(float(text), LONG_PAUSE_SECONDS) if text.isascii() and text.isdigit() else None


def _body(response: requests.Response, until: float) -> str:
    body = bytearray()
    for chunk in response.iter_content(16 * 1024):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise SignInFailed(unavailable("its answer is too large"))
        if time.monotonic() > until:
            raise SignInFailed(unavailable("its answer took too long"))
    return body.decode("utf-8", errors="replace")


def _refuse_unreadable(status: int, text: str) -> None:
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise SignInFailed(unavailable(f"it answered HTTP {status} without a JSON object; is something in between?"))
