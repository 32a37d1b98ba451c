"""E-mail, phone and click id: every vector, what must not come out, and what holds for any text."""

import hashlib
from collections.abc import Callable

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.intake import identity

JOHN = "ec81f3ac7b2b19675bab9d54cf416f9f18cff87c97da5cca82c0f0891bc40602"
PHONE = "c59475d96e9f01d7d18d06cfad84dd02333207f02c0c2c5663ef2782cda0390e"
LONDON = "f0bf0228144d9fe2bdf1da2d8ca698f17bf1410ee688b075c27062e47b6f0b6d"
BERLIN = "a909469fabf3f43d0b7b6c42a85a6e7e8ceb36c7a2f0f1b9c15b80dc16384cb7"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

# --- E-mail ----------------------------------------------------------------------------------------------------------

MUNICH = (
    *(
        "münchen.example",
        "MÜNCHEN.example",
        "mu\u0308nchen.example",
        "xn--mnchen-3ya.example",
        "XN--MNCHEN-3YA.Example",
    ),
    *("münchen。example", "münchen．example", "ｍüｎｃｈｅｎ.example", "mün\u200bchen.example", " münchen . example "),
)
"""One domain."""

EMAILS = [
    ("john@contoso.com", "john@contoso.com", JOHN),
    (
        "  Jane.Doe+Shopping@Contoso.com ",
        "janedoe@contoso.com",
        "62a8040a00736e70808e43009b5c63c4f6229ced98f486d0968441b292b9858a",
    ),
    (
        "ex.ample@outlook.com",
        "example@outlook.com",
        "e2e7dbfa5e7b07f94e15295f700a2a9b486799848797cf3e0ddeae7425862f93",
    ),
    (
        "name+withplus@outlook.com",
        "name@outlook.com",
        "62de920b6b0a90e990ad75450ee49bd908958c81185bf57489a090179dadedec",
    ),
    ("j.o.h.n+x+y@contoso.com", "john@contoso.com", JOHN),
    (
        "José.Pérez@contoso.com",
        "joseperez@contoso.com",
        "dad66209ebb22debf12f38e71d04d91d7e9d9d43ec98336d6fe96ece1889a985",
    ),
    (
        "john@mail.contoso.co.uk",
        "john@mail.contoso.co.uk",
        "78b066dc02c9cf565d722208efd17655376750468a3d2fde785e9a6c29cbb909",
    ),
    ("Jose\u0301.Pe\u0301rez@contoso.com", "joseperez@contoso.com", None),
    ("jo hn\t@ contoso .com\u00a0", "john@contoso.com", None),
    ("john＠contoso．com", "john@contoso.com", None),  # typed with an East Asian keyboard
    ("o'hara_1-2@x-y.example", "o'hara_1-2@x-y.example", None),
    ("\ufeffjo\u200bhn\u00ad@con\u2060toso.c\u034fom\u3164", "john@contoso.com", JOHN),
    *((f"john@{domain}", "john@xn--mnchen-3ya.example", None) for domain in MUNICH),
    ("José@josé.example", "jose@xn--jos-dma.example", None),
    ("john@straße.example", "john@xn--strae-oqa.example", None),
    ("john@例え.テスト", "john@xn--r8jz45g.xn--zckzah", None),
    ("john@мойдомен.рф", "john@xn--d1acklchcc.xn--p1ai", None),
]


@pytest.mark.parametrize(("written", "normalised", "hashed"), EMAILS)
def test_email_is_normalised_and_hashed_as_microsoft_does(written: str, normalised: str, hashed: str | None) -> None:
    assert identity.email(written) == normalised
    assert identity.email_sha256(written) == (hashed or hashlib.sha256(normalised.encode()).hexdigest())


