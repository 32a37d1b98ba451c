"""tests/kits/README.md names every kit."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
KITS = TESTS / "kits"


def test_page_lists_each_kit_once() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", (KITS / "README.md").read_text(), re.MULTILINE)
    modules = [path.stem for path in KITS.glob("*.py")] + [path.parent.name for path in KITS.glob("*/__init__.py")]
    assert sorted(listed) == sorted(modules)
