"""Whether an answer is the one that a page shows: equal, but for what differs each time and for what the page cut."""

import re
from typing import Any

CUT = "…"

_PASSING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z"), "<instant>"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<tracking id>"),
    (re.compile(r"[0-9.]+ GiB are free"), "<some> GiB are free"),
)
_MEASURED = frozenset({"uptime_seconds", "oldest_due_seconds", "version"})


def matches(shown: Any, real: Any) -> bool:
    """A key `…` stands for further keys, a `…` in a text for anything."""
    match shown:
        case dict():
            return isinstance(real, dict) and _objects_match(shown, real)
        case list():
            return isinstance(real, list) and len(shown) == len(real) and all(map(matches, shown, real))
        case str():
            return isinstance(real, str) and _texts_match(shown, real)
        case _:
            return type(shown) is type(real) and bool(shown == real)


def _objects_match(shown: dict[str, Any], real: dict[str, Any]) -> bool:
    keys = [key for key in shown if key != CUT]
    complete = CUT in shown or shown.keys() == real.keys()
    return complete and all(key in real and (key in _MEASURED or matches(shown[key], real[key])) for key in keys)


def _texts_match(shown: str, real: str) -> bool:
    for pattern, name in _PASSING:
        shown, real = pattern.sub(name, shown), pattern.sub(name, real)
    return re.fullmatch(re.escape(shown).replace(CUT, ".*"), real, re.DOTALL) is not None
