"""Lines of the table: what was measured, what it should be, what was seen, and whether that is enough."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median


@dataclass(frozen=True)
class Line:
    """One line; `passed` is None where nothing is demanded."""

    what: str
    target: str
    figure: str
    passed: bool | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        return {True: "pass", False: "SHORT", None: "-"}[self.passed]


def table(lines: Iterable[Line]) -> str:
    """As Markdown, so that it can go into docs/performance.md as it is."""
    rows = [("what", "target", "figure", ""), ("---", "---", "---", "---")]
    rows += [
        (line.what, line.target, line.figure + (f" ({line.note})" if line.note else ""), line.verdict) for line in lines
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def as_json(lines: Iterable[Line]) -> str:
    return json.dumps([{**asdict(line), "verdict": line.verdict} for line in lines], indent=2)


def spread(values: Sequence[float], form: str = "{:.2f}") -> str:
    """The median, and how far the repeats were apart."""
    if len(values) == 1:
        return form.format(values[0])
    return f"{form.format(median(values))} [{form.format(min(values))}..{form.format(max(values))}]"
