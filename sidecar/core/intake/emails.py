"""An e-mail address in the form that Microsoft hashes, by named steps; and in words, why a text has no such form.

https://help.ads.microsoft.com/apex/index/3/en/60178 (enhanced conversions)
https://learn.microsoft.com/advertising/guides/uet-conversion-api-integration (the vectors)
"""

import re
import unicodedata
from collections.abc import Callable

import idna

from sidecar.core.intake.invisible_characters import without_whitespace

LONGEST_INPUT = 320
"""Addresses end at 254 characters (RFC 5321). Far longer texts are not looked at: ordering accents is quadratic."""

_ADDRESS = re.compile(r"[a-z0-9!#$%&'*/=?^_`{|}~-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+")
"""What may be left in the end: an unquoted name of RFC 5322, without dot and plus, and a domain with a dot."""

_AT = re.compile("[\ufe6b\uff20]")
"""The small and the wide form of @, from East Asian keyboards."""

_LONGEST_DOMAIN = 253
"""https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4, less the bytes that only the wire has"""


def normalise(text: str) -> str | None:
    """The address in the form that is hashed; None when it can be no address, or is not ASCII in the end."""
    if len(text) > LONGEST_INPUT:
        return None
    if text.isascii():  # as nearly all: what the steps make of it, in half their time
        name, at, domain = "".join(text.split()).lower().partition("@")
        text = name.partition("+")[0].replace(".", "") + at + domain
    else:
        for _, step in STEPS:
            text = step(text)
    return text if _ADDRESS.fullmatch(text) else None


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


STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("blanks removed", without_whitespace),
    ("lower case", str.lower),
    ("accents before @ removed", _without_accents),
    ("domain in ASCII (IDNA)", _with_ascii_domain),
    ("alias from + up to @ removed", _without_alias),
    ("dots before @ removed", _without_dots),
)
"""Microsoft's rules, for every domain. Google's differ, so a hash that was taken for Google may not match here."""

# --- Addresses that match badly, or not at all -----------------------------------------------------------------------

ROLES = frozenset(
    """
    admin billing contact donotreply enquiries hello help helpdesk hr info inquiries jobs kontakt mail mailer-daemon
    marketing newsletter no-reply no_reply noreply office orders postmaster sales service support team webmaster
    """.split()  # noqa: SIM905 - a list to read and to add to
)
"""The name before the @ of a mailbox that many people share, without dots; few enough to be sure of each."""

SHARED = "is a mailbox that many share, such as info@, and rarely matches one person"


def is_role(normalised: str) -> bool:
    """Whether a normalised address is that of a role, not of a person."""
    return normalised.partition("@")[0] in ROLES


def why_unusable(text: str) -> str:
    """Why `normalise` returns None for it; repeats nothing of the text."""
    if len(text) > LONGEST_INPUT:
        return f"is longer than {LONGEST_INPUT} characters"
    for _, step in STEPS:
        text = step(text)
    name, at, domain = text.partition("@")
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
