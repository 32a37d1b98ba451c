"""One number, however it is written, is one hash; and a number that was right stays what it is."""

from collections.abc import Iterator
from functools import cache

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult

from sidecar.core.intake.phones import STEPS, normalise

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS - {"TA", "TK"})
"""All but two, of which no number can be as long as ours have to be."""

PERSONAL = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
DIALLING_OTHERWISE = ("AU", "BR", "CU", "HK", "ID", "JP", "KR", "NG", "RU", "SG", "TH", "US", "UY")
"""Countries whose prefix for calls abroad is not, or not only, 00."""

MOBILE = "+491715551234"
LONDON = "+442079460958"
MEXICO = "+525512345678"


@cache
def examples(region: str) -> list[PhoneNumber]:
    """One number of each type that the country has, as long as it can be dialled from elsewhere."""
    found = (phonenumbers.example_number_for_type(region, each) for each in PhoneNumberType.values())
    whole = [n for n in found if n and phonenumbers.is_valid_number(n)]
    possible = ValidationResult.IS_POSSIBLE
    return [n for n in whole if phonenumbers.is_possible_number_with_reason(n) == possible and len(e164(n)) >= 9]


def e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def written(number: PhoneNumber, region: str) -> Iterator[tuple[str, str | None]]:
    """The number in the ways that forms, address books and exports write it, with the country that came along."""
    plus = e164(number)
    spaced = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    yield from ((plus, None), (plus, region), (plus, "US"), (spaced, None), (spaced, region))
    yield phonenumbers.format_number(number, PhoneNumberFormat.RFC3966), None
    yield phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL), region
    yield from ((plus[1:], region), (spaced[1:], region))
    yield from ((f"00{plus[1:]}", None), (f"00{plus[1:]}", region), (f"00 {spaced[1:]}", "HK"))
    yield from ((f"+{plus}", None), (f"+00{plus[1:]}", region), (f"+{number.country_code}{plus}", region))
    for abroad in DIALLING_OTHERWISE:
        yield phonenumbers.format_out_of_country_calling_number(number, abroad), abroad


@pytest.mark.parametrize("region", REGIONS)
def test_number_of_every_type_is_the_same_in_all_its_forms(region: str) -> None:
    assert examples(region)
    for number in examples(region):
        for text, country in written(number, region):
            assert normalise(text, country) == e164(number), (text, country)


@pytest.mark.parametrize("region", REGIONS)
def test_trunk_zero_in_brackets_does_not_matter(region: str) -> None:
    for number in examples(region):
        national = phonenumbers.national_significant_number(number)
        begins = national.startswith("0")
        if phonenumbers.number_type(number) in PERSONAL and (not begins or region in {"IT", "VA", "SM"}):
            text = f"+{number.country_code} (0){national.removeprefix('0')}"
            assert normalise(text) == e164(number), text


@pytest.mark.parametrize("region", REGIONS)
def test_doubled_country_code_is_taken_once_unless_the_number_is_valid_as_written(region: str) -> None:
    for number in examples(region):
        code, plus = str(number.country_code), e164(number)
        as_it_stands = f"+{code}{plus[1:]}"
        for text, country in ((as_it_stands, None), (f"00{code}{plus[1:]}", None), (f"{code}{plus[1:]}", region)):
            stays = len(as_it_stands) <= 16 and phonenumbers.is_valid_number(phonenumbers.parse(as_it_stands))
            assert normalise(text, country) in ({plus, as_it_stands} if stays else {plus}), text
            if phonenumbers.number_type(number) == PhoneNumberType.MOBILE:
                assert normalise(text, country) == plus, text


