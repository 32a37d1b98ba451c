"""What a conversion says of who: click id, landing URL and user, taken, refused and warned of."""

from dataclasses import replace
from typing import Any

import pytest
from intake_kit import CLICK, EMPTY, JOHN, OTHER_CLICK, PHONE, RULES, accepted, problems, reading, warned

from sidecar.core.intake.conversion import Skipped

# --- msclkid, landing_url --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [CLICK, f"_uet{CLICK}", f"{CLICK}-1", f"{CLICK}N", f" {CLICK} "])
def test_click_id_is_taken_in_all_its_forms(written: str) -> None:
    assert accepted(msclkid=written).msclkid == CLICK


@pytest.mark.parametrize(
    ("written", "code"), [(CLICK[1:], "invalid_msclkid"), ("N", "invalid_msclkid"), (7, "not_text")]
)
def test_anything_else_is_a_problem(written: Any, code: str) -> None:
    assert problems(msclkid=written) == [("msclkid", code)]


@pytest.mark.parametrize(
    "url",
    [
        f"https://shop.example/?a=1&msclkid={OTHER_CLICK}#x",
        f"https://shop.example/?msclkid={CLICK}&msclkid={OTHER_CLICK}",
        f"https://shop.example/?msclkid={OTHER_CLICK}&msclkid=Example-123",
    ],
)
def test_click_id_is_taken_from_the_landing_url_the_last_usable_one(url: str) -> None:
    assert accepted(msclkid=None, landing_url=url).msclkid == OTHER_CLICK


def test_msclkid_wins_over_the_landing_url() -> None:
    assert accepted(landing_url=f"https://shop.example/?msclkid={OTHER_CLICK}").msclkid == CLICK
    assert accepted(landing_url="https://shop.example/?msclkid=broken").msclkid == CLICK


def test_landing_url_without_click_id_counts_as_absent() -> None:
    result = reading(msclkid=None, landing_url="https://shop.example/")
    assert result == Skipped("no_identifier", "purchase")


def test_landing_url_with_a_broken_click_id_is_left_out_with_a_warning() -> None:
    conversion, warnings = warned(
        msclkid=None, landing_url="https://shop.example/?msclkid=1", user={"email_sha256": JOHN}
    )
    assert conversion.msclkid is None
    assert warnings == [("click_id_unusable", "landing_url")]


# --- user ------------------------------------------------------------------------------------------------------------


def test_plain_and_hashed_identifiers_come_to_the_same() -> None:
    plain = accepted(user={"email": "John@contoso.com", "phone": "+1 425 555 1234"})
    hashed = accepted(user={"email_sha256": JOHN.upper(), "phone_sha256": PHONE})
    assert plain == hashed == accepted(user={"email": "john@contoso.com", "email_sha256": JOHN, "phone_sha256": PHONE})
    assert plain.content() == hashed.content()


@pytest.mark.parametrize("around", ["{}", " {}\n", "\ufeff{}", "{}\u200b\u00a0"])
def test_extra_characters_around_a_pasted_identifier_do_not_count(around: str) -> None:
    written = {"email": "john@contoso.com", "phone": "+14255551234", "email_sha256": JOHN, "phone_sha256": PHONE}
    pasted = {name: around.format(text) for name, text in written.items()}
    assert accepted(user=pasted) == accepted(user=written)
    assert accepted(user={"email": pasted["email_sha256"], "phone": pasted["phone_sha256"]}) == accepted(user=written)
    assert accepted(msclkid=around.format(CLICK)) == accepted(msclkid=CLICK)


def test_both_forms_that_disagree_are_a_problem() -> None:
    user = {"email": "jane@contoso.com", "email_sha256": JOHN, "phone": "+14255551235", "phone_sha256": PHONE}
    assert problems(user=user) == [("user.email_sha256", "hash_mismatch"), ("user.phone_sha256", "hash_mismatch")]


def test_unusable_plain_identifiers_are_left_out_with_a_warning() -> None:
    conversion, warnings = warned(user={"email": "john@contoso", "phone": "12"})
    assert (conversion.email_sha256, conversion.phone_sha256) == (None, None)
    assert warnings == [("email_unusable", "user.email"), ("phone_unusable", "user.phone")]


def test_unusable_plain_identifier_leaves_its_hash_in_use() -> None:
    conversion, warnings = warned(user={"email": "john", "email_sha256": JOHN})
    assert conversion.email_sha256 == JOHN
    assert warnings == [("email_unusable", "user.email")]


