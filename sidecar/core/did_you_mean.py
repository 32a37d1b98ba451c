"""Finds the known name that was probably meant by an unknown one."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

_LONGEST_NAME = 64
_MOST_NAMES = 1_000
"""Names that are compared letter by letter, which takes longest: an account may have 1,000 goals, a customer 5,000."""

_LEAST_LETTERS = 3
"""A shorter beginning is no hint."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")
"""A word of `snake_case`, `kebab-case`, `camelCase` and of plain text."""


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant; None when there is none near.

    First one that differs in case and separators only, then one that is spelled nearly the same. Then one that is the
    beginning or the end of `name`, or the reverse: `purchase` for `purchase_complete`.
    """
    if len(name) > _LONGEST_NAME:
        return None
    known = list(known)
    found = (way(name, known) for way in (_same_words, _spelled_nearly, _goes_on, _begins_alike))
    return next((each for each in found if each is not None), None)


def _same_words(name: str, known: Iterable[str]) -> str | None:
    wanted = _plain(name)
    return next((each for each in known if wanted and _plain(each) == wanted), None)


def _spelled_nearly(name: str, known: Iterable[str]) -> str | None:
    spelled = {each.lower(): each for each in islice(known, _MOST_NAMES)}
    close = get_close_matches(name.lower(), spelled, n=1, cutoff=0.7)
    return spelled[close[0]] if close else None


def _goes_on(name: str, known: Iterable[str]) -> str | None:
    """The longest known name that is all of the beginning or, in whole words, the end of `name`, or the reverse."""
    plain, words = _plain(name), _words(name)
    found = [each for each in known if _is_part(_plain(each), plain) or _ends_with(words, _words(each))]
    return max(found, key=lambda each: min(len(_plain(each)), len(plain)), default=None)


def _is_part(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) >= _LEAST_LETTERS and longer.startswith(shorter)


def _ends_with(one: list[str], other: list[str]) -> bool:
    shorter, longer = sorted((one, other), key=len)
    return len("".join(shorter)) >= _LEAST_LETTERS and longer[-len(shorter) :] == shorter


def _begins_alike(name: str, known: Iterable[str]) -> str | None:
    """The only known name with the same first word; None where several have it."""
    first = _words(name)[:1]
    found = [each for each in known if _words(each)[:1] == first]
    return found[0] if len(found) == 1 and first and len(first[0]) > _LEAST_LETTERS else None


def _plain(name: str) -> str:
    """The name without case and separators."""
    return "".join(character for character in name.casefold() if character.isalnum())


def _words(name: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(name)]
