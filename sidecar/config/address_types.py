"""Types of addresses: hosts, services, the database. Checks their form, not whether anything answers there."""

import ipaddress
import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, PlainSerializer

from sidecar.core.server_url import is_postgres, is_well_formed, without_password
from sidecar.system.listening import is_loopback


def _host(value: str) -> str:
    """A name or address, lower-cased, and without the brackets of an IPv6 address."""
    bare = value.removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.IPv6Address(bare))
    except ValueError:
        if re.fullmatch(r"[A-Za-z0-9._-]+", value):
            return value.lower()
        raise ValueError("must be a host name or address, without scheme and port") from None


def _authority(value: str) -> str:
    parts = _split(value)
    if parts.scheme != "https" or not parts.path.strip("/"):
        raise ValueError("must be https with the tenant as its path, such as https://login.example/common")
    return value.rstrip("/")


def _split(value: str) -> SplitResult:
    message = "must be an address such as https://host:port/path, without user, ?query and #fragment"
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises unless it is a number
    except ValueError:
        raise ValueError(message) from None
    odd = parts.username or parts.query or parts.fragment or re.search(r"[\s?#@]", value)
    if parts.scheme not in ("https", "http") or not parts.hostname or odd:
        raise ValueError(message)
    return parts


def _redirect(value: str) -> str:
    parts = _split(value)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be https; plain http is accepted for this machine (localhost) only")
    return value


def _database(value: str) -> str:
    if is_postgres(value):
        return _server(value)
    if not re.fullmatch(r"sqlite:///[^?#]*[^?#/]", value) or value.endswith(":memory:") or not value.isprintable():
        raise ValueError(
            "must be sqlite:///relative/file.db, sqlite:////absolute/file.db or postgresql://user@host/database"
        )
    return value


def _server(value: str) -> str:
    """Never repeats a part of it: it may hold a password."""
    if not is_well_formed(value):
        raise ValueError(
            "must have the form postgresql://user:password@host:5432/database; write special characters of the "
            "password with a percent sign (@ as %40, / as %2F, # as %23)"
        )
    return value


def _tenant(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", value):
        raise ValueError("must be common, organizations, consumers, or your tenant's id or domain")
    return value


def _listening(value: str) -> str:
    """As `_host`; an IPv4-mapped IPv6 address becomes the IPv4 address."""
    host = _host(value)
    mapped = ipaddress.IPv6Address(host).ipv4_mapped if ":" in host else None
    return host if mapped is None else str(mapped)


Host = Annotated[str, AfterValidator(_host)]
ListeningHost = Annotated[str, AfterValidator(_listening)]
Address = Annotated[str, AfterValidator(lambda value: _redirect(value).rstrip("/"))]
"""The base of a service, without its trailing slash."""
Authority = Annotated[str, AfterValidator(_authority)]
Redirect = Annotated[str, AfterValidator(_redirect)]
Database = Annotated[str, AfterValidator(_database), PlainSerializer(without_password)]
"""Shown without its password."""
Tenant = Annotated[str, AfterValidator(_tenant)]
