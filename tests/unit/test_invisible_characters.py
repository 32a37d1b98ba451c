"""Invisible characters are removed, and nothing else is."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.intake.invisible_characters import without_invisible, without_whitespace

EVERY = [chr(code) for code in range(sys.maxunicode + 1)]
FORMAT = [letter for letter in EVERY if unicodedata.category(letter) == "Cf"]
BLANK = [letter for letter in EVERY if letter.isspace() or unicodedata.category(letter) in {"Zs", "Zl", "Zp"}]


def test_every_format_character_and_every_blank_is_taken_out() -> None:
    assert len(FORMAT) > 150 and len(BLANK) > 20
    for letter in (*FORMAT, *BLANK):
        assert without_whitespace(f"a{letter}b") == "ab", hex(ord(letter))


@pytest.mark.parametrize("letter", ["\u115f", "\u3164", "\uffa0", "\u2800", "\u034f", "\ufe0f", "\U000e0020"])
def test_what_only_looks_like_nothing_is_taken_out_too(letter: str) -> None:
    assert without_whitespace(f"a{letter}b") == "ab"


def test_blanks_stay_where_only_the_invisible_is_taken_out() -> None:
    assert without_invisible("a\u200b \u00a0\ufeffb") == "a \u00a0b"


SEEN = st.characters(categories=["L", "Mc", "N", "P", "S"], exclude_characters="\u115f\u1160\u2800\u3164\uffa0")


@given(st.text(alphabet=SEEN))
def test_letters_digits_and_signs_stay(text: str) -> None:
    assert without_whitespace(text) == without_invisible(text) == text
