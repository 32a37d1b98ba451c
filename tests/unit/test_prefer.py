"""Which answers the Prefer header asks for."""

import pytest

from sidecar.api.request.prefer import wants_minimal


@pytest.mark.parametrize(
    "values",
    [
        ["return=minimal"],
        ["Return = Minimal"],
        ['return="minimal"'],
        ["return=minimal; foo=bar"],
        ["respond-async, wait=10, return=minimal"],
        ["respond-async", "return=minimal"],
        ["return=minimal, return=representation"],
        ['note="a, return=representation", return=minimal'],
    ],
)
def test_short_answer_is_asked_for(values: list[str]) -> None:
    assert wants_minimal(values)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        ["minimal"],
        ["return"],
        ["return=representation"],
        ["return=representation, return=minimal"],
        ["return=representation", "return=minimal"],
        ["x-return=minimal"],
        ["wait=10; return=minimal"],
        ['note="a, return=minimal"'],
        [",;=" * 2_000],
        ['"' * 8_000],
    ],
)
def test_anything_else_asks_for_the_whole_answer(values: list[str]) -> None:
    assert not wants_minimal(values)
