"""Server-sent events as lines."""

import pytest

from sidecar.cli.events import Event, events

CASES = [
    ([": still here", ""], []),
    (["id: 7", "data: {}", ""], [Event("{}", "7")]),
    (["data:{}", ""], [Event("{}")]),
    (["event: gap", 'data: {"missed": 3}', ""], [Event('{"missed": 3}', kind="gap")]),
    (["id: 1", "data: a", "", "data: b", ""], [Event("a", "1"), Event("b")]),
    (["id: 1", "data: broken off"], []),
    (["", "", "id: 1", ""], []),
]


@pytest.mark.parametrize(("lines", "found"), CASES)
def test_lines_become_events(lines: list[str], found: list[Event]) -> None:
    assert list(events(lines)) == found
