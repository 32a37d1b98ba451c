"""Parses server-sent events from the lines of a stream; what the events mean is the caller's matter.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event. `id` is None where the stream gave none, `kind` is `message` unless the event names another."""

    data: str
    id: str | None = None
    kind: str = "message"


def parse_events(lines: Iterable[str]) -> Iterator[StreamEvent]:
    """The events in `lines`, without comments and without a last event that lacks its blank line."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields:
            yield StreamEvent(fields["data"], fields.get("id"), fields.get("event", "message"))
        fields = {}
