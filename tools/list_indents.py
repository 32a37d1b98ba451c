"""Lists as GitHub reads them, for Python-Markdown, which wants what belongs to an item indented by four.

GitHub takes the column where the text of the item begins: two after a dash, three after `1.`. mkdocs calls the function
whose name begins with `on_`.
"""

import re
from collections.abc import Iterator
from typing import Any

WANTED = 4

_ITEM = re.compile(r" {0,3}(?:[-*+]|[0-9]{1,3}\.) +")
_FENCE = re.compile(r" *(```+)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with the indents that Python-Markdown wants."""
    return "\n".join(indented(markdown.split("\n")))


def indented(lines: list[str]) -> Iterator[str]:
    """Each line; what belongs to an item is moved to the wanted column."""
    column: int | None = None
    fence = ""
    for line in lines:
        indent = len(line) - len(line.lstrip(" "))
        found = _FENCE.match(line)
        if fence:
            fence = "" if line.strip() == fence else fence
        elif item := _ITEM.match(line):
            column = item.end()
            yield line
            continue
        elif line.strip() and column is not None and indent < column:
            column = None
            fence = found[1] if found else ""
        elif found:
            fence = found[1]
        yield line if column is None or not line.strip() else " " * (indent - column + WANTED) + line.lstrip(" ")
