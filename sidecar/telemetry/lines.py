"""Log lines: one fact as one line, as JSON or for people, and no line below the wanted level."""

from collections.abc import Mapping
from typing import Any

import structlog

from sidecar.telemetry.event_names import LEVELS, LINES_DROPPED
from sidecar.telemetry.output import Output
from sidecar.telemetry.redact import one_line

_RENDERERS: Mapping[str, Any] = {
    # ASCII only: U+2028 and its like end a line for some readers.
    "json": structlog.processors.JSONRenderer(ensure_ascii=True, default=str),
    "console": structlog.dev.ConsoleRenderer(
        colors=False, sort_keys=False, event_key="message", timestamp_key="time", pad_event_to=0
    ),
}


class Lines:
    """Writes facts that were cleaned already; `write` never blocks and may be called from any thread."""

    def __init__(self, fd: int, level: str, format_: str) -> None:
        self._output = Output(fd, self._dropped)
        self.configure(level, format_)

    def configure(self, level: str, format_: str) -> None:
        """Set the lowest level that is written, and the form: `json` or `console`."""
        self._least = LEVELS[level]
        self._renderer = _RENDERERS[format_]

    def writes(self, level: str) -> bool:
        """Whether lines of that level are written."""
        return LEVELS[level] >= self._least

    def write(self, fact: Mapping[str, Any]) -> None:
        """Write one line, if its level is high enough. `fact` has at least level, name and message."""
        if self.writes(fact["level"]):
            self._output.put(self._render(fact))

    def close(self) -> None:
        """Write what waits, for one second at most."""
        self._output.close()

    def _render(self, fact: Mapping[str, Any]) -> str:
        return one_line(str(self._renderer(None, fact["level"], dict(fact))))

    def _dropped(self, n: int) -> str:
        message = f"{n} log lines were dropped: they were not read from stdout in time"
        name = LINES_DROPPED
        return self._render({"level": name.level, "name": name.name, "message": message, "count": n})
