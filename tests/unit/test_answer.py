"""Microsoft's own words are cleaned wherever they stand in an answer."""

import pytest

from sidecar.core.answer import Answer, Lost, RefusedBatch, Taken, Verdict, with_clean_words
from sidecar.core.entry import Dead, Fault, Hold, Retry
from sidecar.core.states_and_reasons import Reason

SAID = Fault("Symbol", 5610, "customer@example.com is wrong")
CLEAN = Fault("Symbol", 5610, "*** is wrong")
WORDLESS = Fault("Symbol", 5610)


def clean(text: str) -> str:
    return text.replace("customer@example.com", "***")


@pytest.mark.parametrize(
    ("said", "cleaned"),
    [
        (
            Taken(4, {1: Dead(SAID, ours=True), 2: Retry(SAID, known=False), 3: Dead(WORDLESS)}, "test-id"),
            Taken(4, {1: Dead(CLEAN, ours=True), 2: Retry(CLEAN, known=False), 3: Dead(WORDLESS)}, "test-id"),
        ),
        (
            RefusedBatch(Verdict.POISON, (SAID, WORDLESS), "poison", rows={3: Dead(SAID)}),
            RefusedBatch(Verdict.POISON, (CLEAN, WORDLESS), "poison", rows={3: Dead(CLEAN)}),
        ),
        (
            RefusedBatch(Verdict.POISON, (SAID,), "poison", hold=Hold(SAID, Reason.GOAL_NOT_FOUND)),
            RefusedBatch(Verdict.POISON, (CLEAN,), "poison", hold=Hold(CLEAN, Reason.GOAL_NOT_FOUND)),
        ),
        (Lost("no answer"), Lost("no answer")),
    ],
)
def test_words_of_microsoft_are_cleaned_and_all_else_stays(said: Answer, cleaned: Answer) -> None:
    assert with_clean_words(said, clean) == cleaned
