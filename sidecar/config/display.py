"""Shows the configuration as a file again, and the keys that differ between two. Secrets are masked."""

from collections.abc import Iterator
from typing import Any

import yaml

from sidecar.config.sections import Config

RELOADABLE = frozenset({"events", "accounts", "delivery", "logging"})
"""The sections that a reload (SIGHUP) applies; the others need a restart."""


def masked(config: Config) -> dict[str, Any]:
    """The effective configuration in the order of the example: units as written, secrets as `***`, no unset keys."""
    return config.model_dump(mode="json", exclude_none=True)


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
    for section in Config.model_fields:
        before, after = dict(getattr(old, section)), dict(getattr(new, section))  # a section, or a mapping of them
        for key in {**before, **after}:
            if before.get(key) != after.get(key):
                yield f"{section}.{key}"
