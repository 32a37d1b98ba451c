"""The second wall: masks what looks like a secret or a person in free text, and makes a text one line.

The first wall is that no caller passes such values. Knows patterns and the secrets given to `hide`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

MASK = "***"

MAX_TEXT = 2_000
"""Characters of one text that are stored: an error page of Microsoft must not fill the journal."""

MIN_SECRET = 4
"""A shorter secret is not masked: it would mask every other word."""

_NAMED = (
    r"(?:access|refresh|id|developer|auth(?:entication)?)_?token|client_?(?:secret|assertion)|api_?keys?|password"
    r"|encryption_?key|code_verifier|hashed(?:email|phone)\w*|e?mail|phone"
)

# Also as it stands in a URL. Every length is bounded: without that a long text without any @ takes half a second.
_EMAIL = r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"

_PROSE = "(?-i:must be|variable is|needs |is (?:given|required|not|one)|unknown key|the (?:file|emulator))"
"""How our own messages about a configuration key continue; they never repeat its value."""

_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), mask)
    for pattern, mask in (
        # pydantic quotes what it refused, sometimes whole objects.
        (r"(?s:input_value=.*?(?=, input_type|\Z))", f"input_value={MASK}"),
        (r"\b(bearer|basic)\s+[\w.~+/=-]+", rf"\1 {MASK}"),
        (rf"\b({_NAMED})(['\"]?\s*[=:]\s*['\"]?)(?!{_PROSE})[^\s'\",;&}}\])]+", rf"\1\2{MASK}"),
        (r"([?&](?:code|state|msclkid)=)[^&\s]+", rf"\1{MASK}"),
        # JWT
        (r"\beyJ[\w-]{8,}(?:\.[\w-]*)*", MASK),
        (_EMAIL, MASK),
        # phone with its country code
        (r"(?<![\w.])\+\s?\d(?:[\s().-]{0,3}\d){7,14}(?!\d)", MASK),
        # refresh tokens and other opaque ones: long, with a digit; names of errors have none
        (r"(?<![\w/-])(?:M\.)?(?=[\w!*~+=$.-]{0,60}\d)[\w!*~+=$-][\w!*~+=$.-]{39,}", MASK),
        # hashes, click ids, keys
        (r"[0-9a-f]{32,}", MASK),
    )
)
_EMAIL_PATTERN = re.compile(_EMAIL)


@dataclass(slots=True)
class Redactor:
    """Cleans text. `hide` adds values that are masked wherever they occur from then on."""

    _hidden: re.Pattern[str] | None = None
    _secrets: frozenset[str] = frozenset()

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these values, as they are and as they stand in a URL; ones under `MIN_SECRET` characters are left."""
        self._secrets |= {
            form for secret in secrets if len(secret) >= MIN_SECRET for form in (secret, quote(secret, ""))
        }
        if self._secrets:
            longest_first = sorted(self._secrets, key=len, reverse=True)
            self._hidden = re.compile("|".join(map(re.escape, longest_first)))

    def text(self, text: str) -> str:
        """Return free text with secrets and persons masked, on one line, at most `MAX_TEXT` characters."""
        masked = self._without_secrets(text[: 4 * MAX_TEXT])
        for pattern, mask in _PATTERNS:
            masked = pattern.sub(mask, masked)
        return one_line(masked[:MAX_TEXT])

    def identifier(self, text: str) -> str:
        """Return an id that a person may search for: only known secrets and e-mail addresses are masked."""
        return one_line(_EMAIL_PATTERN.sub(MASK, self._without_secrets(text[:MAX_TEXT])))

    def _without_secrets(self, text: str) -> str:
        return self._hidden.sub(MASK, text) if self._hidden else text


def holds_email(text: str) -> bool:
    """Whether `Redactor.identifier` would mask an e-mail address in it."""
    return _EMAIL_PATTERN.search(text) is not None


def one_line(text: str) -> str:
    """Return the text with everything escaped that could start a line, move a cursor or break an encoder."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
