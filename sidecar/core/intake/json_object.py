"""Reads one JSON object member by member; problems are collected, and reading continues.

Knows absence, the wrong type and unknown names; leaves what a member means to its reader.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from sidecar.core.did_you_mean import did_you_mean
from sidecar.core.intake.problem import Findings, Refusal, listed

T = TypeVar("T")

_MOST_UNKNOWN = 10
"""Unknown names of an object that are reported one by one."""

_SHOWABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
"""What looks like the name of a field, and not like something personal that was put there by mistake."""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The names that an object may have. `path` leads to it: empty, or ending in a dot."""

    path: str
    names: frozenset[str]
    inner: tuple["Shape", ...] = ()

    def nearest(self, name: str) -> str | None:
        """The path of the field that `name` was probably meant to be, here or further in."""
        paths = {each: shape.path + each for shape in (*self.inner, self) for each in shape.names}
        close = did_you_mean(name, paths)
        return paths[close] if close else None


class JsonObject:
    """A JSON object of a known shape."""

    __slots__ = ("_given", "_shape", "findings")

    def __init__(self, given: dict[str, Any], shape: Shape, findings: Findings) -> None:
        self._given = given
        self._shape = shape
        self.findings = findings
        if not shape.names.issuperset(given):
            self._note_unknown()

    def get(self, name: str) -> Any:
        """The member as it was given; None when it is absent or null."""
        return self._given.get(name)

    def take(self, name: str, reader: Callable[[Any], T]) -> T | None:
        """What `reader` makes of the member; None when it is absent, null, or refused by the reader."""
        value = self._given.get(name)
        if value is None:
            return None
        try:
            return reader(value)
        except Refusal as refusal:
            self.findings.refuse_for(self._shape.path + name, refusal)
            return None

    def require(self, name: str, reader: Callable[[Any], T]) -> T | None:
        """As `take`, but absence is a problem."""
        if self._given.get(name) is None:
            self.refuse(name, "required", "is required")
        return self.take(name, reader)

    def inside(self, name: str, shape: Shape) -> "JsonObject | None":
        """The object in the member; None when it is absent, null or no object."""
        value = self._given.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.refuse(name, "not_an_object", "must be an object")
            return None
        return JsonObject(value, shape, self.findings)

    def refuse(self, name: str, code: str, message: str) -> None:
        """Note a problem of the member."""
        self.findings.refuse(self._shape.path + name, code, message)

    def warn(self, code: str, name: str, message: str) -> None:
        """Note a warning about the member."""
        self.findings.warn(code, self._shape.path + name, message)

    def _note_unknown(self) -> None:
        unknown = [name for name in self._given if name not in self._shape.names]
        for name in unknown[:_MOST_UNKNOWN]:
            self._refuse_unknown(name if _SHOWABLE.fullmatch(name) else "?")
        if len(unknown) > _MOST_UNKNOWN:
            self.refuse("?", "unknown_field", f"and {len(unknown) - _MOST_UNKNOWN} more unknown fields")

    def _refuse_unknown(self, shown: str) -> None:
        if self.findings.is_full:
            self.refuse(shown, "unknown_field", "")  # only counted
            return
        shape = self._shape
        message = self.findings.allowed().look((shown, shape), 0, lambda: _unknown(shown, shape))
        self.refuse(shown, "unknown_field", message or "is not known")


@lru_cache(maxsize=256)
def _unknown(name: str, shape: Shape) -> str:
    """Cached, since one client spells all its requests alike; holds names of fields only, never a value."""
    close = shape.nearest(name)
    return f"is not known; did you mean {close}?" if close else f"is not known; known are {listed(sorted(shape.names))}"
