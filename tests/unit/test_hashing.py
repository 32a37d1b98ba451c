"""Hashes of identifiers; each step on the way to one, and why a text has none."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.intake import emails, hashing, phones

JOHN = "ec81f3ac7b2b19675bab9d54cf416f9f18cff87c97da5cca82c0f0891bc40602"
NUMBER = "c59475d96e9f01d7d18d06cfad84dd02333207f02c0c2c5663ef2782cda0390e"
"""Microsoft's own vectors."""

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_steps_of_an_email_lead_to_what_is_hashed() -> None:
    found = hashing.explain_email(" J.o.h.n+x@Contoso.com")
    assert [name for name, _ in found.steps] == [name for name, _ in emails.STEPS]
    assert [result for _, result in found.steps] == [
        "J.o.h.n+x@Contoso.com",
        "j.o.h.n+x@contoso.com",
        "j.o.h.n+x@contoso.com",
        "j.o.h.n+x@contoso.com",
        "j.o.h.n@contoso.com",
        "john@contoso.com",
    ]
    assert (found.sha256, found.unusable) == (JOHN, None)


def test_steps_of_a_phone_lead_to_what_is_hashed() -> None:
    found = hashing.explain_phone("(425) 555-1234", "US")
    assert [name for name, _ in found.steps] == [name for name, _ in phones.STEPS]
    assert found.steps[-1][1] == "+14255551234"
    assert (found.sha256, found.unusable) == (NUMBER, None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "exactly one @"),
        ("john.contoso.com", "exactly one @"),
        ("a@b@contoso.com", "exactly one @"),
        ("@contoso.com", "nothing before the @"),
        ("+shop@contoso.com", "nothing before the @"),
        ("..@contoso.com", "nothing before the @"),
        ("john@contoso", "no domain with a dot"),
        ("john@contoso.", "no domain with a dot"),
        ("groß@contoso.com", "before the @ that are not ASCII"),
        ("john@ü\u0378.example", "no valid international domain"),
        ("john@-ü.example", "no valid international domain"),
        ("john@contoso.com.", "name@domain.tld"),
        ("jo(hn@contoso.com", "name@domain.tld"),
        ("j" * 400 + "@contoso.com", "longer than 320"),
    ],
)
def test_unusable_email_has_a_reason(text: str, why: str) -> None:
    found = hashing.explain_email(text)
    assert found.sha256 is None
    assert why in str(found.unusable)


@pytest.mark.parametrize(
    ("text", "country", "why"),
    [
        ("call me", None, "no digit"),
        ("0171 5551234", None, "no country code, and nothing says"),
        ("(0171) 5551234", None, "no country code, and nothing says"),
        ("+1 425", None, "possible in its country"),
        ("001 425", None, "possible in its country"),
        ("12", "US", "possible in its country"),
    ],
)
def test_unusable_phone_has_a_reason(text: str, country: str | None, why: str) -> None:
    found = hashing.explain_phone(text, country)
    assert found.sha256 is None
    assert why in str(found.unusable)


def test_hash_that_is_given_has_no_steps() -> None:
    found = hashing.explain_email(JOHN.upper())
    assert (found.steps, found.sha256, found.unusable) == ((), JOHN, None)


def test_text_that_is_far_too_long_is_not_shown() -> None:
    assert hashing.email_steps("a" * 1_000_000) == hashing.phone_steps("1" * 1_000_000, "US") == ()


@given(st.text(max_size=40) | st.emails(), st.sampled_from([None, "US", "IT", "DE"]))
def test_any_value_is_usable_or_has_a_reason(text: str, country: str | None) -> None:
    for found in (hashing.explain_email(text), hashing.explain_phone(text, country)):
        assert (found.sha256 is None) is (found.unusable is not None)


@given(st.text(max_size=40))
def test_why_repeats_nothing_of_the_text(text: str) -> None:
    words = f"{emails.why_unusable(text)} {phones.why_unusable(text, None)}"
    assert words == words.replace("  ", " ") and (len(text) < 8 or text not in words)


def test_hash_in_place_of_a_plain_identifier_is_not_hashed_again() -> None:
    assert hashing.email_sha256(JOHN.upper()) == JOHN
    assert hashing.phone_sha256(NUMBER.upper(), "US") == NUMBER


def test_hash_of_the_empty_text_is_refused() -> None:
    assert hashing.EMPTY_SHA256 == EMPTY
    with pytest.raises(ValueError, match="must not be sent"):
        hashing.sha256("")
    assert hashing.given_sha256(EMPTY) is None
    assert hashing.given_sha256(EMPTY.upper()) is None


@pytest.mark.parametrize("hash_of", [hashing.email_sha256, hashing.phone_sha256])
@given(text=st.text())
def test_no_text_ever_gives_the_hash_of_the_empty_one(hash_of: Callable[[str], str | None], text: str) -> None:
    assert hash_of(text) != EMPTY
