"""The Prefer header (RFC 7240): whether a caller wants a minimal answer, and the header that such an answer has.

https://www.rfc-editor.org/rfc/rfc7240
"""

import re
from collections.abc import Iterable

HEADER = "Prefer"

APPLIED = {"Preference-Applied": "return=minimal"}
"""The header of a minimal answer."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def wants_minimal(values: Iterable[str]) -> bool:
    """Whether `return=minimal` is asked for; `values` are those of every such header. The first `return` counts."""
    for preference in _QUOTED.sub(_without_commas, ",".join(values)).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "return":
            return value.strip().lower() == "minimal"
    return False


def _without_commas(quoted: re.Match[str]) -> str:
    """A quoted word as a plain one; a text with separators as a dash, so that it splits nothing."""
    word = quoted[0][1:-1]
    return word if word.isalnum() else "-"
