"""Who converted, in the forms Microsoft matches by: the click id as it stands, e-mail and phone as hashes.

Each normalisation is a table of named steps, so that every step can be shown. Who may be asked, and what is said about
an identifier that cannot be used, is left to whoever reads it.

https://help.ads.microsoft.com/apex/index/3/en/60178 (enhanced conversions)
https://learn.microsoft.com/advertising/guides/uet-conversion-api-integration (the vectors)
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from functools import cache
from urllib.parse import unquote_plus

import phonenumbers

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
"""What systems send that hash without looking. It would match every other customer without an address."""

_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")


def sha256(text: str) -> str:
    """The SHA-256 of `text` in UTF-8, as 64 lower-case hex digits. ValueError for the empty text: never send that."""
    if not text:
        raise ValueError("the empty text identifies nobody: its hash must not be sent")
    return hashlib.sha256(text.encode()).hexdigest()


def given_sha256(text: str) -> str | None:
    """The hash that somebody else has taken, in lower case; None when it is none, or that of the empty text."""
    lowered = text.lower()
    return lowered if _SHA256.fullmatch(text) and lowered != EMPTY_SHA256 else None


# --- E-mail ----------------------------------------------------------------------------------------------------------

LONGEST_INPUT = 320
"""Addresses end at 254 characters (RFC 5321). Far longer texts are not looked at: ordering accents is quadratic."""

_ADDRESS = re.compile(r"[a-z0-9!#$%&'*/=?^_`{|}~-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+")
"""What may be left in the end: an unquoted name of RFC 5322, without dot and plus, and a domain with a dot."""


def _without_blanks(text: str) -> str:
    return "".join(text.split())


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))


def _without_alias(text: str) -> str:
    name, at, domain = text.partition("@")
    return name.partition("+")[0] + at + domain


def _without_dots(text: str) -> str:
    name, at, domain = text.partition("@")
    return name.replace(".", "") + at + domain


EMAIL_STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("blanks removed", _without_blanks),
    ("lower case", str.lower),
    ("accents removed", _without_accents),
    ("alias from + up to @ removed", _without_alias),
    ("dots before @ removed", _without_dots),
)
"""Microsoft's rules, for every domain. Google's differ, so a hash that was taken for Google may not match here."""


def email(text: str) -> str | None:
    """The address in the form that is hashed; None when it can be no address, or is not ASCII without its accents."""
    if len(text) > LONGEST_INPUT:
        return None
    for _, step in EMAIL_STEPS:
        text = step(text)
    return text if _ADDRESS.fullmatch(text) else None


def email_sha256(text: str) -> str | None:
    """The hash of an e-mail address; a text that is a hash already is taken as it is. None when it cannot be used."""
    normalised = email(text)
    return sha256(normalised) if normalised else given_sha256(text)


# --- Phone -----------------------------------------------------------------------------------------------------------

_SEPARATORS = re.compile(r"[\s./\u00AD\u2010-\u2015\u2212\u2060\u200B-\u200F\u202A-\u202E-]+")
"""Blanks, dots, slashes and hyphens, and the invisible marks that come along when a number is copied from a page."""

_INTERNATIONAL = re.compile(r"\(?(?:\+|00)")
_ITALIAN = re.compile(r"\(?(?:\+|00)39")
_ZERO_STAYS = frozenset({"IT", "VA"})
_E164 = re.compile(r"\+[1-9][0-9]{7,14}")


def _without_separators(text: str, country: str | None) -> str:
    return _SEPARATORS.sub("", text)


def _without_trunk_zero(text: str, country: str | None) -> str:
    """`+44(0)20...` is +4420..., but in Italy the zero belongs to the number."""
    if "(0)" not in text:
        return text
    stays = _ITALIAN.match(text) if _INTERNATIONAL.match(text) else country in _ZERO_STAYS
    return text.replace("(0)", "0" if stays else "", 1)


def _with_plus(text: str, country: str | None) -> str:
    digits = text.replace("(", "").replace(")", "")
    return f"+{digits[2:]}" if digits.startswith("00") else digits


def _with_country(text: str, country: str | None) -> str:
    """In E.164, or empty when no number of that length is possible there. Whether it is in use is not asked."""
    if _is_settled(text):
        return text
    number = _parsed(text, country)
    # The parser takes off one trunk zero. A number with two is a typo, and would be another one when read again.
    return number if _is_settled(number) or _parsed(number, None) == number else ""


def _parsed(text: str, country: str | None) -> str:
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return ""
    # `is_possible_number` would also take a number that can only be dialled within its town.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return ""
    formatted = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return formatted if _E164.fullmatch(formatted) else ""


def _is_settled(text: str) -> bool:
    """Whether it is E.164 beyond doubt, which spares the parser. A zero after the country code may be a trunk zero."""
    if not _E164.fullmatch(text):
        return False
    for end in (2, 3, 4):
        if lengths := _possible_lengths(text[1:end]):
            return text[end] != "0" and len(text) - end in lengths
    return False


@cache
def _possible_lengths(calling_code: str) -> frozenset[int]:
    """How many digits may follow the calling code; empty when there is no such code. No code begins another."""
    code = int(calling_code)
    region = phonenumbers.region_code_for_country_code(code)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    return frozenset(metadata.general_desc.possible_length) if metadata and metadata.general_desc else frozenset()


PHONE_STEPS: tuple[tuple[str, Callable[[str, str | None], str]], ...] = (
    ("blanks and separators removed", _without_separators),
    ("bracketed trunk zero removed", _without_trunk_zero),
    ("leading 00 written as +", _with_plus),
    ("country code added (E.164)", _with_country),
)
"""From what people write to E.164 with its plus, which Microsoft's vector includes in the hash."""


