"""Server-sent events: from the lines of a stream to events. Knows nothing of what they are about.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event. `id` is None where the stream gave none, `kind` is `message` unless it says otherwise."""

    data: str
    id: str | None = None
    kind: str = "message"


def events(lines: Iterable[str]) -> Iterator[StreamEvent]:
    """The events in `lines`; one that breaks off before its blank line is none, and comments are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields:
            yield StreamEvent(fields["data"], fields.get("id"), fields.get("event", "message"))
        fields = {}
