"""Lists every key of the configuration, and suggests one for an unknown key."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel

from sidecar.config.problems import KeyPath, dotted
from sidecar.config.secret_files import SECRETS
from sidecar.config.sections import Config
from sidecar.core.did_you_mean import did_you_mean


def _keys(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of `model`, a section before its keys; `*` is a name that the user chooses."""
    for key, field in model.model_fields.items():
        here = (*path, key)
        yield here
        if here in SECRETS:
            yield (*path, f"{key}_file")
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _keys(kind, here)
        elif (named := _section_of(kind)) is not None:
            yield from _keys(named, (*here, "*"))


def _section_of(mapping: object) -> type[BaseModel] | None:
    """The section that `Mapping[str, Section]` holds."""
    sections = (kind for kind in get_args(mapping) if isinstance(kind, type) and issubclass(kind, BaseModel))
    return next(sections, None)


KEYS = tuple(_keys(Config))
"""Every key, in the order of the example file."""


def suggest_key(path: KeyPath) -> str | None:
    """The key that was probably meant by the unknown one at `path`: its name elsewhere, or a similar one beside it."""
    *around, name = path
    section = tuple(
        "*" if index == 1 and around[0] in ("accounts", "events") else step for index, step in enumerate(around)
    )
    elsewhere = (key for key in KEYS if key[-1] == name and "*" not in key)
    if (same := next(elsewhere, None)) is not None:
        return dotted(same)
    beside = [key[-1] for key in KEYS if key[:-1] == section]
    close = get_close_matches(str(name).lower(), beside, n=1)
    near = close[0] if close else did_you_mean(str(name), beside)
    return dotted((*around, near)) if near else None
