"""Problems, which refuse an item, and warnings, which do not. None of them repeats a given value.

So no plain e-mail address or phone number reaches an answer or a log, even from a wrong field.
"""

from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, field
from itertools import islice

from msgspec import Struct

_MOST_NAMES = 20

MOST_PROBLEMS = 100
"""Problems of a request that are listed; each item that is refused after them has only its first."""

MOST_LOOK_UPS = 20
_NAMES_A_LOOK_UP = 100
"""A look-up among more names counts as several: each name is compared letter by letter."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why an item is refused. `field` is its dotted path, empty for the item itself."""

    field: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Warning_:
    """Something was left out or changed, though the item is good enough."""

    code: str
    field: str
    message: str


MORE = "more_problems"


def more_problems(count: int) -> Problem:
    """The problem in place of those that are no longer listed."""
    return Problem("", "more_problems", f"and {count} more")


class Refusal(Exception):
    """Raised by the reader of one field; becomes the problem of that field."""

    def __init__(self, code: str, message: str, near: "Near | None" = None) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.near = near


@dataclass(frozen=True, slots=True)
class Near:
    """A name that is none of the `known`; `look` finds the one that was probably meant."""

    name: str
    known: Collection[str]
    look: Callable[[str, Collection[str]], str | None]


@dataclass(slots=True)
class Allowance:
    """What one request may still use: looking for near names is expensive, and a body can hold thousands of them."""

    problems: int = MOST_PROBLEMS
    """How many more are listed in full."""
    look_ups: int = MOST_LOOK_UPS
    found: int = 0
    """All problems, listed or not."""
    _found: dict[Hashable, str] = field(default_factory=dict)

    def look(self, asked: Hashable, names: int, find: Callable[[], str]) -> str:
        """The result of `find` among this number of `names`, remembered; empty after too many look-ups."""
        if asked not in self._found:
            if self.look_ups <= 0:
                return ""
            self.look_ups -= 1 + names // _NAMES_A_LOOK_UP
            self._found[asked] = find()
        return self._found[asked]


class Findings(Struct):
    """Problems and warnings of one item; `allowance` is shared by the items of a request."""

    allowance: Allowance | None = None
    problems: list[Problem] = []
    warnings: list[Warning_] = []
    left_out: int = 0
    """Problems that are counted, but no longer listed."""

    def allowed(self) -> Allowance:
        """The allowance; an item without one gets its own, made when it is first needed."""
        if self.allowance is None:
            self.allowance = Allowance()
        return self.allowance

    @property
    def is_full(self) -> bool:
        """Whether a further problem would only be counted."""
        return bool(self.problems) and self.allowed().problems <= 0

    @property
    def listed(self) -> tuple[Problem, ...]:
        """The problems; after them how many more there are."""
        if not self.left_out:
            return tuple(self.problems)
        return (*self.problems, more_problems(self.left_out))

    def refuse(self, field: str, code: str, message: str) -> None:
        """Note a problem; once the request has too many, only the first of an item is listed."""
        allowance = self.allowed()
        allowance.found += 1
        if self.is_full:
            self.left_out += 1
            return
        allowance.problems -= 1
        self.problems.append(Problem(field, code, message))

    def refuse_for(self, field: str, refusal: Refusal) -> None:
        """Note the problem that a reader raised, with the name that was probably meant."""
        self.refuse(field, refusal.code, refusal.message + self._hint(refusal.code, refusal.near))

    def _hint(self, code: str, near: Near | None) -> str:
        if near is None or self.is_full:
            return ""

        def find() -> str:
            close = near.look(near.name, near.known)
            return f"; did you mean {close}?" if close else ""

        return self.allowed().look((code, near.name), len(near.known), find)

    def warn(self, code: str, field: str, message: str) -> None:
        """Note a warning."""
        self.warnings.append(Warning_(code, field, message))


def listed(names: Iterable[str]) -> str:
    """The names in a row, the first twenty of them."""
    names = list(islice(names, _MOST_NAMES + 1))
    shown = ", ".join(names[:_MOST_NAMES]) or "none"
    return f"{shown}, ..." if len(names) > _MOST_NAMES else shown