def test_phone_without_country_is_left_out_with_a_warning() -> None:
    national = {"phone": "(425) 555-1234"}
    assert warned(user=national)[1] == [("phone_unusable", "user.phone")]
    assert accepted(user=national | {"country": "us"}).phone_sha256 == PHONE
    assert accepted(replace(RULES, default_country="US"), user=national).phone_sha256 == PHONE
    german = accepted(replace(RULES, default_country="US"), user={"phone": "030 123456", "country": "DE"})
    assert german == accepted(user={"phone": "+4930123456"})


@pytest.mark.parametrize("country", ["Germany", "ZZ", "+49", "US/CA", "EU", " ", "D" * 1_000_000, "\ud800"])
def test_country_that_cannot_be_used_costs_nothing_but_a_warning(country: str) -> None:
    conversion, warnings = warned(user={"phone": "+4930123456", "country": country})
    assert conversion == accepted(user={"phone": "+4930123456"})
    assert warnings == [("country_unusable", "user.country")]
    _, warnings = warned(user={"phone": "030 123456", "country": country})
    assert warnings == [("country_unusable", "user.country"), ("phone_unusable", "user.phone")]
    german = replace(RULES, default_country="DE")
    assert (
        warned(rules=german, user={"phone": "030 123456", "country": country})[0].phone_sha256
        == conversion.phone_sha256
    )


@pytest.mark.parametrize(
    ("country", "phone", "e164"),
    [
        ("USA", "(425) 555-1234", "+14255551234"),
        ("UK", "020 7946 0958", "+442079460958"),
        ("gbr ", "020 7946 0958", "+442079460958"),
        ("EL", "2123456789", "+302123456789"),
        ("\u200bDE\u00a0", "030 123456", "+4930123456"),
        ("XK", "028 012345", "+38328012345"),
        ("xkx", "028 012345", "+38328012345"),
    ],
)
def test_country_is_understood_as_forms_and_shops_write_it(country: str, phone: str, e164: str) -> None:
    assert accepted(user={"phone": phone, "country": country}) == accepted(user={"phone": e164})


@pytest.mark.parametrize("name", ["email_sha256", "phone_sha256"])
@pytest.mark.parametrize(
    ("written", "code"),
    [
        (EMPTY, "hash_of_empty"),
        (EMPTY.upper(), "hash_of_empty"),
        (f" {EMPTY}\u200b", "hash_of_empty"),
        *((text, "invalid_hash") for text in (JOHN[1:], "g" * 64, f"x{JOHN}", "john@contoso.com")),
        (7, "not_text"),
    ],
)
def test_hash_must_be_one_and_not_that_of_nothing(name: str, written: Any, code: str) -> None:
    assert problems(user={name: written}) == [(f"user.{name}", code)]


@pytest.mark.parametrize(
    ("user", "problem"),
    [
        ("john@contoso.com", ("user", "not_an_object")),
        ({"phone": 14255551234}, ("user.phone", "not_text")),
        ({"country": 49}, ("user.country", "not_text")),
    ],
)
def test_malformed_user_is_a_problem_and_not_a_typo(user: Any, problem: tuple[str, str]) -> None:
    assert problems(user=user) == [problem]


# --- Quality ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["info@contoso.com", "No-Reply@contoso.com", "no.reply+1@contoso.com"])
def test_mailbox_that_many_share_is_sent_with_a_warning(address: str) -> None:
    conversion, warnings = warned(user={"email": address})
    assert conversion.email_sha256 is not None
    assert warnings == [("email_role_address", "user.email")]


@pytest.mark.parametrize("address", ["information@contoso.com", "john.info@contoso.com", "salesman@contoso.com"])
def test_name_that_only_resembles_a_role_has_no_warning(address: str) -> None:
    assert accepted(user={"email": address}).email_sha256 is not None


@pytest.mark.parametrize(
    ("phone", "why"),
    [
        ("0171 5551234", "has no country code, and nothing says which country"),
        ("+1 425", "is no number that is possible"),
    ],
)
def test_phone_without_a_country_is_distinguished_from_a_typo(phone: str, why: str) -> None:
    result = reading(user={"phone": phone})
    assert [warning.code for warning in result.warnings] == ["phone_unusable"]
    assert result.warnings[0].message.startswith(why)
