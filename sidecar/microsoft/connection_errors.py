"""Explains in plain words why no answer arrived, with one wording for uploads and the sign-in.

The texts of exceptions are left out: some quote addresses, headers, and what was sent.
"""

import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp
import requests


@dataclass(frozen=True, slots=True)
class ConnectionFailure:
    """Why no answer arrived. `trouble` is a key of the catalogue; None where it may pass by itself."""

    why: str
    trouble: str | None = None


DNS = "name_not_found"
TLS = "tls_failed"
PROXY = "proxy_unusable"
PROXY_LOGIN = "proxy_login"

_NAME = "the name of Microsoft's host was not found (DNS)"
_PROXY_NAME = "the name of the proxy was not found (DNS)"
_CERTIFICATE = "the server's certificate is not trusted; see microsoft.ca_bundle"
_HANDSHAKE = "the TLS handshake failed"
_PROXY_AWAY = "the proxy cannot be reached"
_PROXY_REFUSED = "the proxy refused to connect"
_PROXY_ODD = "the proxy broke off, or does not speak HTTP"
_PROXY_SLOW = "the proxy made no connection in time"


def explain_upload_error(error: Exception, seconds: float, *, begun: bool, proxied: bool) -> ConnectionFailure:
    """Why an upload with a limit of `seconds` has no answer; `begun`: some of it was sent, `proxied`: through a proxy.

    https://docs.aiohttp.org/en/stable/client_reference.html#hierarchy-of-exceptions
    """
    if not begun and (found := _before_sending(error, proxied)) is not None:
        return found
    reason = next((text for kind, text in _REASONS if isinstance(error, kind)), type(error).__name__)
    return ConnectionFailure(reason.format(seconds=seconds))


def _before_sending(error: Exception, proxied: bool) -> ConnectionFailure | None:
    match error:
        case aiohttp.ClientHttpProxyError(status=status):
            return _refused_by_proxy(status)
        case aiohttp.ClientConnectorCertificateError(certificate_error=cause):
            return ConnectionFailure(_with_detail(_CERTIFICATE, getattr(cause, "verify_message", None)), TLS)
        case aiohttp.ClientSSLError(os_error=cause):
            return ConnectionFailure(_with_detail(_HANDSHAKE, _system_reason(cause)), TLS)
        case aiohttp.ClientConnectorDNSError(os_error=cause):
            return _name_not_found(cause, proxied)
        case aiohttp.ClientConnectorError(os_error=cause):
            reason = _PROXY_AWAY if proxied else "no connection"
            return ConnectionFailure(_with_detail(reason, _system_reason(cause)), PROXY if proxied else None)
        case TimeoutError():
            return ConnectionFailure(_PROXY_SLOW if proxied else "no connection in time", PROXY if proxied else None)
        case aiohttp.InvalidURL():
            return ConnectionFailure("Microsoft's address cannot be used; see microsoft.endpoints")
        case aiohttp.ClientError() | OSError() if proxied:
            return ConnectionFailure(_PROXY_ODD, PROXY)
        case aiohttp.ClientError() | OSError():
            return None
        case _:
            return ConnectionFailure(f"the request could not be written ({type(error).__name__})", "loop_failed")


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "no answer within {seconds:g} s"),
    (aiohttp.ClientPayloadError, "the answer broke off or could not be unpacked"),
    (aiohttp.ClientResponseError, "the answer is not HTTP"),
    (aiohttp.ClientConnectionError, "the connection was closed before the answer"),
    (OSError, "the connection was closed before the answer"),
)
"""The reasons after some of it was sent; the first that fits."""


def explain_sign_in_error(error: requests.RequestException, *, proxied: bool) -> ConnectionFailure:
    """Why the sign-in service gave no answer; `proxied`: through a proxy.

    The exceptions of requests wrap those of urllib3 and of the system.
    """
    causes = list(_causes(error))
    statuses = (re.search(r"Tunnel connection failed: (\d{3})", str(cause)) for cause in causes)
    if (status := next(filter(None, statuses), None)) is not None:
        return _refused_by_proxy(int(status[1]))
    found = next((found for cause in causes if (found := _of_system(cause, proxied)) is not None), None)
    return found or _of_requests(error, proxied)


def _of_system(cause: BaseException, proxied: bool) -> ConnectionFailure | None:
    match cause:
        case ssl.SSLCertVerificationError():
            return ConnectionFailure(_with_detail(_CERTIFICATE, cause.verify_message), TLS)
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():  # closed, perhaps long after the handshake
            return None
        case ssl.SSLError():
            return ConnectionFailure(_with_detail(_HANDSHAKE, _system_reason(cause)), TLS)
        case socket.gaierror():
            return _name_not_found(cause, proxied)
        case _:
            return None


def _of_requests(error: requests.RequestException, proxied: bool) -> ConnectionFailure:
    """The reason by the kind of exception alone."""
    match error:
        case requests.ConnectTimeout() if proxied:
            return ConnectionFailure(_PROXY_SLOW, PROXY)
        case requests.exceptions.ProxyError():
            return ConnectionFailure(_PROXY_AWAY, PROXY)
        case requests.Timeout():
            return ConnectionFailure("it did not answer in time")
        case requests.ConnectionError() if proxied:  # on either side of the proxy
            return ConnectionFailure("the connection through the proxy broke off before an answer", PROXY)
        case requests.ConnectionError():
            return ConnectionFailure("no connection could be made, or it was closed before an answer")
        case _:
            return ConnectionFailure(f"the request failed ({type(error).__name__})")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, each once."""
    left: list[object] = [error]
    seen: set[int] = set()
    while left:
        one = left.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [*one.args, getattr(one, "reason", None), getattr(one, "original_error", None), one.__cause__]
            left.append(one.__context__)


def _name_not_found(cause: OSError, proxied: bool) -> ConnectionFailure:
    reason, trouble = (_PROXY_NAME, PROXY) if proxied else (_NAME, DNS)
    return ConnectionFailure(_with_detail(reason, _system_reason(cause)), trouble)


def _refused_by_proxy(status: int) -> ConnectionFailure:
    return ConnectionFailure(f"{_PROXY_REFUSED}: HTTP {status}", PROXY_LOGIN if status == 407 else PROXY)


def _with_detail(reason: str, detail: str | None) -> str:
    return f"{reason}: {detail}" if detail else reason


def _system_reason(cause: OSError) -> str | None:
    """The reason in the words of OpenSSL or the operating system, such as "Connection refused"."""
    if isinstance(cause, ssl.SSLError):
        return cause.reason
    return os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror
