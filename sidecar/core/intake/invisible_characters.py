"""Characters that cannot be seen, and that come along when a text is copied from a page, a chat or an export."""

import re
import unicodedata

_WHITESPACE = re.compile(r"[\s\u115F\u1160\u2800\u3164\uFFA0]+")
"""Every kind of blank. The last five are letters or signs to Unicode, and look like one:
https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
"""

_IGNORABLE = re.compile("[\u034f\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0000-\U000e0fff]+")
"""What Unicode tells programs not to show, and does not count as format characters (Cf): joiners, variation selectors.

https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
"""


def without_invisible(text: str) -> str:
    """The text without format characters (Unicode's Cf) and the like; blanks stay."""
    if text.isascii():
        return text
    return _IGNORABLE.sub("", "".join(letter for letter in text if unicodedata.category(letter) != "Cf"))


def without_whitespace(text: str) -> str:
    """The text without blanks of every kind, and without what `without_invisible` removes."""
    if text.isascii():
        return "".join(text.split())
    return _WHITESPACE.sub("", without_invisible(text))


def trimmed(text: str) -> str:
    """The text without blanks and invisible characters at its two ends."""
    text = text.strip()
    if text.isascii():
        return text
    first, last = 0, len(text)
    while first < last and _is_trimmed(text[first]):
        first += 1
    while first < last and _is_trimmed(text[last - 1]):
        last -= 1
    return text[first:last]


def _is_trimmed(letter: str) -> bool:
    """Whether it is a blank of any kind, or a format character: zero width, byte order mark, soft hyphen."""
    return letter.isspace() or unicodedata.category(letter) == "Cf"
