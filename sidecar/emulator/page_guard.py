"""Guards the control calls: programs may use them, foreign web pages may not."""

from dataclasses import dataclass
from typing import Self

from sidecar.core.cross_site import Headers, calls_one_of, hosts, is_foreign
from sidecar.emulator.options import EmulatorOptions

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""The headers of every answer to a control call."""


@dataclass(frozen=True, slots=True)
class PageGuard:
    """The allowed host names. A web page's name that resolves to this machine (DNS rebinding) is not among them."""

    allowed: frozenset[str]
    domains: tuple[str, ...]

    @classmethod
    def of(cls, options: EmulatorOptions) -> Self:
        """Allows the names of its certificate, wildcards included, and the address that it listens on."""
        names = (*options.host_names, options.host, *EmulatorOptions().host_names)
        wild = tuple(name[1:].lower() for name in names if name.startswith("*."))
        return cls(hosts(name for name in names if not name.startswith("*.")), wild)

    def refusal(self, headers: Headers) -> tuple[int, str] | None:
        """Status and reason of a refusal; None if the request is allowed."""
        if not self._is_allowed_host(headers):
            return 421, "the Host header is no name of the certificate; add it with --host-name"
        if is_foreign(headers):
            return 403, "calls from web pages are refused"
        return None

    def _is_allowed_host(self, headers: Headers) -> bool:
        if calls_one_of(self.allowed, headers):
            return True
        name = headers.get("Host", "").rpartition(":")[0] or headers.get("Host", "")
        first, dot, rest = name.lower().partition(".")
        return bool(first and dot) and f".{rest}" in self.domains and calls_one_of(hosts([name]), headers)