def is_international(text: str) -> bool:
    """Whether it begins as a number that names its country itself, with + or 00."""
    return _INTERNATIONAL.match(_without_separators(text, None)) is not None


def phone(text: str, country: str | None = None) -> str | None:
    """The number in E.164; None when none is possible. `country` (ISO 3166) is for those without a country code."""
    for _, step in PHONE_STEPS:
        text = step(text, country)
    return text or None


def phone_sha256(text: str, country: str | None = None) -> str | None:
    """The hash of a phone number; a text that is a hash already is taken as it is. None when it cannot be used."""
    normalised = phone(text, country)
    return sha256(normalised) if normalised else given_sha256(text)


# --- Click id --------------------------------------------------------------------------------------------------------

_CLICK_ID = re.compile(
    r"""
    (?:_uet)?                                                   # the cookie _uetmsclkid
    ([0-9A-Fa-f]{32} | [0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})
    (?: -[01]N? | [01]?N )?                                     # a UET beacon: which cookies the browser took
    """,
    re.VERBOSE,
)
"""https://learn.microsoft.com/advertising/msa-help/hlp_ba_conc_uet_faq"""

_PARAMETER = re.compile(r"[?&]msclkid=([^&]+)", re.IGNORECASE)


def click_id(text: str) -> str | None:
    """The 32 hex digits in a raw, dashed, cookie or beacon form of a click id, in their own case; None if it is none.

    The bits that tell a UUID's version are not looked at: real click ids have any.
    """
    found = _CLICK_ID.fullmatch(text.strip())
    return found[1].replace("-", "") if found else None


def click_ids_in(url: str) -> list[str]:
    """What the URL's `msclkid` parameters hold, decoded, as they stand; none when there is no such parameter.

    The name may be in any case, since some shops change the case of parameters. The fragment does not count: Microsoft
    puts the parameter before it. https://help.ads.microsoft.com/apex/index/3/en/60125
    """
    return [unquote_plus(value) for value in _PARAMETER.findall(url.partition("#")[0])]
