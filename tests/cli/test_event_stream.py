"""Server-sent events as lines."""

import pytest

from sidecar.cli.event_stream import StreamEvent, parse_events

CASES = [
    ([": still here", ""], []),
    (["id: 7", "data: {}", ""], [StreamEvent("{}", "7")]),
    (["data:{}", ""], [StreamEvent("{}")]),
    (["event: gap", 'data: {"missed": 3}', ""], [StreamEvent('{"missed": 3}', kind="gap")]),
    (["id: 1", "data: a", "", "data: b", ""], [StreamEvent("a", "1"), StreamEvent("b")]),
    (["id: 1", "data: broken off"], []),
    (["", "", "id: 1", ""], []),
]


@pytest.mark.parametrize(("lines", "found"), CASES)
def test_lines_become_events(lines: list[str], found: list[StreamEvent]) -> None:
    assert list(parse_events(lines)) == found
