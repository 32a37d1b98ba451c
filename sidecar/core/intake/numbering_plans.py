"""Numbering plans of countries: calling codes, lengths, whether a number is valid.

All of it comes from phonenumbers, which follows the plans that countries publish.
"""

import re
from functools import cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberType, ValidationResult

_E164 = re.compile(r"\+[1-9][0-9]{7,14}")
_CODE_AND_MORE = re.compile(r"\+[1-9][0-9]{6,20}")

_NO_BOUND = 99


def is_settled(text: str) -> bool:
    """Whether it is E.164 beyond doubt, which spares everything else.

    A zero after the country code may be a trunk zero, and the country code itself may be there twice.
    """
    if not _E164.fullmatch(text):
        return False
    for end in (2, 3, 4):
        if lengths := _possible_lengths(text[1:end]):
            if text[end] == "0" or len(text) - end not in lengths:
                return False
            return not (text.startswith(text[1:end], end) and len(text) - 2 * end + 1 in lengths)
    return False


def code_of(country: str | None) -> str:
    """Its calling code; empty where it has none."""
    return str(phonenumbers.country_code_for_region(country) or "") if country else ""


@cache
def metadata_of(calling_code: str) -> PhoneMetadata | None:
    """The numbering of the country that has this code, of the main one where several have it."""
    code = int(calling_code)
    region = phonenumbers.region_code_for_country_code(code)
    return PhoneMetadata.metadata_for_region_or_calling_code(code, region)


@cache
def _possible_lengths(calling_code: str) -> frozenset[int]:
    """How many digits may follow the calling code; empty when there is no such code. No code begins another."""
    metadata = metadata_of(calling_code)
    return frozenset(metadata.general_desc.possible_length) if metadata and metadata.general_desc else frozenset()


@cache
def usual_lengths(calling_code: str) -> tuple[int, int]:
    """How many digits the shorter and the longer of the country's example numbers have: a landline and a mobile."""
    region = phonenumbers.region_code_for_country_code(int(calling_code))
    types = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)
    found = (phonenumbers.example_number_for_type(region, each) for each in types)
    lengths = [len(phonenumbers.national_significant_number(number)) for number in found if number]
    return min(lengths, default=0), max(lengths, default=_NO_BOUND)


def split(text: str) -> tuple[str, str] | None:
    """The calling code and what follows it; None where it is no + and digits, or begins with no such code."""
    if not _CODE_AND_MORE.fullmatch(text):
        return None
    codes = (text[1:end] for end in (2, 3, 4))
    code = next((code for code in codes if _possible_lengths(code)), None)
    return (code, text[1 + len(code) :]) if code else None


def _number(text: str) -> PhoneNumber | None:
    """Made without the parser, which would remove a digit that it takes for a trunk prefix."""
    found = split(text)
    if found is None:
        return None
    code, national = found
    zeros = len(national) - len(national.lstrip("0"))
    return PhoneNumber(
        country_code=int(code),
        national_number=int(national),
        italian_leading_zero=zeros > 0 or None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )


def is_valid(text: str) -> bool:
    """Whether it is a number in E.164 that the plan of its country has."""
    number = _number(text)
    return number is not None and phonenumbers.is_valid_number(number)


def is_possible(text: str) -> bool:
    """Whether a number of that length is possible in its country, called from elsewhere."""
    number = _number(text) if _E164.fullmatch(text) else None
    # `is_possible_number` would also take a number that can only be dialled within its town.
    possible = ValidationResult.IS_POSSIBLE
    return number is not None and phonenumbers.is_possible_number_with_reason(number) == possible
