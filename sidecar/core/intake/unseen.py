"""Characters that nobody sees, and that come along when something is copied from a page or a chat."""

import re
import unicodedata

_BLANKS = re.compile(r"[\s\u115F\u1160\u2800\u3164\uFFA0]+")
"""Every kind of blank. The last five are letters or signs to Unicode, and look like one:
https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
"""

_INVISIBLE = re.compile("[\u034f\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0000-\U000e0fff]+")
"""What Unicode tells programs not to show, and does not count as format characters (Cf): joiners, variation selectors.

https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
"""


def without_invisible(text: str) -> str:
    """The text without format characters (Unicode's Cf) and the like; blanks stay."""
    if text.isascii():
        return text
    seen = [letter for letter in text if unicodedata.category(letter) != "Cf"]
    return _INVISIBLE.sub("", "".join(seen))


def without_unseen(text: str) -> str:
    """The text without anything that cannot be seen: blanks of every kind, and what `without_invisible` takes out."""
    if text.isascii():
        return "".join(text.split())
    return _BLANKS.sub("", without_invisible(text))
