"""Who may call: without keys no web page of another site, with keys only callers that have one.

Looks at method, headers and what the path declares, in the order Host, browser rules, key; raises an HttpProblem.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

from sidecar.api.http.problem import CROSS_SITE, NO_KEY, UNKNOWN_HOST, HttpProblem
from sidecar.core.cross_site import Headers, calls_one_of, hosts, is_foreign


class Access(Enum):
    """Who may call a path. Keys are required when some are configured; without keys, Host and browser rules hold."""

    KEY = auto()
    """A key, as a bearer token or by HTTP Basic; without keys no page of another site."""
    BROWSER = auto()
    """The same, for an address that people open: without a key the browser is always told to ask for one.

    Pages of other sites are refused with a bearer token too: opening it may change something.
    """
    ANY_PAGE = auto()
    """A key; without keys any page may read it, since it shows nothing of this sidecar."""
    PROBE = auto()
    """Needs no key, and any page may read it."""
    STATE = auto()
    """A GET is guarded by its one-time state alone: Microsoft sends the browser here, from its own site."""


_READING = frozenset(("GET", "HEAD"))


@dataclass(frozen=True, slots=True)
class Guard:
    """Holds only digests of keys, so that it shows none. Without keys the browser's rules are in force."""

    allowed_hosts: frozenset[str]
    key_digests: tuple[bytes, ...]

    @classmethod
    def of(cls, allowed_hosts: Iterable[str], keys: Iterable[str]) -> Self:
        """For these host names or addresses, and these keys; no keys means that none is asked for."""
        return cls(hosts(allowed_hosts), tuple(_digest(key) for key in keys))

    def check(self, method: str, access: Access, headers: Headers) -> None:
        """Return if the request may continue; `access` is what its path declares."""
        if access is Access.STATE and method == "GET":
            return
        if self.key_digests:
            self._check_with_keys(access, headers)
        else:
            self._check_without_keys(method, access, headers)

    def _check_with_keys(self, access: Access, headers: Headers) -> None:
        if access is Access.PROBE:
            return
        if access is Access.BROWSER or _scheme(headers) == "basic":  # which a browser repeats for any page
            _refuse_foreign_page(headers)
        self._check_key(headers, asks=access is Access.BROWSER or wants_page(headers))

    def _check_without_keys(self, method: str, access: Access, headers: Headers) -> None:
        if not calls_one_of(self.allowed_hosts, headers):
            names = " or ".join(sorted(self.allowed_hosts))
            raise HttpProblem(UNKNOWN_HOST, f"Call it as {names}, or add the name to allowed_hosts.")
        if access not in (Access.PROBE, Access.ANY_PAGE) or method not in _READING:
            _refuse_foreign_page(headers)

    def _check_key(self, headers: Headers, *, asks: bool) -> None:
        """HttpProblem without a valid key; `asks` makes a browser ask the person for one."""
        given = _digest(_key_in(headers.get("Authorization", "")))
        fits = False
        for digest in self.key_digests:  # every one, so that the time tells nothing
            fits |= hmac.compare_digest(given, digest)
        if not fits:
            challenge = 'Basic realm="sidecar", charset="UTF-8"' if asks else "Bearer"
            raise HttpProblem(
                NO_KEY,
                "Send one of server.api_keys as `Authorization: Bearer KEY`.",
                headers={"WWW-Authenticate": challenge},
            )


def wants_page(headers: Headers) -> bool:
    """Whether a person opened the address in a browser; no script of a page asks for HTML."""
    return "text/html" in headers.get("Accept", "").lower()


def _refuse_foreign_page(headers: Headers) -> None:
    if is_foreign(headers):
        raise HttpProblem(CROSS_SITE, "Call the sidecar from your server, or type this address into the browser.")


def _scheme(headers: Headers) -> str:
    return headers.get("Authorization", "").strip().partition(" ")[0].lower()


def _key_in(authorization: str) -> str:
    """The key that the header carries; empty when there is none, which fits no key."""
    scheme, _, rest = authorization.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            return _password(rest.strip())
        case _:
            return ""


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _digest(key: str) -> bytes:
    """Equally long for all keys, so that the time of a comparison does not depend on the length."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()