@pytest.mark.parametrize(
    "written",
    [
        "john@contoso",
        "@contoso.com",
        ".@contoso.com",
        "+x@contoso.com",
        "john@contoso.com.",
        "john@.com",
        "john@contoso..com",
        "a@b@contoso.com",
        "a+b@c@contoso.com",
        "contoso.com",
        "John <john@contoso.com>",
        "john@contoso.com, jane@contoso.com",
        "straße@contoso.com",
        "søren@contoso.com",
        "john@-münchen.example",
        "john@mün@chen.example",
        "john@münchen..example",
        "john@münchen",
        "john@münchen.example.",
        "john@mün_chen.example",
        "john@❤.example",
        "john@\u0301a.example",
        f"john@{'ü' * 64}.example",
        f"john@{'ü' * 300}",
        "中文@contoso.com",
        "иван@contoso.com",
        "john\x00@contoso.com",
        "\ud800@contoso.com",
        "@",
        "n/a",
        "",
        "   ",
        EMPTY,
        "a" * 310 + "@contoso.com",
    ],
)
def test_text_that_is_no_address_has_no_hash(written: str) -> None:
    assert identity.email(written) is None
    assert identity.email_sha256(written) is None


def test_dots_and_plus_go_in_every_domain_unlike_googles_rule() -> None:
    wrong = "d4a9fb564365bc6e6acc34b5eb4c22aef2e0850fec218ed9070e66b085323e41"
    assert hashlib.sha256(b"jane.doe+shopping@contoso.com").hexdigest() == wrong
    assert identity.email_sha256("  Jane.Doe+Shopping@Contoso.com ") != wrong


def test_hash_in_place_of_a_plain_identifier_is_not_hashed_again() -> None:
    assert identity.email_sha256(JOHN.upper()) == JOHN
    assert identity.phone_sha256(PHONE.upper(), "US") == PHONE


@given(st.one_of(st.text(), st.emails(), st.builds("{}@{}.com".format, st.text(min_size=1), st.text(min_size=1))))
def test_normalising_an_email_twice_equals_normalising_it_once(written: str) -> None:
    once = identity.email(written)
    assert once is None or identity.email(once) == once


@given(st.emails(), st.text(alphabet=" \t\r\n\u00a0\u3000", max_size=3))
def test_case_and_blanks_around_an_email_do_not_matter(address: str, blanks: str) -> None:
    assert identity.email_sha256(blanks + address.upper() + blanks) == identity.email_sha256(address)


# --- Phone -----------------------------------------------------------------------------------------------------------

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
    ("+15550001111", None, "+15550001111", None),  # possible; that nobody has it is not our matter
]


@pytest.mark.parametrize(("written", "country", "normalised", "hashed"), PHONES)
def test_phone_becomes_e164_with_its_plus(
    written: str, country: str | None, normalised: str, hashed: str | None
) -> None:
    assert identity.phone(written, country) == normalised
    assert identity.phone_sha256(written, country) == (hashed or hashlib.sha256(normalised.encode()).hexdigest())


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
    assert identity.phone(written, country) is None
    assert identity.phone_sha256(written, country) is None


@pytest.mark.parametrize(
    ("wrong_text", "wrong"),
    [
        ("+4402079460958", "4e2b154833817c3fa2d6332246c75f253043292a0edd90ae79e3147f15e9f036"),
        ("14255551234", "f8a0621a89b87b16447d34d2169bdba8e3eaae523b45df87d86108ee65bd1d6f"),
    ],
)
def test_trunk_zero_and_missing_plus_never_reach_a_hash(wrong_text: str, wrong: str) -> None:
    assert hashlib.sha256(wrong_text.encode()).hexdigest() == wrong
    assert wrong not in {identity.phone_sha256(written, country) for written, country, _, _ in PHONES}


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
    assert identity.phone(e164) == identity.phone(international) == expected
    assert identity.phone(national, region) == expected


WRITTEN_NUMBERS = st.one_of(
    st.text(),
    st.text(alphabet="+0123456789 ()-./", max_size=24),
    st.from_regex(r"\+[1-9][0-9]{6,15}", fullmatch=True),
    st.from_regex(r"\+[1-9][0-9]{0,2}0{1,3}[0-9]{6,12}", fullmatch=True),
)


@given(WRITTEN_NUMBERS, st.one_of(st.none(), st.sampled_from(SUPPORTED)))
def test_whatever_is_written_comes_out_as_e164_or_not_at_all(written: str, country: str | None) -> None:
    number = identity.phone(written, country)
    assert number is None or (number[0] == "+" and number[1:].isascii() and number[1:].isdigit() and len(number) <= 16)


