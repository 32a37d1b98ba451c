"""docs/reliability.md has a section for each promise: its sentence, its tests or that there are none, its last line."""

import pytest
from promise_page import LINE, NAMES, NO_TEST, PAGE, SECTION, marked_tests
from promises import BY_ID, PROMISES, Promise

TEXT = PAGE.read_text()
SECTIONS = dict(SECTION.findall(TEXT))
LINES = dict(LINE.findall(TEXT))
TESTS = marked_tests()


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.id)
def test_promise_has_its_sentence_and_its_tests_or_says_that_there_are_none(promise: Promise) -> None:
    section = SECTIONS[promise.id]
    assert section.split("\n")[0] == promise.sentence
    assert set(NAMES.findall(section)) == TESTS.get(promise.id, set())
    if promise.id in TESTS:
        assert NAMES.findall(section)
    else:
        assert (promise.elsewhere or NO_TEST) in " ".join(section.split()).lower().replace(NO_TEST.lower(), NO_TEST)


def test_last_lines_are_of_promises_that_are_kept_or_have_no_test_or_cannot_be_tested_here() -> None:
    assert set(LINES) == set(BY_ID)
    for promise_id, line in LINES.items():
        promise = BY_ID[promise_id]
        assert f" {promise.sentence} | " in line
        assert f"target: {promise.target}" in line
        assert line.startswith("kept" if promise.id in TESTS else "not here" if promise.elsewhere else "NOT SHOWN")
