"""Reads where the service listens, for a verb that only calls it.

The rest of the file is ignored: its callers may lack what the service needs, such as its secrets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.config.environment_variables import substitute
from sidecar.config.loader import read_text
from sidecar.config.problems import ConfigError, Report
from sidecar.config.secret_files import read_secret_files
from sidecar.config.sections import Config
from sidecar.config.validation import validate
from sidecar.config.yaml_document import Value, parse_yaml

_ADDRESS = {"server": ("host", "port")}
_STORE = {"storage": ("url",)}
_KEYS = {"server": ("api_keys", "api_keys_file")}
_PASSPHRASE = {"storage": ("encryption_key", "encryption_key_file")}


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """Where a service listens, and what its key is found by; empty where the file does not say it to this caller."""

    host: str
    port: int
    storage_url: str = field(repr=False)
    api_key: str = field(default="", repr=False)
    encryption_key: str = field(default="", repr=False)


def read_service_address(path: Path, environ: Mapping[str, str]) -> ServiceAddress:
    """The address in the file at `path`. Raises ConfigError when that part of the file cannot be used."""
    sections = parse_yaml(read_text(path), report := Report())
    config = _part(sections, _ADDRESS, environ, report)
    if report.problems:
        raise ConfigError(path, report.problems)
    url, keys, passphrase = [_readable(sections, part, environ) for part in (_STORE, _KEYS, _PASSPHRASE)]
    return ServiceAddress(
        host=config.server.host,
        port=config.server.port,
        storage_url=url.storage.url if url else "",
        api_key=keys.server.api_keys[0].get_secret_value() if keys and keys.server.api_keys else "",
        encryption_key=passphrase.storage.encryption_key.get_secret_value() if passphrase else "",
    )


def _readable(
    sections: Mapping[str, Value], wanted: Mapping[str, tuple[str, ...]], environ: Mapping[str, str]
) -> Config | None:
    """The configuration made of these keys; None where one of them cannot be used here."""
    config = _part(sections, wanted, environ, unread := Report())
    return None if unread.problems else config


def _part(
    sections: Mapping[str, Value], wanted: Mapping[str, tuple[str, ...]], environ: Mapping[str, str], report: Report
) -> Config:
    """The configuration made of the `wanted` keys alone."""
    values: dict[str, Value] = {}
    for name, keys in wanted.items():
        section = sections.get(name)
        if isinstance(section, dict):  # anything else is refused
            section = {key: value for key, value in section.items() if key in keys}
        values[name] = substitute(section, environ, (name,), report)
    return validate({**read_secret_files(values, report), "microsoft": {"environment": "emulator"}}, report)
