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
from urllib.parse import unquote_plus

import idna

from sidecar.core.intake import phones
from sidecar.core.intake.unseen import without_invisible, without_unseen

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
"""What systems send that hash without looking. It would match every other customer without an address."""

_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")


def sha256(text: str) -> str:
    """The SHA-256 of `text` in UTF-8, as 64 lower-case hex digits. ValueError for the empty text: never send that."""
    if not text:
        raise ValueError("the empty text identifies nobody: its hash must not be sent")
    return hashlib.sha256(text.encode()).hexdigest()


def given_sha256(text: str) -> str | None:
    """The hash that somebody else has taken, in lower case; None when it is none, or that of the empty text.

    Blanks and invisible characters do not count: they come along when it is copied.
    """
    given = text if _SHA256.fullmatch(text) else without_unseen(text)
    lowered = given.lower()
    return lowered if _SHA256.fullmatch(given) and lowered != EMPTY_SHA256 else None


# --- E-mail ----------------------------------------------------------------------------------------------------------

LONGEST_INPUT = 320
"""Addresses end at 254 characters (RFC 5321). Far longer texts are not looked at: ordering accents is quadratic."""

_ADDRESS = re.compile(r"[a-z0-9!#$%&'*/=?^_`{|}~-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+")
"""What may be left in the end: an unquoted name of RFC 5322, without dot and plus, and a domain with a dot."""


_AT = re.compile("[\ufe6b\uff20]")
"""The small and the wide form of @, from East Asian keyboards."""

_LONGEST_DOMAIN = 253
"""https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4, less the bytes that only the wire has"""


def _without_accents(text: str) -> str:
    """Before the @ only: a domain without its accents is another one."""
    if text.isascii():
        return text
    name, at, domain = _AT.sub("@", text).partition("@")
    letters = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)) + at + domain


def _with_ascii_domain(text: str) -> str:
    """An international domain as it is registered, so that both its spellings are one; as it stands if it is none.

    https://www.unicode.org/reports/tr46/ maps what people type, https://www.rfc-editor.org/rfc/rfc5891 encodes it.
    """
    if text.isascii():
        return text
    name, at, domain = text.partition("@")
    if len(domain) > _LONGEST_DOMAIN:
        return text
    try:
        return name + at + idna.encode(domain, uts46=True).decode()
    except UnicodeError:  # which idna's own errors are
        return text


def _without_alias(text: str) -> str:
    name, at, domain = text.partition("@")
    return name.partition("+")[0] + at + domain


def _without_dots(text: str) -> str:
    name, at, domain = text.partition("@")
    return name.replace(".", "") + at + domain


EMAIL_STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("blanks removed", without_unseen),
    ("lower case", str.lower),
    ("accents before @ removed", _without_accents),
    ("domain in ASCII (IDNA)", _with_ascii_domain),
    ("alias from + up to @ removed", _without_alias),
    ("dots before @ removed", _without_dots),
)
"""Microsoft's rules, for every domain. Google's differ, so a hash that was taken for Google may not match here."""


def email(text: str) -> str | None:
    """The address in the form that is hashed; None when it can be no address, or is not ASCII in the end."""
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

PHONE_STEPS = phones.STEPS
phone = phones.phone


def phone_sha256(text: str, country: str | None = None) -> str | None:
    """The hash of a phone number; a text that is a hash already is taken as it is. None when it cannot be used."""
    normalised = phones.phone(text, country)
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

_PARAMETER = re.compile(r"[?&]msclkid=([^&?#]+)", re.IGNORECASE)
"""Behind a second ? as well, where something put its own parameters behind an address that had some."""

_AMPERSAND = re.compile(r"&(?:(?:amp|#0{0,5}38|#x0{0,5}26);)+", re.IGNORECASE)
"""An & of an address that came through HTML, once or several times."""


def click_id(text: str) -> str | None:
    """The 32 hex digits in a raw, dashed, cookie or beacon form of a click id, in their own case; None if it is none.

    The bits that tell a UUID's version are not looked at: real click ids have any.
    """
    found = _CLICK_ID.fullmatch(text.strip() if text.isascii() else without_invisible(text).strip())
    return found[1].replace("-", "") if found else None


def click_ids_in(url: str) -> list[str]:
    """What the URL's `msclkid` parameters hold, decoded, as they stand; none when there is no such parameter.

    The name may be in any case, since some shops change the case of parameters. The fragment does not count: Microsoft
    puts the parameter before it. https://help.ads.microsoft.com/apex/index/3/en/60125
    """
    return _values(url.partition("#")[0])


def _values(text: str) -> list[str]:
    return [unquote_plus(value) for value in _PARAMETER.findall(text)]


def click_id_in(url: str) -> str | None:
    """The last usable click id among the URL's `msclkid` parameters; None when there is none.

    Where there is none as it stands, the URL is looked at once more decoded: it may be inside that of another address.
    `msclkid.js` reads addresses alike; tests/samples/landing_addresses.json is the table of both.
    """
    address = _AMPERSAND.sub("&", url).partition("#")[0]
    return _last_usable(address) or _last_usable(_AMPERSAND.sub("&", unquote_plus(address)))


def _last_usable(text: str) -> str | None:
    return next(filter(None, map(click_id, reversed(_values(text)))), None)
