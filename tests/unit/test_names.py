"""One meaning a name, and plain English: two classes never share a name, and no text has a word that was given up."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "sidecar").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PAGES = sorted(
    [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "tests/kits/README.md"]
)
FILES = [str(file.relative_to(ROOT)) for file in (*MODULES, *TESTS, *PAGES)]

GIVEN_UP = re.compile(
    r"\b(who(?:m)?ever|whatever|whichever|nobody|anew|mend(?:s|ed|ing)?|what came|so many|st(?:ands|ood) against)\b",
    re.IGNORECASE,
)


def texts_of_module(source: str) -> Iterator[tuple[int, str]]:
    """Docstrings, comments and other texts of a module, each with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    yield from comments(source)


def texts_of_test(source: str) -> Iterator[tuple[int, str]]:
    """Names, docstrings and comments of a module of tests; its other texts are data."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name.replace("_", " ")
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
    yield from comments(source)


def comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def texts_of_page(source: str) -> Iterator[tuple[int, str]]:
    """The paragraphs of a page without its code, each with its line."""
    without_code = re.sub(r"^ *```.*?^ *```", lambda code: "\n" * code[0].count("\n"), source, flags=re.DOTALL | re.M)
    line = 1
    for paragraph in re.split(r"(\n\s*\n)", without_code):
        yield line, re.sub(r"`[^`]*`", "", paragraph)
        line += paragraph.count("\n")


def given_up_words(name: str, source: str) -> list[tuple[int, str]]:
    """Each word that was given up, with its line."""
    texts = texts_of_page if name.endswith(".md") else texts_of_test if name.startswith("tests/") else texts_of_module
    return [
        (line + text.count("\n", 0, found.start()), found[0])
        for line, text in texts(source)
        for found in GIVEN_UP.finditer(text.replace("\n", " "))
    ]


def test_no_two_classes_of_the_package_share_a_name() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for file in MODULES:
        if ROOT / "sidecar" / "emulator" not in file.parents:
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(str(file.relative_to(ROOT)))
    assert "Courier" in places
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


@pytest.mark.parametrize("file", FILES)
def test_texts_have_no_word_that_was_given_up(file: str) -> None:
    assert given_up_words(file, (ROOT / file).read_text()) == []


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        (
            "module.py",
            '"""Whatever\n\nit is.""" + f"""so\nmany {1}"""  # nobody\n',
            [(1, "Whatever"), (3, "so many"), (4, "nobody")],
        ),
        ("module.py", "whatever = nobody\n", []),
        (
            "tests/test_module.py",
            '"""Anew."""\nTEXT = "nobody"\n\n\ndef test_so_many():  # whoever\n    """Mend."""\n',
            [(1, "Anew"), (5, "so many"), (6, "Mend"), (5, "whoever")],
        ),
        (
            "page.md",
            "Plain.\n\nWhat\ncame in. `anew`\n\n```\nwhoever\n```\n\nMend it.\n",
            [(3, "What came"), (10, "Mend")],
        ),
    ],
)
def test_words_are_found_in_prose_and_not_in_code(name: str, source: str, words: list[tuple[int, str]]) -> None:
    assert given_up_words(name, source) == words
