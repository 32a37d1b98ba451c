"""Formats a report of the doctor: a summary, then a line for each check, with cause and remedy where one is not ok."""

import shutil
import textwrap
from collections.abc import Iterator

from sidecar.cli.formatting import Json, plain

_MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}
_LEAST_WIDTH, _MOST_WIDTH = 50, 120


def report_lines(report: Json, width: int | None = None) -> Iterator[str]:
    """The report as lines of at most `width` characters; that of the terminal by default."""
    columns = width or shutil.get_terminal_size((100, 24)).columns
    columns = min(max(columns, _LEAST_WIDTH), _MOST_WIDTH)
    checks, unchecked = report.get("checks") or [], report.get("not_checked") or []
    yield from textwrap.wrap(summary(report), columns)
    yield ""
    indent = max((len(_name(check)) for check in checks), default=0)
    for check in checks:
        mark = _MARKS.get(str(check.get("status")), "?")
        yield from _line(mark, check, str(check.get("status")), indent, columns)
        for label, text in (("Why", check.get("cause")), ("What to do", check.get("fix"))):
            if text and check.get("status") != "ok":
                yield from _wrapped("    ", f"{label}: {plain(text)}", columns)
    if unchecked:
        yield ""
    for why, names in _by_reason(unchecked).items():
        yield from textwrap.wrap(f"- not checked: {', '.join(names)}: {why}", columns, subsequent_indent="  ")


def summary(report: Json) -> str:
    """One sentence: how many checks failed, and how many could not be made."""
    found = [str(check.get("status")) for check in report.get("checks") or ()]
    failed, warnings, well = (found.count(status) for status in ("failed", "warning", "ok"))
    parts = [f"{failed} failed"] if failed else []
    parts += [f"{warnings} warning{'' if warnings == 1 else 's'}"] if warnings else []
    parts += [f"{well} ok"]
    unchecked = len(report.get("not_checked") or ())
    parts += [f"{unchecked} not checked"] if unchecked else []
    verdict = "Something is wrong" if failed else "Worth a look" if warnings else "All is well"
    return f"{verdict}: {', '.join(parts)}."


def _line(mark: str, each: Json, status: str, indent: int, columns: int) -> Iterator[str]:
    """The mark, the name, the account and goal that it is about, the status in words unless it is ok, the message."""
    about = ", ".join(plain(each[name]) for name in ("account", "goal") if each.get(name))
    words = "" if status == "ok" else f"{status}: "
    text = f"{f'{about}: ' if about else ''}{words}{plain(each.get('message'))}"
    head = f"{mark} {_name(each):{indent}} "
    lines = textwrap.wrap(text, max(20, columns - len(head)), break_long_words=True) or [""]
    yield head + lines[0]
    yield from (" " * len(head) + line for line in lines[1:])


def _by_reason(unchecked: list[Json]) -> dict[str, list[str]]:
    """The names of what was not checked, by the reason; with the account where it is about one."""
    found: dict[str, list[str]] = {}
    for each in unchecked:
        account = f" ({plain(each['account'])})" if each.get("account") else ""
        found.setdefault(plain(each.get("message")), []).append(f"{_name(each)}{account}")
    return found


def _wrapped(indent: str, text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, columns, initial_indent=indent, subsequent_indent=f"{indent}  ")


def _name(each: Json) -> str:
    return plain(str(each.get("name")).replace("_", " "))
