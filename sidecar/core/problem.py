"""What can be said against an item: problems refuse it, warnings do not. None of them repeats what was given.

That is the rule which keeps plain e-mail addresses and phone numbers out of every answer and log, wherever a caller
has put them by mistake.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

_MOST_NAMES = 20


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


class Refusal(Exception):
    """Raised by the reader of one field; becomes the problem of that field."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


@dataclass(slots=True)
class Findings:
    """All that was found against one item while it was read."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Warning_] = field(default_factory=list)

    def refuse(self, field: str, code: str, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(field, code, message))

    def warn(self, code: str, field: str, message: str) -> None:
        """Note a warning."""
        self.warnings.append(Warning_(code, field, message))


def listed(names: Iterable[str]) -> str:
    """The names in a row, the first twenty of them."""
    names = list(islice(names, _MOST_NAMES + 1))
    shown = ", ".join(names[:_MOST_NAMES]) or "none"
    return f"{shown}, ..." if len(names) > _MOST_NAMES else shown
