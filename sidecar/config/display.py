"""Shows the configuration as a file again, and the keys that differ between two. Secrets are masked."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from sidecar.config.section import Kind, Listed, Named, Section, Single
from sidecar.config.sections import Config

RELOADABLE = frozenset({"events", "accounts", "delivery", "logging"})
"""The sections that a reload (SIGHUP) applies; the others need a restart."""


def masked(config: Config) -> dict[str, Any]:
    """The effective configuration in the order of the example: units as written, secrets as `***`, no unset keys."""
    return _shown(config)


def _shown(section: Section) -> dict[str, Any]:
    kinds = section.kinds()
    return {key: _written(kinds[key], value) for key, value in section.values().items() if value is not None}


def _written(kind: Kind, value: Any) -> Any:
    match kind:
        case Single(show=show):
            return show(value)
        case Listed(item):
            return [_written(item, one) for one in value]
        case Named(of):
            return {name: _written(of, one) for name, one in value.items()}
        case _:
            return _shown(value) if isinstance(value, Section) else value


def masked_yaml(config: Config) -> str:
    """`masked` as YAML, for `sidecar check`; without the secrets it could be read again."""
    return yaml.safe_dump(masked(config), sort_keys=False, allow_unicode=True, width=120)


def changes(old: Config, new: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keys that differ, such as `events.lead` or `server.port`: those a reload changes, those that need a restart.

    A changed secret is named, never shown.
    """
    changed = tuple(_changed(old, new))
    reloadable = tuple(key for key in changed if key.partition(".")[0] in RELOADABLE)
    return reloadable, tuple(key for key in changed if key not in reloadable)


def _changed(old: Config, new: Config) -> Iterator[str]:
    for section in Config.kinds():
        before, after = (_entries(getattr(config, section)) for config in (old, new))
        for key in {**before, **after}:
            if before.get(key) != after.get(key):
                yield f"{section}.{key}"


def _entries(value: Section | Mapping[str, Section]) -> Mapping[str, Any]:
    return value.values() if isinstance(value, Section) else value
