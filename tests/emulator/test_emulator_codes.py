"""Two tables of Microsoft's error codes, written apart: they agree with each other, and both with Microsoft's list."""

from pathlib import Path

import pytest

from sidecar.emulator.error_codes import BY_NUMBER, BY_SYMBOL
from sidecar.microsoft.error_codes import TABLE

MADE_UP = 56_900
NOT_LISTED = {119: "InvalidAccountId"}
"""Seen in answers all the same: https://github.com/BingAds/BingAds-Python-SDK/issues/154"""

LIST = Path(__file__).parents[1] / "data" / "microsoft_error_codes.txt"
LINES = [line.split() for line in LIST.read_text().splitlines() if not line.startswith("#")]
LISTED = {(int(number), symbol) for number, symbol in LINES} | set(NOT_LISTED.items())
OURS = {(code.number, code.symbols[0]) for code in TABLE if code.number is not None}
THEIRS = {(number, code.symbol) for number, code in BY_NUMBER.items() if number < MADE_UP}


@pytest.mark.parametrize(("table", "codes"), [("the sidecar's", OURS), ("the emulator's", THEIRS)])
def test_each_number_has_the_symbol_of_microsofts_list(table: str, codes: set[tuple[int, str]]) -> None:
    assert codes - LISTED == set(), table


def test_no_symbol_of_microsofts_list_has_another_number_here() -> None:
    numbers = {symbol: {number for number, one in LISTED if one == symbol} for _, symbol in LISTED}
    everywhere = {(symbol, code.number) for code in TABLE for symbol in code.symbols}
    everywhere |= {(code.symbol, number) for number, code in BY_NUMBER.items()}
    assert {(symbol, number) for symbol, number in everywhere if symbol in numbers} == {
        (symbol, number) for symbol, number in everywhere if number in numbers.get(symbol, ())
    }


def test_every_listed_code_of_offline_conversions_is_known_to_both() -> None:
    offline = {(number, symbol) for number, symbol in LISTED if 5600 <= number < 5700}
    assert len(offline) == 28
    assert offline <= OURS
    assert offline <= THEIRS


def test_numbers_and_symbols_are_unique() -> None:
    assert len(BY_NUMBER) == len(BY_SYMBOL)


def test_sidecar_and_emulator_mean_the_same_code_by_a_symbol() -> None:
    ours = {symbol: code.number for code in TABLE for symbol in code.symbols}
    common = ours.keys() & BY_SYMBOL.keys()
    theirs = {symbol: BY_SYMBOL[symbol].number for symbol in common}
    published = {symbol: None if number > MADE_UP else number for symbol, number in theirs.items()}
    assert {symbol: ours[symbol] for symbol in common} == published


def test_sidecar_knows_every_error_that_the_emulator_gives_for_an_upload() -> None:
    known = {symbol for code in TABLE for symbol in code.symbols}
    uploads = {symbol for symbol, code in BY_SYMBOL.items() if code.number < 1500 or 5600 <= code.number < 5700}
    assert uploads - known == set()
