"""How a fact is recorded: cleaned once, then a line to stdout and, where its name says so, an entry of the journal.

Which facts there are is for `telemetry` to say.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Collection
from dataclasses import asdict, replace
from typing import Any, Concatenate, ParamSpec, TypeVar

from sidecar import loops
from sidecar.core.instant import UnixMillis, text_of_millis
from sidecar.ports.journal import Journal, JournalEntry
from sidecar.ports.queries import UnstoredItems
from sidecar.telemetry import failure, names
from sidecar.telemetry.board import Board
from sidecar.telemetry.followers import Followers
from sidecar.telemetry.gather import Aggregator
from sidecar.telemetry.keeping import JournalBuffer
from sidecar.telemetry.libraries import led_into
from sidecar.telemetry.lines import Lines
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.names import Name
from sidecar.telemetry.redact import Redactor
from sidecar.telemetry.trace_buffer import TraceBuffer

FLUSH_SECONDS = 0.5
"""How often facts are written to the journal: one fsync for all that came meanwhile."""

LAST_FLUSH_SECONDS = 2.0

_IDENTIFIERS = frozenset(("account", "conversion_id", "order_id", "tracking_id"))

P = ParamSpec("P")
R = TypeVar("R", bound="Recorder")


def harmless(told: Callable[Concatenate[R, P], None]) -> Callable[Concatenate[R, P], None]:
    """What goes wrong while something is told must never touch the work that it tells of."""

    @functools.wraps(told)
    def guarded(self: R, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            told(self, *args, **kwargs)
        except Exception as error:
            self.failed(told.__name__, error)

    return guarded


class Recorder:
    """Takes facts from the loop's thread, those of libraries from any. `run` brings them into the journal."""

    def __init__(
        self, clock: Callable[[], UnixMillis], *, level: str = names.INFO, form: str = "json", fd: int = 1
    ) -> None:
        self.board = Board()
        self.metrics = Metrics()
        self.followers = Followers()
        self.goal_of: Callable[[str, str], str | None] = lambda account, event: None
        """The goal that an account's event is mapped to now; None where one of them left the configuration."""
        self._clock = clock
        self._token_expires_at: UnixMillis | None = None
        self.metrics.token_expires_seconds.set_function(self._token_seconds)
        self._redactor = Redactor()
        self._lines = Lines(fd, level, form)
        self._gathering = Aggregator()
        self._refused_orders: dict[str, list[str]] = {}
        """By code, some order ids of what was refused and not yet told; as bounded as the codes that are gathered."""
        self._keeping = JournalBuffer(self.followers)
        self.traces = TraceBuffer()
        self._stop = asyncio.Event()
        self._ending = False

    def hide(self, *secrets: str) -> None:
        """Mask these values wherever they occur from now on."""
        self._redactor.hide(secrets)

    def cleaned(self, text: str) -> str:
        """A text of others as it may be kept and shown: persons and secrets masked, on one line."""
        return self._redactor.text(text)

    def configure(self, level: str, form: str) -> None:
        """Change what goes to stdout and how; the journal keeps what it keeps."""
        self._lines.configure(level, form)

    def serves(self, accounts: Collection[str]) -> None:
        """These accounts are configured now: as soon as there are several, troubles name theirs."""
        self.board.serves(accounts)

    def library_logs(self) -> contextlib.AbstractContextManager[None]:
        """While this lasts the warnings of libraries are lines like all others, their secrets masked."""
        return led_into(self._library)

    async def run(self, journal: Journal, unstored: UnstoredItems | None = None) -> None:
        """Write what was told into `journal`, and traces to `unstored`, until `stop`; then the rest, and return."""
        while not self._stop.is_set():
            await self.flush(journal, unstored)
            await loops.wait_for(self._stop, FLUSH_SECONDS)
        self._gather(last=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_FLUSH_SECONDS):
                await self._write(journal)
                await self._write_traces(unstored)
        self.followers.close()

    async def flush(self, journal: Journal, unstored: UnstoredItems | None = None) -> None:
        """Write what was told so far."""
        self._gather(last=False)
        await self._write(journal)
        await self._write_traces(unstored)
        if self._ending:
            self.followers.close()

    def stop(self) -> None:
        """End `run`."""
        self._stop.set()

    def close(self) -> None:
        """Write the last lines to stdout, for one second at most."""
        self._lines.close()

    def failed(self, what: str, error: Exception) -> None:
        """`what` could not be recorded: say so, if at least that is possible."""
        with contextlib.suppress(Exception):
            self._line(names.TELEMETRY_FAILED, f"{what} could not be recorded", error=failure.words(error))

    def _tell(self, name: Name, message: str, /, *, level: str | None = None, also: Any = None, **facts: Any) -> None:
        """Record one fact. `facts` are fields of a JournalEntry; `also` holds what only the log line carries."""
        level = level or name.level
        if not (name.kept or self._lines.writes(level)):
            return
        entry = JournalEntry(time=self._clock(), level=level, name=name.name, message=message, **facts)
        entry = replace(entry, **self._cleaned(asdict(entry)))
        if name.kept:
            self._keeping.put(entry)
        self._lines.write(_line_of(entry) | self._cleaned(also or {}))

    def _line(self, name: Name, message: str, /, **facts: str) -> None:
        """A log line alone; from any thread."""
        fact = {"level": name.level, "name": name.name, "message": message, **facts}
        self._lines.write({"time": text_of_millis(self._clock()), **self._cleaned(fact)})

    def _cleaned(self, facts: dict[str, Any]) -> dict[str, Any]:
        return {key: self._clean(key, value) for key, value in facts.items()}

    def _clean(self, key: str, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return self._redactor.identifier(value) if key in _IDENTIFIERS else self._redactor.text(value)

    def _before_flush(self, *, last: bool) -> None:
        """For facts that are gathered first."""

    def _storage_wrote(self) -> None:
        """For what is over once the journal could be written."""

    @harmless
    def _gather(self, *, last: bool) -> None:
        self._before_flush(last=last)

    async def _write(self, journal: Journal) -> None:
        try:
            flushed = await self._keeping.flush(journal)
            if flushed.written:
                self._storage_wrote()
            if flushed.dropped:
                message = f"{flushed.dropped} facts could not be kept: storage did not take them; stdout had them"
                self._tell(names.JOURNAL_DROPPED, message, count=flushed.dropped)
        except Exception as error:  # `run` shares its TaskGroup with what carries the conversions
            self.failed("the journal", error)

    async def _write_traces(self, unstored: UnstoredItems | None) -> None:
        if unstored is None:
            return
        try:
            if dropped := await self.traces.flush(unstored):
                self._gathering.add(names.TRACES_DROPPED.name, "more came than can be kept", dropped, self._clock())
        except Exception as error:
            self.failed("traces", error)

    @property
    def signed_in_until(self) -> UnixMillis | None:
        """When the access token expires; None where there is none."""
        return self._token_expires_at

    def _token_seconds(self) -> float:
        expires_at = self._token_expires_at
        return 0.0 if expires_at is None else max(0.0, (expires_at - self._clock()) / 1000)

    def _library(self, level: str, logger: str, message: str, error: BaseException | None) -> None:
        facts = {} if error is None else {"error": failure.words(error), "traceback": failure.place(error)}
        self._line(replace(names.LIBRARY, level=level), message, logger=logger, **facts)


def _line_of(entry: JournalEntry) -> dict[str, Any]:
    """The fields of a log line, which are those of /logs."""
    fields = {key: value for key, value in asdict(entry).items() if value is not None}
    return fields | {"time": text_of_millis(entry.time)}
