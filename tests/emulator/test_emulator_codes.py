"""Two tables of Microsoft's error codes, written apart: where they name the same thing they must agree."""

from sidecar.emulator.codes import BY_NUMBER, BY_SYMBOL
from sidecar.microsoft.faults import TABLE

MADE_UP = 56_900


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
