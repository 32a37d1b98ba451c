"""Who may call: no web page where no key is asked for, and nobody without a key where one is.

Looks at nothing but method, path and headers, in the order Host, browser rules, key; raises an HttpProblem.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from sidecar.api.http.problem import CROSS_SITE, NO_KEY, UNKNOWN_HOST, HttpProblem
from sidecar.core.intake.web_pages import Headers, calls_one_of, hosts, is_foreign

_CALLBACK = ("GET", "/oauth/callback")
"""Cross-site by nature: Microsoft sends the browser back. Its one-time state guards it."""

_PROBES = frozenset(("/livez", "/readyz"))
_FOR_EVERY_PAGE = _PROBES | {"/msclkid.js"}
"""What tells nothing that a page of another site may not ask for."""

_PAGES = frozenset(("/connect",))
"""Opened in a browser, where only HTTP Basic can carry a key, and where opening it changes something."""

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

    def check(self, method: str, path: str, headers: Headers) -> None:
        """Return if the request may go on."""
        if (method, path) == _CALLBACK:
            return
        if self.key_digests:
            self._check_with_keys(path, headers)
        else:
            self._check_without_keys(method, path, headers)

    def _check_with_keys(self, path: str, headers: Headers) -> None:
        if path in _PROBES:
            return
        if path in _PAGES:  # a browser repeats its Basic key for any page that sends it here
            _refuse_foreign_page(headers)
        self._check_key(path, headers)

    def _check_without_keys(self, method: str, path: str, headers: Headers) -> None:
        if not calls_one_of(self.allowed_hosts, headers):
            names = " or ".join(sorted(self.allowed_hosts))
            raise HttpProblem(UNKNOWN_HOST, f"Call it as {names}, or add the name to allowed_hosts.")
        if path not in _FOR_EVERY_PAGE or method not in _READING:
            _refuse_foreign_page(headers)

    def _check_key(self, path: str, headers: Headers) -> None:
        key = _key_in(headers.get("Authorization", ""), basic=path in _PAGES)
        given = _digest(key)
        fits = False
        for digest in self.key_digests:  # all of them, whichever one fits
            fits |= hmac.compare_digest(given, digest)
        if not fits:
            challenge = 'Basic realm="sidecar", charset="UTF-8"' if path in _PAGES else "Bearer"
            raise HttpProblem(
                NO_KEY,
                "Send one of server.api_keys as `Authorization: Bearer KEY`.",
                headers={"WWW-Authenticate": challenge},
            )


def _refuse_foreign_page(headers: Headers) -> None:
    if is_foreign(headers):
        raise HttpProblem(CROSS_SITE, "Call the sidecar from your server, or type this address into the browser.")


def _key_in(authorization: str, *, basic: bool) -> str:
    """The key that the header carries; empty when there is none, which fits no key."""
    scheme, _, rest = authorization.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic" if basic:
            return _password(rest.strip())
        case _:
            return ""


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _digest(key: str) -> bytes:
    """Equally long whatever the key, so that comparing tells nothing of its length."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()
