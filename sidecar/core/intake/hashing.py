"""SHA-256 of e-mail addresses and phone numbers, as Microsoft matches them; and each step on the way to it.

The rules before the hash are in `emails` and `phones`. Who may be asked for an identifier is left to the callers.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sidecar.core.intake import emails, phones
from sidecar.core.intake.invisible_characters import without_whitespace

LONGEST_INPUT = min(emails.LONGEST_INPUT, phones.LONGEST_INPUT)

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
"""What systems send that hash without looking. It would match every other customer without an address."""

_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")


def sha256(text: str) -> str:
    """The SHA-256 of `text` in UTF-8, as 64 lower-case hex digits. ValueError for the empty text: never send that."""
    if not text:
        raise ValueError("the empty text identifies no person: its hash must not be sent")
    return hashlib.sha256(text.encode()).hexdigest()


def given_sha256(text: str) -> str | None:
    """The hash that the caller has taken, in lower case; None when it is none, or that of the empty text.

    Blanks and invisible characters do not count: they come along when it is copied.
    """
    given = text if _SHA256.fullmatch(text) else without_whitespace(text)
    lowered = given.lower()
    return lowered if _SHA256.fullmatch(given) and lowered != EMPTY_SHA256 else None


def email_sha256(text: str) -> str | None:
    """The hash of an e-mail address; a text that is a hash already is returned as it is. None when it is unusable."""
    normalised = emails.normalise(text)
    return sha256(normalised) if normalised else given_sha256(text)


def phone_sha256(text: str, country: str | None = None) -> str | None:
    """The hash of a phone number; a text that is a hash already is returned as it is. None when it is unusable."""
    normalised = phones.normalise(text, country)
    return sha256(normalised) if normalised else given_sha256(text)


Steps = tuple[tuple[str, str], ...]
"""Each step by its name, with its result."""


@dataclass(frozen=True, slots=True)
class Normalised:
    """A plain identifier step by step: `sha256` is what is sent, or else `unusable` is the reason why there is none."""

    steps: Steps
    sha256: str | None
    unusable: str | None


def explain_email(text: str) -> Normalised:
    """An e-mail address, its steps and its hash."""
    found = email_sha256(text)
    return Normalised(email_steps(text), found, None if found else emails.why_unusable(text))


def explain_phone(text: str, country: str | None, remedy: str = phones.NAME_THE_COUNTRY) -> Normalised:
    """A phone number, its steps and its hash; `country` (ISO 3166) is for one without a country code.

    `remedy` tells the user how to name the country.
    """
    found = phone_sha256(text, country)
    return Normalised(phone_steps(text, country), found, None if found else phones.why_unusable(text, country, remedy))


def email_steps(text: str) -> Steps:
    """Every step of an e-mail address; none where it is a hash already, or far too long."""
    return tuple(_walked(text, emails.LONGEST_INPUT, emails.STEPS))


def phone_steps(text: str, country: str | None) -> Steps:
    """Every step of a phone number, as `email_steps`; the last result is empty where no number is possible."""
    return tuple(_walked(text, phones.LONGEST_INPUT, phones.STEPS, country))


def _walked(
    text: str, longest: int, steps: Iterable[tuple[str, Callable[..., str]]], *arguments: str | None
) -> Iterator[tuple[str, str]]:
    if len(text) <= longest and given_sha256(text) is None:
        for name, step in steps:
            text = step(text, *arguments)
            yield name, text
