"""Values in Microsoft's JSON, read without trust: a value of another kind is None."""

import re


def id_of(value: object) -> str | None:
    """A 64-bit id, given as text or as number."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return str(value) if re.fullmatch(r"[0-9]{1,19}", str(value), re.ASCII) else None


def line_of(value: object, limit: int) -> str | None:
    """One line of text, without control characters and halves of surrogate pairs, which no column or log accepts."""
    if not isinstance(value, str):
        return None
    line = "".join(character if character.isprintable() else " " for character in value[: 2 * limit])
    return " ".join(line.split())[:limit] or None
