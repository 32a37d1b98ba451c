"""A phone number as people write it, to E.164 in named steps; phonenumbers knows the plans of countries.

Where something is removed or added the result must be a *valid* number, which the country's plan has. An unchanged
number needs to be possible only, since plans change faster than libraries.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberFormat

from sidecar.core.intake.invisible_characters import without_invisible
from sidecar.core.intake.numbering_plans import (
    code_of,
    is_possible,
    is_settled,
    is_valid,
    metadata_of,
    split,
    usual_lengths,
)

LONGEST_INPUT = 320
_LONGEST_BARE = 64
"""No number has more characters, with `tel:` before it and an extension behind it."""


def normalise(text: str, country: str | None = None) -> str | None:
    """The number in E.164; None when none is possible. `country` (ISO 3166) is for those without a country code."""
    if len(text) > LONGEST_INPUT:
        return None
    text = _without_separators(text, country)
    if is_settled(text):
        return text  # as most are written
    return _walked(text, country, 1) or None


def _walked(text: str, country: str | None, first: int) -> str:
    """What the steps from the one numbered `first` on make of it."""
    for _, step in STEPS[first:]:
        text = step(text, country)
    return text


def _is_number(text: str) -> bool:
    """Whether the steps make a valid number of this + and digits."""
    return split(text) is not None and is_valid(_walked(text, None, _AFTER_PLUS))


_SEPARATING = r"\s./\[\]~\u115F\u1160\u2010-\u2015\u2053\u2212\u223C\u2800\u30FC\u3164\uFFA0-"
_SEPARATORS = re.compile(f"[{_SEPARATING}]+")
_ASCII_SEPARATORS = bytes(code for code in range(128) if _SEPARATORS.match(chr(code)))
_LONE_PREFIX = re.compile(f"[({_SEPARATING}]*00[){_SEPARATING}]")


def _without_separators(text: str, country: str | None) -> str:
    """Only digits, a plus and what else means something, all in ASCII; of brackets, those of a trunk zero.

    A 00 that was alone is followed by a blank: it is a whole prefix.
    """
    if not text.isascii():
        letters = unicodedata.normalize("NFKC", without_invisible(text))  # digits of any script, wide forms too
        text = "".join(str(unicodedata.decimal(letter, letter)) for letter in letters)
    bare = _closed_up(text)
    bare = "(0)".join(map(_without_brackets, bare.split("(0)"))) if "(0)" in bare else _without_brackets(bare)
    if len(bare) > _LONGEST_BARE:
        return ""
    return f"00 {bare[2:]}" if bare.startswith("00") and _LONE_PREFIX.match(text) else bare


def _without_brackets(text: str) -> str:
    return text.replace("(", "").replace(")", "")


def _closed_up(text: str) -> str:
    if text.isascii():  # a third of the time that the expression takes
        return text.encode().translate(None, _ASCII_SEPARATORS).decode()
    return _SEPARATORS.sub("", text)


_ZERO_STAYS = frozenset({"39", "378"})
"""Italy, with the Vatican, and San Marino: the zero belongs to the number of a landline, also from abroad."""


def _without_trunk_zero(text: str, country: str | None) -> str:
    """`+44(0)20...` is +4420..., but in Italy the zero may belong to the number."""
    if "(0)" not in text:
        return text
    zero, none = text.replace("(0)", "0", 1), text.replace("(0)", "", 1)
    number = _walked(zero, country, _WITH_PLUS)
    code, national = split(number) or ("", "")
    begins = code in _ZERO_STAYS and len(national) <= usual_lengths(code)[1]  # a longer one is a mobile: without zero
    if begins and is_valid(number):
        return zero
    if is_valid(_walked(none, country, _WITH_PLUS)):
        return none
    return zero if begins or is_valid(number) else none


_PLUS_AGAIN = re.compile(r"\+(?:(?:(?:[1-9][0-9]{0,2})?\+)+|([1-9][0-9]{0,2})00(?=\1)|00(?=[1-9]))")
"""What a form put before a number that had its own: `++49`, `+49+49`, `+490049`, `+0049`."""


def _with_plus(text: str, country: str | None) -> str:
    """The country's own prefix for calls abroad comes first: 001 in Hong Kong is no 00 and a 1."""
    if text.startswith("+"):
        again = None if is_settled(text) else _PLUS_AGAIN.match(text)
        once = f"+{text[again.end() :]}" if again else text
        return once if again and _is_number(once) else text
    for candidate in _international(text, country):
        if _is_number(candidate):
            return candidate
    return f"+{text[2:].lstrip()}" if text.startswith("00") else text


def _international(text: str, country: str | None) -> Iterator[str]:
    """With a plus in place of the prefix, the likeliest first: people write their own country's code most of all."""
    digits = text.replace(" ", "", 1)
    plain = f"+{digits[2:]}" if digits.startswith("00") else ""
    metadata = PhoneMetadata.metadata_for_region(country) if country else None
    if metadata and metadata.international_prefix:
        if digits != text or plain.startswith(f"+{metadata.country_code}"):
            yield plain
        if found := _compiled(metadata.international_prefix).match(digits):
            yield f"+{digits[found.end() :]}"
    if plain:
        yield plain


