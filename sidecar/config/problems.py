"""The problems of a configuration, each with its line and key. Messages never repeat a value."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

KeyPath = tuple[str | int, ...]
"""The way to a value from the top: `("server", "allowed_hosts", 1)`."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One reason to refuse the file. `line` counts from 1, and is None where no line of the file causes it."""

    line: int | None
    key: str
    message: str

    def text(self, file: str) -> str:
        """`config.yaml:12: server.prot: unknown key; did you mean server.port?`"""
        where = file if self.line is None else f"{file}:{self.line}"
        return ": ".join(part for part in (where, self.key, self.message) if part)


class ConfigError(Exception):
    """The configuration cannot be used. Its text is one line per problem, in the order of the file."""

    def __init__(self, file: Path, problems: Iterable[ConfigProblem]) -> None:
        self.problems = tuple(sorted(problems, key=_place))
        super().__init__("\n".join(problem.text(str(file)) for problem in self.problems))


class Report:
    """Collects problems, one a key: a consequence of a problem that is already reported is left out."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        """The line of each key; filled while the file is parsed."""
        self._found: dict[KeyPath, ConfigProblem] = {}
        self._warnings: dict[KeyPath, ConfigProblem] = {}

    @property
    def warnings(self) -> tuple[ConfigProblem, ...]:
        """The warnings, in the order of the file."""
        return tuple(sorted(self._warnings.values(), key=_place))

    def warn(self, path: KeyPath, message: str) -> None:
        """Adds a warning about the key at `path`, one a key; a secret in a file is named by its `x_file`."""
        *around, last = path
        of_file = (*around, f"{last}_file") if isinstance(last, str) else (*around[:-1], f"{around[-1]}_file")
        path = of_file if of_file in self.lines and path not in self.lines else path
        self._warnings.setdefault(path, ConfigProblem(self._line(path), dotted(path), f"warning: {message}"))

    @property
    def problems(self) -> tuple[ConfigProblem, ...]:
        """All problems so far."""
        return tuple(self._found.values())

    def add(self, path: KeyPath, message: str, *, line: int | None = None, because: Iterable[KeyPath] = ()) -> None:
        """Adds a problem of the key at `path`, unless that key or one of `because` already has one."""
        if not any(cause[:length] in self._found for cause in (path, *because) for length in range(len(cause) + 1)):
            self._found[path] = ConfigProblem(line or self._line(path), dotted(path), message)

    def _line(self, path: KeyPath) -> int | None:
        """The line of `path`, or of the innermost section around it that the file has."""
        known = (self.lines.get(path[:length]) for length in range(len(path), 0, -1))
        return next((line for line in known if line is not None), None)


def dotted(path: KeyPath) -> str:
    """`server.allowed_hosts[1]`; a key that is no plain word is cut off.

    `{client_secret:abc}`, a colon without a space, is a key to YAML: its end must not be printed.
    """
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{_shown(step)}" for step in path)
    return text.removeprefix(".")


def _shown(key: str) -> str:
    word = re.match(r"[\w .-]{0,60}", key)
    start = word[0] if word else ""
    return (key or "''") if start == key else f"{start}…"


def _place(problem: ConfigProblem) -> tuple[bool, int, str]:
    return (problem.line is None, problem.line or 0, problem.key)
