"""docs/reliability.md as tests read it, and as it is written again after `make faults`.

    .venv/bin/python tests/kits/promise_page.py [WHAT_MAKE_FAULTS_PRINTED]

puts the names of the marked tests under each promise, and the lines that were printed in place of the last ones.
"""

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reliability.md"
NO_TEST = "No test shows this yet."
LINE = re.compile(r"^([A-C]\d+) +((?:kept|not here|BROKEN|NOT SHOWN).*)$", re.MULTILINE)
SECTION = re.compile(r"^### ([A-C]\d+): (.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
NAMES = re.compile(r"`(tests/[^`]*::[^`]*)`")


def marked_tests() -> dict[str, set[str]]:
    """The names of the tests by the promise that they are marked with."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in ROOT.joinpath("tests").rglob("test_*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for mark in function.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.promise":
                        for promise in mark.args:
                            found[ast.literal_eval(promise)].add(f"{path.relative_to(ROOT)}::{function.name}")
    return dict(found)


def written_again(page: str, printed: str) -> str:
    """The page with the names of today's tests and, where any are among what was printed, with its lines."""
    tests = marked_tests()

    def section(found: re.Match[str]) -> str:
        prose = re.split(r"^(?:- `tests/|No test shows)", found[0], maxsplit=1, flags=re.MULTILINE)[0].rstrip()
        names = "\n".join(f"- `{name}`" for name in sorted(tests.get(found[1], ())))
        elsewhere = found[1] not in tests and "no store for replicas" in prose
        return prose + ("" if elsewhere else f"\n\n{names or NO_TEST}") + "\n\n"

    page = SECTION.sub(section, page).rstrip() + "\n"
    lines = "".join(f"{found[0]}\n" for found in LINE.finditer(printed))
    return re.sub(r"(?<=```text\n).*?(?=```)", lambda _: lines, page, flags=re.DOTALL) if lines else page


if __name__ == "__main__":
    output = Path(sys.argv[1]).read_text() if sys.argv[1:] else ""
    PAGE.write_text(written_again(PAGE.read_text(), output))