_compiled = cache(re.compile)


def _with_own_code(text: str, country: str | None) -> str:
    """`49 171...` in Germany. If that is a valid number it is meant, even if the digits are a national number too."""
    code = code_of(country)
    if not code or not text.startswith(code) or not text.isdigit():
        return text
    return f"+{text}" if _is_number(f"+{text}") else text


_RETIRED = {
    "52": (re.compile(r"(?:1|01|044|045)(?=[2-9][0-9]{9}$)"), re.compile(r"(?:01|044|045)(?=[2-9][0-9]{9}$)")),
    # Mexico gave them up on 3 August 2019, and has ten digits since, of which the first is neither 0 nor 1. Without the
    # country code a 1 may be that of the United States.
    # https://github.com/google/libphonenumber/pull/3710
    # https://mexiconewsdaily.com/news/telephone-dialing-changes-now-in-effect
}
"""Prefixes that were dialled once, are still written, and can begin no number: behind the country code, and without."""


def _without_retired(text: str, country: str | None) -> str:
    """Without a prefix that its country gave up, or a trunk zero where the country has none any more."""
    if is_settled(text):
        return text
    code, national = split(text) or (code_of(country), text)
    plus = text.removesuffix(national)
    if found := code in _RETIRED and _RETIRED[code][not plus].match(national):
        return plus + national[found.end() :]
    return plus + national[1:] if national.startswith("0") and _has_no_zero(code, national) else text


def _has_no_zero(code: str, national: str) -> bool:
    """Whether a zero begins a number of a country that has no trunk prefix, and the number is valid without it only."""
    metadata = metadata_of(code) if code and national.isdigit() else None
    if metadata is None or metadata.national_prefix:
        return False
    return is_valid(f"+{code}{national[1:]}") and not is_valid(f"+{code}{national}")


def _written_once(text: str, country: str | None) -> str:
    """`+49 49 171...`, where a form put a country code before a number that had its own."""
    for _ in range(_MOST_CODES - 1):
        text = _without_first_code(text)
    return text


_MOST_CODES = 3
"""More of the same code in a row are no number any more."""


def _without_first_code(text: str) -> str:
    """Without a country code that comes twice, where a valid number is left.

    A valid number stays as it is, since area codes may look like country codes. The exception is a number that is
    longer than numbers of its country, and would not be too short without the code.
    """
    code, national = ("", "") if is_settled(text) else split(text) or ("", "")
    if not code or not national.startswith(code):
        return text
    once = _read(_without_retired(f"+{national}", None), None)
    if not is_valid(once):
        return text
    least, most = usual_lengths(code)
    usual = len(national) <= most or len(once) - 1 - len(code) < least
    return text if usual and is_valid(_without_retired(text, None)) else once


def _with_country(text: str, country: str | None) -> str:
    """In E.164; empty where there is neither code nor country, or no number of that length is possible there.

    Whether it is in use is not asked.
    """
    number = _written_once(_read(text, country), None)
    return number if is_settled(number) or (is_possible(number) and _is_steady(number)) else ""


def _read(text: str, country: str | None) -> str:
    """With the country's code, and without its trunk prefix, as the parser reads it; empty where it cannot."""
    if is_settled(text):
        return text
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return ""
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _is_steady(text: str) -> bool:
    """Whether it stays the same when it is read again. One with two trunk zeros does not, and is a typo."""
    steps = (_with_plus, _without_retired, _written_once, _read)
    return all(step(text, None) == text for step in steps)


STEPS: tuple[tuple[str, Callable[[str, str | None], str]], ...] = (
    ("blanks and separators removed", _without_separators),
    ("bracketed trunk zero removed", _without_trunk_zero),
    ("international prefix written as +", _with_plus),
    ("+ before the country's own code", _with_own_code),
    ("retired prefix removed", _without_retired),
    ("doubled country code removed", _written_once),
    ("country code added (E.164)", _with_country),
)
"""From what people write to E.164 with its plus, which Microsoft's vector includes in the hash."""

_WITH_PLUS = 2
_AFTER_PLUS = 4


NAME_THE_COUNTRY = "give user.country, or set matching.default_country"
"""How a conversion names the country of its phone."""


def why_unusable(text: str, country: str | None, remedy: str = NAME_THE_COUNTRY) -> str:
    """Why `normalise` returns None for it; repeats nothing of the text.

    `remedy` tells the user how to name the country.
    """
    if not any(letter.isdigit() for letter in text):
        return "has no digit"
    if country is None and not _without_separators(text, None).startswith(("+", "00")):
        return f"has no country code, and nothing says which country it belongs to: write +1..., {remedy}"
    return "is no number that is possible in its country"
