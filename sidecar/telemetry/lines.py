"""Log lines: one fact as one line, as JSON or for people, and no line below the wanted level."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from sidecar.telemetry.event_names import LEVELS, LINES_DROPPED
from sidecar.telemetry.output import Output
from sidecar.telemetry.redact import one_line

Fact = Mapping[str, Any]
Renderer = Callable[[Fact], str]


def _as_json(fact: Fact) -> str:
    # ASCII only: U+2028 and its like end a line for some readers.
    return json.dumps(dict(fact), ensure_ascii=True, default=str)


def _for_people() -> Renderer:
    from structlog.dev import ConsoleRenderer  # it may bring rich: 4 MiB that lines of JSON do not need

    render = ConsoleRenderer(colors=False, sort_keys=False, event_key="message", timestamp_key="time", pad_event_to=0)
    return lambda fact: str(render(None, fact["level"], dict(fact)))


class Lines:
    """Writes facts that were cleaned already; `write` never blocks and may be called from any thread."""

    def __init__(self, fd: int, level: str, format_: str) -> None:
        self._output = Output(fd, self._dropped)
        self.configure(level, format_)

    def configure(self, level: str, format_: str) -> None:
        """Set the lowest level that is written, and the form: `json` or `console`."""
        self._least = LEVELS[level]
        self._renderer = _as_json if format_ == "json" else _for_people()

    def writes(self, level: str) -> bool:
        """Whether lines of that level are written."""
        return LEVELS[level] >= self._least

    def write(self, fact: Fact) -> None:
        """Write one line, if its level is high enough. `fact` has at least level, name and message."""
        if self.writes(fact["level"]):
            self._output.put(self._render(fact))

    def close(self) -> None:
        """Write what waits, for one second at most."""
        self._output.close()

    def _render(self, fact: Fact) -> str:
        return one_line(self._renderer(fact))

    def _dropped(self, n: int) -> str:
        message = f"{n} log lines were dropped: they were not read from stdout in time"
        name = LINES_DROPPED
        return self._render({"level": name.level, "name": name.name, "message": message, "count": n})
