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

_ADDRESS = {"server": ("host", "port"), "storage": ("url",)}
_KEYS = {"server": ("api_keys", "api_keys_file")}


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """Where a service listens, and its key; `api_key` is empty where none can be read from the file."""

    host: str
    port: int
    storage_url: str
    api_key: str = field(default="", repr=False)


def read_service_address(path: Path, environ: Mapping[str, str]) -> ServiceAddress:
    """The address in the file at `path`. Raises ConfigError when that part of the file cannot be used."""
    sections = parse_yaml(read_text(path), report := Report())
    config = _part(sections, _ADDRESS, environ, report)
    if report.problems:
        raise ConfigError(path, report.problems)
    keys = _part(sections, _KEYS, environ, unread := Report()).server.api_keys
    key = keys[0].get_secret_value() if keys and not unread.problems else ""
    return ServiceAddress(config.server.host, config.server.port, config.storage.url, key)


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
