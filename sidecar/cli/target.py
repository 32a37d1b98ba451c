"""Finds the sidecar that a verb talks to: the named one, else the one that `sidecar run` would start here."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from sidecar.service.api_key import key_beside
from sidecar.service.banner import local_url
from sidecar.store.store_url import file_of, is_postgres
from sidecar.system.listening import is_loopback

if TYPE_CHECKING:
    from sidecar.config.service_address import ServiceAddress

DEFAULT_URL = "http://127.0.0.1:8077"
NAMED = "named by $SIDECAR_URL"


@dataclass(frozen=True, slots=True)
class Target:
    """An address without a trailing slash, its key (empty for none), and where the address comes from."""

    url: str
    api_key: str = field(repr=False)
    source: str

    @property
    def is_default(self) -> bool:
        """Whether it is the default address, which needs no mention."""
        return self.url == DEFAULT_URL


def find(url: str | None, api_key: str, environ: Mapping[str, str]) -> Target:
    """The sidecar at `url`, else that of the configuration, else at the default address; `api_key` is empty for none.

    The configuration's key goes to the configuration's own address only. click.UsageError when the file that is needed
    cannot be used.
    """
    if url is not None and api_key:
        return Target(url, api_key, NAMED)
    try:
        configured = _configured(environ)
    except _Unusable as error:
        if url is None:
            raise click.UsageError(f"{error}\nFix the file, or name the running sidecar with --url") from None
        configured = None
    if configured is None:
        return Target(url or DEFAULT_URL, api_key, NAMED if url else "the default address")
    if url in (None, configured.url):
        return Target(configured.url, api_key or configured.api_key, configured.source)
    return Target(url or DEFAULT_URL, api_key, NAMED)


class _Unusable(Exception):
    """The configuration does not say where its sidecar listens."""


def _configured(environ: Mapping[str, str]) -> Target | None:
    """The sidecar of the configuration that `sidecar run` would read here; None where there is no such file."""
    from sidecar.config import ConfigError, locate, read_service_address  # takes a while, and few calls need it
    from sidecar.config.loader import DEFAULT_FILE

    if not environ.get("SIDECAR_CONFIG") and not DEFAULT_FILE.exists():
        return None
    try:
        path = locate(None, environ)
        where = read_service_address(path, environ)
    except ConfigError as error:
        raise _Unusable(str(error)) from None
    if where.port == 0:
        raise _Unusable(f"{path}: server.port: 0 means any free port, so only the running sidecar knows its address")
    return Target(local_url(where.host, where.port), where.api_key or _generated_key(where), f"of {path}")


def _generated_key(where: "ServiceAddress") -> str:
    """The key that the first start made; empty where there is none, or where it is not for this user."""
    if not where.storage_url:
        return ""
    if not is_postgres(where.storage_url):
        with contextlib.suppress(OSError):
            return key_beside(file_of(where.storage_url)) or ""
        return ""
    if is_loopback(where.host):
        return ""  # there calls need none, so the server is not asked
    from sidecar.service.shared_key import key_on_server  # the driver takes a while to import

    return key_on_server(where.storage_url, where.encryption_key) or ""
