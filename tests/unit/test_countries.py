"""A hint for a country is understood as forms, shops and other standards write it, or it is none."""

import phonenumbers
import pytest

from sidecar.core.intake.countries import COUNTRIES, country


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *((text, "DE") for text in ("DE", "de", "DE ", "\tDe\n", "\u200bDE\ufeff", "D\u00adE", "DEU", " deu ")),
        *((text, "GB") for text in ("GB", "UK", "uk", "GBR")),
        *((text, "GR") for text in ("GR", "EL", "el ", "GRC")),
        *((text, "XK") for text in ("XK", "xk", "XKX", "XKK")),
        ("USA", "US"),
        ("NO", "NO"),
    ],
)
def test_country_is_known_by_its_codes_and_by_what_else_is_written_for_it(written: str, meant: str) -> None:
    assert country(written) == meant


@pytest.mark.parametrize(
    "written", ["", " ", "D", "XX", "ZZ", "EU", "Germany", "DE-DE", "DEDE", "49", "\u0130T", "U" * 1_000_000]
)
def test_what_names_no_country_is_none(written: str) -> None:
    assert country(written) is None


def test_every_code_of_two_letters_has_one_of_three() -> None:
    assert len(COUNTRIES) == 250  # the 249 of ISO 3166-1, and Kosovo
    assert all(country(code) == code for code in COUNTRIES)


def test_every_country_with_a_numbering_plan_of_its_own_is_known() -> None:
    islands_that_iso_counts_to_others = {"AC", "TA"}
    assert set(phonenumbers.SUPPORTED_REGIONS) - COUNTRIES == islands_that_iso_counts_to_others
