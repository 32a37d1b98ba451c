"""Phone numbers: every vector, what must not come out, and what holds for any text."""

import hashlib

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.intake.hashing import phone_sha256
from sidecar.core.intake.phones import normalise

PHONE = "c59475d96e9f01d7d18d06cfad84dd02333207f02c0c2c5663ef2782cda0390e"
LONDON = "f0bf0228144d9fe2bdf1da2d8ca698f17bf1410ee688b075c27062e47b6f0b6d"
BERLIN = "a909469fabf3f43d0b7b6c42a85a6e7e8ceb36c7a2f0f1b9c15b80dc16384cb7"

PHONES = [
    ("+14255551234", None, "+14255551234", PHONE),
    ("+1 (425) 555-1234", None, "+14255551234", PHONE),
    ("(425) 555-1234", "US", "+14255551234", PHONE),
    ("1.425.555.1234", "US", "+14255551234", PHONE),
    ("+44 20 7946 0958", None, "+442079460958", LONDON),
    ("020 7946 0958", "GB", "+442079460958", LONDON),
    ("+44 (0)20 7946 0958", None, "+442079460958", LONDON),
    ("0044 (0) 20 7946 0958", None, "+442079460958", LONDON),
    ("(+44) 20 7946 0958", "US", "+442079460958", LONDON),
    ("(0)20 7946 0958", "GB", "+442079460958", LONDON),
    ("+4402079460958", None, "+442079460958", LONDON),
    ("0049 30 123456", None, "+4930123456", BERLIN),
    ("030 / 123456", "DE", "+4930123456", BERLIN),
    ("+49\u00a030\u2013123456\u200e", None, "+4930123456", BERLIN),
    ("+39 06 1234567", None, "+39061234567", "7d8923c780c57dd46ec29d2ba33afd31a571d7cea22c134d2c0a18ba897a9ad7"),
    ("+39 (0)6 1234567", None, "+39061234567", None),
    ("(0)6 1234567", "IT", "+39061234567", None),
    ("06 1234567", "IT", "+39061234567", None),
    ("011 44 20 7946 0958", "US", "+442079460958", LONDON),
    ("+1 425 555 1234 ext. 77", None, "+14255551234", PHONE),
    ("tel:+1-425-555-1234", None, "+14255551234", PHONE),
    ("＋１４２５５５５１２３４", None, "+14255551234", PHONE),
    ("+15550001111", None, "+15550001111", None),  # possible; whether it is assigned does not matter
]


@pytest.mark.parametrize(("written", "country", "normalised", "hashed"), PHONES)
def test_phone_becomes_e164_with_its_plus(
    written: str, country: str | None, normalised: str, hashed: str | None
) -> None:
    assert normalise(written, country) == normalised
    assert phone_sha256(written, country) == (hashed or hashlib.sha256(normalised.encode()).hexdigest())


@pytest.mark.parametrize(
    ("written", "country"),
    [
        ("425-555-1234", None),
        ("555-1234", "US"),  # can only be dialled within its town
        ("+1 425 555", None),
        ("+1 425 555 1234 5678", None),
        ("+999 12345678", None),
        ("+0 4255551234", None),
        ("+49 00 30 123456", None),  # two trunk zeros
        ("425-555-1234", "AQ"),
        ("call me", "US"),
        ("n/a", "US"),
        ("0", "US"),
        ("00", "US"),
        ("+", None),
        ("", "US"),
        ("   ", "US"),
        ("+1\ud800", None),
        ("1" * 10_000, "US"),
    ],
)
def test_number_that_is_not_possible_has_no_hash(written: str, country: str | None) -> None:
    assert normalise(written, country) is None
    assert phone_sha256(written, country) is None


@pytest.mark.parametrize(
    ("wrong_text", "wrong"),
    [
        ("+4402079460958", "4e2b154833817c3fa2d6332246c75f253043292a0edd90ae79e3147f15e9f036"),
        ("14255551234", "f8a0621a89b87b16447d34d2169bdba8e3eaae523b45df87d86108ee65bd1d6f"),
    ],
)
def test_trunk_zero_and_missing_plus_never_reach_a_hash(wrong_text: str, wrong: str) -> None:
    assert hashlib.sha256(wrong_text.encode()).hexdigest() == wrong
    assert wrong not in {phone_sha256(written, country) for written, country, _, _ in PHONES}


SUPPORTED = sorted(phonenumbers.SUPPORTED_REGIONS)


@pytest.mark.parametrize("region", SUPPORTED)
def test_every_countrys_own_example_survives_in_both_its_forms(region: str) -> None:
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    if number is None:
        number = phonenumbers.example_number(region)
    assert number is not None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    international = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    expected = e164 if len(e164) >= 9 else None  # the smallest islands' numbers are shorter than E.164's eight digits
    assert normalise(e164) == normalise(international) == expected
    assert normalise(national, region) == expected


WRITTEN_NUMBERS = st.one_of(
    st.text(),
    st.text(alphabet="+0123456789 ()-./", max_size=24),
    st.from_regex(r"\+[1-9][0-9]{6,15}", fullmatch=True),
    st.from_regex(r"\+[1-9][0-9]{0,2}0{1,3}[0-9]{6,12}", fullmatch=True),
)


@given(WRITTEN_NUMBERS, st.one_of(st.none(), st.sampled_from(SUPPORTED)))
def test_any_written_number_becomes_e164_or_is_refused(written: str, country: str | None) -> None:
    number = normalise(written, country)
    assert number is None or (number[0] == "+" and number[1:].isascii() and number[1:].isdigit() and len(number) <= 16)


@given(WRITTEN_NUMBERS, st.one_of(st.none(), st.sampled_from(SUPPORTED)))
def test_normalising_a_phone_twice_equals_normalising_it_once(written: str, country: str | None) -> None:
    once = normalise(written, country)
    assert once is None or normalise(once, country) == once