SAME = [
    # the country's own code without a plus
    *((text, "DE", MOBILE) for text in ("49 171 5551234", "491715551234", "49 (0) 171 5551234", "(49) 171-5551234")),
    ("44 7911 123456", "GB", "+447911123456"),
    ("39 06 12345678", "IT", "+390612345678"),
    ("7 701 234 56 78", "KZ", "+77012345678"),
    ("0 49 171 5551234", "DE", MOBILE),
    # doubled
    *((text, None, MOBILE) for text in ("+49 49 171 5551234", "+49 49 0171 5551234", "0049 49 171 5551234")),
    *((text, None, MOBILE) for text in ("+49+49 171 5551234", "+490049 171 5551234", "++49 171 5551234")),
    *((text, "DE", MOBILE) for text in ("49 49 171 5551234", "4949 (0)171 5551234", "+49 49 49 171 5551234")),
    ("+49 49 30 123456", None, "+4930123456"),
    ("+44 44 20 7946 0958", "US", LONDON),
    ("+1 1 425 555 1234", None, "+14255551234"),
    # the country's own prefix for calls abroad
    ("001 65 6123 4567", "HK", "+6561234567"),
    ("00165 6123 4567", "HK", "+6561234567"),
    ("0011 44 20 7946 0958", "AU", LONDON),
    ("010 44 20 7946 0958", "JP", LONDON),
    ("8~10 44 20 7946 0958", "RU", LONDON),
    ("(011) 44 (0)20 7946 0958", "US", LONDON),
    ("011 39 (0)6 1234567", "US", "+39061234567"),
    ("00 66 61 684 0562", "TH", "+66616840562"),
    ("0066 61 684 0562", "TH", "+66616840562"),  # 006 is a prefix there, too
    # 00 where the country has another
    *((text, "US", LONDON) for text in ("0044 20 7946 0958", "00 44 (0)20 7946 0958")),
    ("00 852 2123 4567", "AU", "+85221234567"),
    # retired
    *((text, None, MEXICO) for text in ("+52 1 55 1234 5678", "+521 55 1234 5678", "0052 1 55 1234 5678")),
    *((text, None, MEXICO) for text in ("+52 044 55 1234 5678", "+52 (045) 55 1234 5678", "+52 01 55 1234 5678")),
    *((text, "MX", MEXICO) for text in ("044 55 1234 5678", "045 55 1234 5678", "01 (55) 1234-5678", "55 1234 5678")),
    *((text, "MX", MEXICO) for text in ("52 1 55 1234 5678", "52 55 1234 5678", "+52 52 1 55 1234 5678")),
    ("00 52 1 55 1234 5678", "DE", MEXICO),
    ("09 8765 4321", "CL", "+56987654321"),
    ("0 22 123 45 67", "PL", "+48221234567"),
    ("+48 (0)22 123 45 67", None, "+48221234567"),
    *((text, "AR", "+5491112345678") for text in ("011 15 1234-5678", "11 15 1234-5678", "+54 11 15 1234-5678")),
    # digits of other scripts, and what is not seen
    ("٠٠٤٩ ١٧١ ٥٥٥١٢٣٤", None, MOBILE),
    ("４９　１７１　５５５１２３４", "DE", MOBILE),
    ("+49\u2060171\u00ad555\ufe0f1234\U000e0020", None, MOBILE),
    ("+49 [0171] 555~1234", None, MOBILE),
]


@pytest.mark.parametrize(("text", "country", "number"), SAME)
def test_number_is_read_as_it_is_meant(text: str, country: str | None, number: str) -> None:
    assert normalise(text, country) == number


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("+49 4920 12345", None, "+49492012345"),  # an area code that looks like a doubled country code
        ("04920 12345", "DE", "+49492012345"),
        ("+46 46 812 34 56", None, "+46468123456"),  # Lund
        ("046-812 34 56", "SE", "+46468123456"),
        ("+55 55 99123-4567", None, "+5555991234567"),  # Santa Maria
        ("(55) 99123-4567", "BR", "+5555991234567"),
        ("+48 48 362 11 67", None, "+48483621167"),  # Radom
        ("48 362 11 67", "PL", "+48483621167"),
        ("+36 36 123 456", None, "+3636123456"),  # Eger
        ("+62 627 5664134", None, "+626275664134"),  # longer than usual, and too short without its first 62
        ("393 123 4567", "IT", "+393931234567"),  # a mobile, though 39 is Italy's code
        ("91234 56789", "IN", "+919123456789"),
        ("+39 (0)31 234567", None, "+39031234567"),
        ("+39 (0)333 1234567", None, "+393331234567"),
        ("1 425 555 1234", "MX", None),
        ("1 55 1234 5678", "MX", None),  # a number of the United States, or of Mexico before 2019
        ("+1 425 555 1234 / +1 425 555 9999", None, None),
        ("49 171 5551234", None, None),
        ("49 171 5551234", "US", None),
        ("49 171 5551234", "AQ", None),
        ("+49 49 49 49 171 5551234", None, None),
        ("+" * 300, None, None),
        (" (-" * 100 + "001", None, None),
        ("1" * 10_000, "US", None),
    ],
)
def test_what_only_looks_like_a_slip_is_left_alone(text: str, country: str | None, number: str | None) -> None:
    assert normalise(text, country) == number


CODES = sorted({str(phonenumbers.country_code_for_region(region)) for region in REGIONS})
WRITTEN = st.lists(
    st.sampled_from(["+", "0", "00", "(0)", "011", "001", "15", "044", " ", *CODES]) | st.from_regex(r"[0-9]{1,8}"),
    max_size=8,
).map("".join)


@given(WRITTEN, st.none() | st.sampled_from(REGIONS))
def test_number_that_came_out_is_itself_when_it_is_read_again(text: str, country: str | None) -> None:
    once = normalise(text, country)
    assert once is None or normalise(once) == normalise(once, country) == once


@given(WRITTEN | st.text(max_size=40), st.none() | st.sampled_from(REGIONS))
def test_steps_lead_to_the_number(text: str, country: str | None) -> None:
    shown = text
    for _, step in STEPS:
        shown = step(shown, country)
    assert (shown or None) == normalise(text, country)


@pytest.mark.parametrize("letter", [chr(code) for code in range(128)])
def test_only_blanks_and_these_signs_separate_in_ascii(letter: str) -> None:
    _, first = STEPS[0]
    separates = letter.isspace() or letter in "./[]~-()"
    assert first(f"+1425{letter}5551234", None) == f"+1425{'' if separates else letter}5551234"
