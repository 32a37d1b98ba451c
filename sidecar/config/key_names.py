"""Lists every key of the configuration, and suggests one for an unknown key."""

from collections.abc import Iterator
from difflib import get_close_matches

from sidecar.config.problems import KeyPath, dotted
from sidecar.config.secret_files import SECRETS
from sidecar.config.section import Named, Section
from sidecar.config.sections import Config
from sidecar.core.did_you_mean import did_you_mean


def _keys(section: type[Section], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of `section`, a section before its keys; `*` is a name that the user chooses."""
    for key, kind in section.kinds().items():
        here = (*path, key)
        yield here
        if here in SECRETS:
            yield (*path, f"{key}_file")
        inner, below = (kind.value, (*here, "*")) if isinstance(kind, Named) else (kind, here)
        if isinstance(inner, type):
            yield from _keys(inner, below)


KEYS = tuple(_keys(Config))
"""Every key, in the order of the example file."""


def suggest_key(path: KeyPath) -> str | None:
    """The key that was probably meant by the unknown one at `path`: a similar one beside it, or its name elsewhere."""
    *around, name = path
    section = tuple(
        "*" if index == 1 and around[0] in ("accounts", "events") else step for index, step in enumerate(around)
    )
    beside = [key[-1] for key in KEYS if key[:-1] == section]
    close = get_close_matches(str(name).lower(), beside, n=1)
    if near := close[0] if close else did_you_mean(str(name), beside):
        return dotted((*around, near))
    elsewhere = (key for key in KEYS if key[-1] == name and "*" not in key)
    return next((dotted(key) for key in elsewhere), None)
