"""tests/kits/README.md names every kit; test modules share through kits alone; the suite of all stores knows none."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
KITS = TESTS / "kits"


def imports(path: Path) -> set[str]:
    """The modules that a file imports from."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_page_lists_each_kit_once() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", (KITS / "README.md").read_text(), re.MULTILINE)
    modules = [path.stem for path in KITS.glob("*.py")] + [path.parent.name for path in KITS.glob("*/__init__.py")]
    assert sorted(listed) == sorted(modules)


def names_of(kit: str) -> set[str]:
    """What a kit defines, methods and its own name included."""
    files = [KITS / f"{kit}.py"] if (KITS / f"{kit}.py").exists() else list((KITS / kit).glob("*.py"))
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    assigned = {
        target.id
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return {kit, *assigned, *(node.name for node in nodes if isinstance(node, kinds))}


def test_example_of_each_kit_uses_something_that_it_defines() -> None:
    examples = re.findall(r"^\| `(\w+)` \| .* \| `(.+)`.* \|$", (KITS / "README.md").read_text(), re.MULTILINE)
    assert len(examples) == len(re.findall(r"^\| `\w+` \|", (KITS / "README.md").read_text(), re.MULTILINE))
    foreign = [kit for kit, example in examples if not names_of(kit) & set(re.findall(r"\w+", example))]
    assert foreign == []


def test_contributing_says_what_each_folder_holds() -> None:
    listed = re.findall(r"^\| `tests/(\w+)` \|", TESTS.with_name("CONTRIBUTING.md").read_text(), re.MULTILINE)
    folders = [path.name for path in TESTS.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert sorted(listed) == sorted(folders)


def test_no_test_module_imports_another() -> None:
    modules = {path.stem for path in TESTS.rglob("test_*.py")}
    assert "test_kits_page" in modules
    assert {str(path) for path in TESTS.rglob("*.py") if imports(path) & modules} == set()


def test_what_every_store_must_do_knows_no_store() -> None:
    suite = list((TESTS / "store").glob("test_*.py"))
    assert len(suite) > 20
    known = {
        (path.name, module) for path in suite for module in imports(path) if module.startswith("sidecar.store.sqlite")
    }
    assert known == set()
