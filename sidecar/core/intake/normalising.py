"""E-mail and phone step by step, as `identity` normalises them, and in plain words why one cannot be used.

For whoever wants to look: nothing of this is on the way of a conversion, but the words for one that cannot be used.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.core.intake import identity, phones

Steps = tuple[tuple[str, str], ...]
"""Each step by its name, with what it made of the text."""

MOST_SHOWN = identity.LONGEST_INPUT
"""A longer text is nobody's address or number; its steps are not shown."""


NAME_THE_COUNTRY = "give user.country, or set matching.default_country"
"""How a conversion's phone gets its country."""


@dataclass(frozen=True, slots=True)
class Normalised:
    """What became of a plain identifier: `sha256` is what is sent, or else `unusable` says why there is none."""

    steps: Steps
    sha256: str | None
    unusable: str | None


def email(text: str) -> Normalised:
    """An e-mail address, looked at closely."""
    found = identity.email_sha256(text)
    return Normalised(email_steps(text), found, None if found else why_no_email(text))


def phone(text: str, country: str | None, remedy: str = NAME_THE_COUNTRY) -> Normalised:
    """A phone number, looked at closely; `country` (ISO 3166) is for one without a country code.

    `remedy` says how to name the country where none is named.
    """
    found = identity.phone_sha256(text, country)
    return Normalised(phone_steps(text, country), found, None if found else why_no_phone(text, country, remedy))


def email_steps(text: str) -> Steps:
    """Every step of an e-mail address; none where it is a hash already, or far too long."""
    if not _is_shown(text):
        return ()
    return tuple(_email_steps(text))


def _email_steps(text: str) -> Iterator[tuple[str, str]]:
    for name, step in identity.EMAIL_STEPS:
        text = step(text)
        yield name, text


def phone_steps(text: str, country: str | None) -> Steps:
    """Every step of a phone number; the last result is empty where no number is possible."""
    if not _is_shown(text):
        return ()
    return tuple(_phone_steps(text, country))


def _phone_steps(text: str, country: str | None) -> Iterator[tuple[str, str]]:
    for name, step in identity.PHONE_STEPS:
        text = step(text, country)
        yield name, text


def _is_shown(text: str) -> bool:
    return len(text) <= MOST_SHOWN and identity.given_sha256(text) is None


# --- Why not ---------------------------------------------------------------------------------------------------------


def why_no_email(text: str) -> str:
    """Why `identity` makes no hash of it; repeats nothing of the text."""
    if len(text) > MOST_SHOWN:
        return f"is longer than {MOST_SHOWN} characters"
    *_, (_, last) = _email_steps(text)
    name, at, domain = last.partition("@")
    if not at or "@" in domain:
        return "must have exactly one @"
    if not name:
        return "has nothing before the @ once alias and dots are removed"
    if not name.isascii():
        return "has letters before the @ that are not ASCII even without their accents"
    if not domain.isascii():
        return "has a domain that is no valid international domain (IDNA)"
    if "." not in domain.strip("."):
        return "has no domain with a dot in it after the @"
    return "is not of the form name@domain.tld"


def why_no_phone(text: str, country: str | None, remedy: str = NAME_THE_COUNTRY) -> str:
    """Why `identity` makes no hash of it; repeats nothing of the text.

    `remedy` says how to name the country, as it is done where the number came from.
    """
    if not any(letter.isdigit() for letter in text):
        return "has no digit"
    if country is None and not phones.is_international(text):
        return f"has no country code, and nothing says which country it belongs to: write +1..., {remedy}"
    return "is no number that is possible in its country"
