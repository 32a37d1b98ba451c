"""What a section is: a frozen dataclass whose annotations say how each value is read, and how it is shown.

    linger: Annotated[Seconds, duration_between("0s", "60s")] = 2.0

The functions behind a type are called one after the other, the first with the text of the file. A ValueError describes
the expected form. Pydantic would do this for 9 MiB, as much as a tenth of the whole process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, Self, get_args, get_origin, get_type_hints


class SecretText:
    """A text that no `repr` and no `asdict` shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "SecretText('***')" if self._text else "SecretText('')"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretText) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def get_secret_value(self) -> str:
        """Return the text itself."""
        return self._text


@dataclass(frozen=True, slots=True)
class ShownAs:
    """Behind a type: writes its value as YAML and JSON have it."""

    write: Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Single:
    """The kind of a value that is one text in the file."""

    type: type
    steps: tuple[Callable[[Any], Any], ...]
    show: Callable[[Any], object] = lambda value: value


@dataclass(frozen=True, slots=True)
class Choice:
    """The kind of a value that is one of a few texts."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """The kind of a list, and that of its items."""

    item: Single


@dataclass(frozen=True, slots=True)
class Named:
    """The kind of a mapping whose names the user chooses, and that of its values."""

    value: "Single | type[Section]"


class Section:
    """The base of all sections, which are frozen dataclasses."""

    @classmethod
    @cache
    def kinds(cls) -> "Mapping[str, Kind]":
        """Return the kind of each key."""
        return {key: _kind(annotation) for key, annotation in get_type_hints(cls, include_extras=True).items()}

    def values(self) -> dict[str, Any]:
        """Return the value of each key."""
        return {key: getattr(self, key) for key in self.kinds()}

    def updated(self, changes: Mapping[str, Any]) -> Self:
        """Return a copy with other values of some keys."""
        return replace(self, **changes)  # type: ignore[type-var]


Kind = Single | Choice | Listed | Named | type[Section]


def _kind(annotation: Any) -> Any:
    inner = get_args(annotation)
    match get_origin(annotation):
        case None:
            return annotation
        case origin if origin is Annotated:
            return _single(*inner)
        case origin if origin is Literal:
            return Choice(inner)
        case origin if origin is tuple:
            return Listed(_kind(inner[0]))
        case origin if origin is Mapping:
            return Named(_kind(inner[1]))
        case _:  # … | None
            return next(_kind(one) for one in inner if one is not NoneType)


def _single(type_: type, *behind: Any) -> Single:
    shown = [one.write for one in behind if isinstance(one, ShownAs)]
    return Single(type_, tuple(one for one in behind if not isinstance(one, ShownAs)), *shown)
