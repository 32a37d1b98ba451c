"""Requests that a web page of another site may have made: which host they name, and which site made them.

Reads headers only. What is refused, and in which words, is left to the guards of the API and the emulator.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Protocol

_OWN_SITES = frozenset(("same-origin", "none"))
"""Sec-Fetch-Site of our own pages, and of an address that was typed. `same-site` is another port of this machine."""

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)(?:%[A-Za-z0-9._~%-]+)?\]|(?P<name>[^\[\]:]+?))\.?(?::[0-9]{0,5})?")


class Headers(Protocol):
    """The headers of a request, in any case; one may occur several times."""

    def get(self, name: str, default: str, /) -> str:
        """The first value."""

    def getall(self, name: str, default: tuple[()], /) -> Sequence[str]:
        """Every value."""

    def __contains__(self, name: object, /) -> bool:
        """Whether it is there."""


def hosts(names: Iterable[str]) -> frozenset[str]:
    """Host names and addresses, with or without brackets, in the form that `calls_one_of` compares."""
    given = (f"[{name}]" if ":" in name and not name.startswith("[") else name for name in names)
    return frozenset(bare for name in given if (bare := _bare(name)))


def calls_one_of(allowed: frozenset[str], headers: Headers) -> bool:
    """Whether the request calls one of these `hosts` by name; more than one Host header calls none."""
    given = headers.getall("Host", ())
    return len(given) == 1 and _bare(given[0]) in allowed


def is_foreign(headers: Headers) -> bool:
    """Whether another site's page made the request; each value of a repeated header is checked."""
    if "Origin" not in headers and "Sec-Fetch-Site" not in headers:  # as every server's
        return False
    host = headers.get("Host", "").lower()
    own = (f"http://{host}", f"https://{host}")
    sites = (site.lower() for site in headers.getall("Sec-Fetch-Site", ()))
    origins = (origin.lower() for origin in headers.getall("Origin", ()))
    return any(site not in _OWN_SITES for site in sites) or any(origin not in own for origin in origins)


@lru_cache(maxsize=128)
def _bare(host: str) -> str | None:
    """The name in a Host header: without port, brackets, zone and trailing dot, lower-cased; None when it is no host.

    The zone names a network of the caller's machine, and does not matter here.
    """
    parts = _HOST.fullmatch(host)
    if parts is None:
        return None
    return parts["name"].lower() if parts["v6"] is None else _shortest(parts["v6"])


def _shortest(address: str) -> str | None:
    """The one spelling of an address of IPv6; None when it is none."""
    try:
        return str(ipaddress.IPv6Address(address))
    except ValueError:
        return None
