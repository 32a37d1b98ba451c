"""Where the service of a configuration listens, for a program beside it that only wants to call it.

Reads no more of the file than that: what the service needs besides, such as its secrets, need not be there for its
callers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.config.document import Value, read
from sidecar.config.loading import text_of
from sidecar.config.report import ConfigError, Report
from sidecar.config.secret_files import with_files_read
from sidecar.config.sections import Config
from sidecar.config.validation import sections_of
from sidecar.config.variables import filled

_ADDRESS = {"server": ("host", "port"), "storage": ("url",)}
_KEYS = {"server": ("api_keys", "api_keys_file")}


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a service listens, and what its calls need; `api_key` is empty where none can be read from the file."""

    host: str
    port: int
    database: Path
    api_key: str = field(default="", repr=False)


def listening(path: Path, environ: Mapping[str, str]) -> Listening:
    """What the file at `path` says of it. Raises ConfigError when that part of the file cannot be used."""
    sections = read(text_of(path), report := Report())
    config = _part(sections, _ADDRESS, environ, report)
    if report.problems:
        raise ConfigError(path, report.problems)
    keys = _part(sections, _KEYS, environ, unread := Report()).server.api_keys
    key = keys[0].get_secret_value() if keys and not unread.problems else ""
    return Listening(config.server.host, config.server.port, config.storage.path, key)


def _part(
    sections: Mapping[str, Value], wanted: Mapping[str, tuple[str, ...]], environ: Mapping[str, str], report: Report
) -> Config:
    """The configuration that the `wanted` keys make by themselves."""
    part = {name: _only(sections.get(name), keys) for name, keys in wanted.items()}
    values = {name: filled(value, environ, (name,), report) for name, value in part.items()}
    return sections_of({**with_files_read(values, report), "microsoft": {"environment": "emulator"}}, report)


def _only(section: Value, keys: tuple[str, ...]) -> Value:
    """The section with these keys alone; what is no section stays as it is, to be refused."""
    if not isinstance(section, dict):
        return section
    return {key: value for key, value in section.items() if key in keys}