@given(WRITTEN_NUMBERS, st.one_of(st.none(), st.sampled_from(SUPPORTED)))
def test_normalising_a_phone_twice_equals_normalising_it_once(written: str, country: str | None) -> None:
    once = identity.phone(written, country)
    assert once is None or identity.phone(once, country) == once


# --- Click id --------------------------------------------------------------------------------------------------------

CLICK = "f894f652ea334e739002f7167ab8f8e3"
DASHED = "f894f652-ea33-4e73-9002-f7167ab8f8e3"


@pytest.mark.parametrize(
    "written",
    [CLICK, DASHED, f"_uet{CLICK}", f"_uet{DASHED}", f" {CLICK}\n"]
    + [f"{id_}{suffix}" for id_ in (CLICK, DASHED) for suffix in ("-0", "-1", "N", "0N", "1N", "-0N", "-1N")],
)
def test_click_id_is_the_same_in_all_its_forms(written: str) -> None:
    assert identity.click_id(written) == CLICK


@pytest.mark.parametrize("id_", [CLICK.upper(), "F894f652eA334e739002f7167ab8f8E3", "01234567890123456789012345678901"])
def test_click_id_keeps_its_case_and_any_bits(id_: str) -> None:
    assert identity.click_id(id_) == id_


@pytest.mark.parametrize(
    "written",
    [
        *("", "N", CLICK[:-1], CLICK + "0", CLICK + "-2", CLICK + "n", "g" + CLICK[1:], f"uet{CLICK}", CLICK * 2),
        *(DASHED[:-1], "f894-f652ea334e739002f7167ab8f8e3", "{" + DASHED + "}", "٠" * 32, "Example-123"),
    ],
)
def test_anything_else_is_no_click_id(written: str) -> None:
    assert identity.click_id(written) is None


@given(st.from_regex(r"[0-9A-Fa-f]{32}", fullmatch=True), st.sampled_from(["{}", "_uet{}", "{}-1", "{}N", " {}"]))
def test_canonical_form_of_any_click_id_is_stable(id_: str, form: str) -> None:
    assert identity.click_id(form.format(id_)) == identity.click_id(id_) == id_


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"https://shop.example/?msclkid={CLICK}", [CLICK]),
        (f"https://shop.example/p?a=1&msclkid={CLICK}&b=2#top", [CLICK]),
        (f"/p?MSCLKID={CLICK}", [CLICK]),
        (f"https://shop.example/?msclkid=%66{CLICK[1:]}", [CLICK]),
        (f"https://shop.example/?msclkid=old&x=1&msclkid={CLICK}", ["old", CLICK]),
        ("https://shop.example/?msclkid=", []),
        ("https://shop.example/?msclkid", []),
        (f"https://shop.example/?notmsclkid={CLICK}", []),
        (f"https://shop.example/#msclkid={CLICK}", []),
        (f"https://shop.example/#/?msclkid={CLICK}", []),
        ("https://[broken/?msclkid=%zz%ff", ["%zz\ufffd"]),
        ("https://shop.example/", []),
        ("", []),
    ],
)
def test_click_ids_come_out_of_a_landing_url_decoded(url: str, expected: list[str]) -> None:
    assert identity.click_ids_in(url) == expected


# --- Hashes ----------------------------------------------------------------------------------------------------------


def test_hash_of_the_empty_text_is_refused() -> None:
    assert identity.EMPTY_SHA256 == EMPTY
    with pytest.raises(ValueError, match="must not be sent"):
        identity.sha256("")
    assert identity.given_sha256(EMPTY) is None
    assert identity.given_sha256(EMPTY.upper()) is None


@pytest.mark.parametrize("hash_of", [identity.email_sha256, identity.phone_sha256])
@given(text=st.text())
def test_no_text_ever_gives_the_hash_of_the_empty_one(hash_of: Callable[[str], str | None], text: str) -> None:
    assert hash_of(text) != EMPTY
