"""Chooses the proxy for an address, from HTTPS_PROXY, ALL_PROXY and NO_PROXY.

Only this module reads these variables; uploads and the sign-in get its result. HTTP_PROXY is ignored: plain http never
leaves this machine. The variables mean what they mean to curl: https://curl.se/docs/manpage.html#ENVIRONMENT
"""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from sidecar.system.listening import is_loopback

_PORTS = {"http": 80, "https": 443}


class UnusableProxy(Exception):
    """A proxy that cannot be used. The text names the variable and the expected form, without the value."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy's address and credentials."""

    address: str
    """`http://host:port` or `https://host:port`, without user and password."""
    authorization: str | None = field(default=None, repr=False)
    """The value of `Proxy-Authorization`; None where the variable names no user."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers for the proxy itself."""
        return {} if self.authorization is None else {"Proxy-Authorization": self.authorization}


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """The proxy variables of an environment; they are validated only when a proxy is needed."""

    variable: str = ""
    value: str = field(default="", repr=False)
    without: tuple[str, ...] = ()
    """The entries of NO_PROXY."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "ProxySettings":
        """The settings in `environ`: lower case before upper case, HTTPS_PROXY before ALL_PROXY; empty means unset."""
        named = _first(environ, "HTTPS_PROXY") or _first(environ, "ALL_PROXY")
        without = _first(environ, "NO_PROXY")
        entries = re.split(r"[,\s]+", without[1]) if without else []
        return cls(*(named or ("", "")), without=tuple(filter(None, entries)))

    def for_url(self, url: str) -> Proxy | None:
        """The proxy for this `https://` address; None for a direct connection, always for this machine.

        Raises UnusableProxy.
        """
        if not self.value or self._is_direct(urlsplit(url)):
            return None
        return _read(self.variable, self.value)

    @property
    def headers(self) -> dict[str, str]:
        """The headers for the proxy, the same for every address. Raises UnusableProxy."""
        return _read(self.variable, self.value).headers if self.value else {}

    def _is_direct(self, url: SplitResult) -> bool:
        host = (url.hostname or "").removesuffix(".")
        port = url.port or _PORTS.get(url.scheme, 0)
        return is_loopback(host) or any(_matches(entry.lower(), host, port) for entry in self.without)


def _first(environ: Mapping[str, str], name: str) -> tuple[str, str] | None:
    """The variable that is set, in lower or upper case, and its value."""
    given = ((written, environ.get(written, "").strip()) for written in (name.lower(), name))
    return next(((written, value) for written, value in given if value), None)


def _matches(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY matches this host: `*`, a domain or address (with or without port), a range."""
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return ip_address(host) in ip_network(entry, strict=False)
        except ValueError:
            return False
    named, only_port = _split_port(entry)
    if only_port is not None and only_port != port:
        return False
    address = _address(named)
    if address is not None:
        return address == _address(host)
    domain = named.removeprefix("*").removeprefix(".").removesuffix(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _split_port(entry: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"\[(.+)\](?::(\d{1,5}))?|([^:]+):(\d{1,5})", entry)
    if match is None:
        return entry, None
    port = match[2] or match[4]
    return match[1] or match[3], int(port) if port else None


def _address(text: str) -> object:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _read(variable: str, value: str) -> Proxy:
    url = value if "://" in value else f"http://{value.removeprefix('//')}"
    wrong = next(_mistakes(url), None)
    if wrong is not None:
        raise UnusableProxy(f"{variable} in the environment cannot be used as proxy: {wrong}")
    parts = urlsplit(url)
    host = _ascii(parts.hostname or "")
    port = parts.port or _PORTS[parts.scheme]
    return Proxy(f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}", _authorization(parts))


def _mistakes(url: str) -> Iterator[str]:
    """The problems of a proxy's address, the clearest first, without the address: it may hold a password."""
    scheme = url.split("://")[0].lower()
    if re.fullmatch(r"[a-z0-9+.-]+", scheme) and scheme not in _PORTS:
        yield f"{scheme}:// is not supported, only http:// and https:// proxies that take CONNECT are"
    wanted = "it must be like http://host:port or http://user:password@host:port"
    try:
        parts = urlsplit(url)
        host = _ascii(parts.hostname or "")
        ported = parts.port != 0
    except ValueError:
        parts, host, ported = SplitResult("", "", "", "", ""), "", False
    usable = re.fullmatch(r"[A-Za-z0-9._-]+", host) or (":" in host and _address(host) is not None)
    if parts.scheme not in _PORTS or not usable or not ported or re.search(r"\s", url):
        yield f"{wanted}; in user and password % and : / ? # @ are written as %25, %3A, %2F, %3F, %23, %40"
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        yield f"{wanted}, without anything behind the port; the address of a PAC file is no proxy"


def _ascii(host: str) -> str:
    """The host in its ASCII form. Raises ValueError when it has none."""
    return host if host.isascii() else host.encode("idna").decode()


def _authorization(parts: SplitResult) -> str | None:
    """https://www.rfc-editor.org/rfc/rfc7617, with the bytes that %XX encodes."""
    if parts.username is None:
        return None
    user, password = unquote_to_bytes(parts.username), unquote_to_bytes(parts.password or "")
    return "Basic " + base64.b64encode(user + b":" + password).decode()
