"""How a fact is recorded: cleaned once, then a log line and, where its name says so, an entry of the journal.

`intake`, `delivery` and `service` say which facts there are.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sidecar.core.instant import UnixMillis, text_of_millis
from sidecar.ports.journal import Journal, JournalEntry, facts_of
from sidecar.telemetry import event_names, failure
from sidecar.telemetry.event_names import Name
from sidecar.telemetry.followers import Followers
from sidecar.telemetry.journal_buffer import JournalBuffer
from sidecar.telemetry.lines import Lines
from sidecar.telemetry.redact import Redactor

_IDENTIFIERS = frozenset(("account", "conversion_id", "order_id", "tracking_id"))


class Recorder:
    """Takes facts from the event loop's thread, and log lines from any thread."""

    def __init__(self, clock: Callable[[], UnixMillis], level: str, form: str, fd: int) -> None:
        self.clock = clock
        self.redactor = Redactor()
        self.lines = Lines(fd, level, form)
        self.followers = Followers()
        self._buffer = JournalBuffer(self.followers)

    def takes(self, name: Name) -> bool:
        """Whether facts of that name are written or stored: of frequent ones that are not, nothing need be built."""
        return name.stored or self.lines.writes(name.level)

    def record(self, name: Name, message: str, /, *, level: str | None = None, also: Any = None, **facts: Any) -> None:
        """Record one fact. `facts` are fields of a JournalEntry; `also` holds what only the log line carries."""
        level = level or name.level
        if not (name.stored or self.lines.writes(level)):
            return
        cleaned = self._cleaned({"message": message, **facts})
        entry = JournalEntry(time=self.clock(), level=level, name=name.name, **cleaned)
        if name.stored:
            self._buffer.put(entry)
        self.lines.write(facts_of(entry) | self._cleaned(also or {}))

    def log(self, name: Name, message: str, /, *, level: str | None = None, **facts: str) -> None:
        """Write a log line and store nothing; from any thread."""
        fact = {"level": level or name.level, "name": name.name, "message": message, **facts}
        self.lines.write({"time": text_of_millis(self.clock()), **self._cleaned(fact)})

    def failed(self, what: str, error: Exception) -> None:
        """Log that `what` could not be recorded, if at least that is possible."""
        with contextlib.suppress(Exception):
            self.log(event_names.TELEMETRY_FAILED, f"{what} could not be recorded", error=failure.words(error))

    async def flush(self, journal: Journal) -> int:
        """Write the entries that wait; returns how many were written. Never raises an error of the journal."""
        try:
            flushed = await self._buffer.flush(journal)
        except Exception as error:  # shares its TaskGroup with what carries the conversions
            self.failed("the journal", error)
            return 0
        if flushed.dropped:
            message = f"{flushed.dropped} facts could not be stored; their log lines were written"
            self.record(event_names.JOURNAL_DROPPED, message, count=flushed.dropped)
        return flushed.written

    def _cleaned(self, facts: dict[str, Any]) -> dict[str, Any]:
        return {key: self._clean(key, value) for key, value in facts.items()}

    def _clean(self, key: str, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return self.redactor.identifier(value) if key in _IDENTIFIERS else self.redactor.text(value)


class _Part(Protocol):
    @property
    def recorder(self) -> Recorder: ...


P = ParamSpec("P")
S = TypeVar("S", bound=_Part)


def harmless(record: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """Keep an error while a fact is recorded from the work that the fact is about."""

    @functools.wraps(record)
    def guarded(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            record(self, *args, **kwargs)
        except Exception as error:
            self.recorder.failed(record.__name__, error)

    return guarded
