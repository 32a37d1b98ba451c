"""Every code that the sources can give, found in the syntax tree, so that none is missing where codes are explained."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "sidecar"


def given(call: str, place: int, *folders: str) -> set[str]:
    """The texts at that place of the arguments of all calls of that name; `*` stands for what is computed in one.

    `NO_CONVERSION.code` is the code of the ProblemKind that the constant names.
    """
    return {code for tree in _trees(folders) for code in _arguments(tree, call, place)}


@cache
def _kinds() -> dict[str, str]:
    """The code of each constant that is a ProblemKind."""
    found = {}
    for tree in _trees(("api",)):
        for node in ast.walk(tree):
            match node:
                case ast.Assign(
                    targets=[ast.Name(id=name)],
                    value=ast.Call(func=ast.Name(id="ProblemKind"), args=[_, ast.Constant(value=str(code)), *_]),
                ):
                    found[name] = code
    return found


def _trees(folders: tuple[str, ...]) -> Iterator[ast.AST]:
    for folder in folders:
        for path in sorted((SOURCES / folder).rglob("*.py")):
            yield ast.parse(path.read_text("utf-8"))


def _arguments(tree: ast.AST, call: str, place: int) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) == call and len(node.args) > place:
            yield from _texts(node.args[place])


def _name(function: ast.expr) -> str | None:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)


def _texts(argument: ast.expr) -> Iterator[str]:
    match argument:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Attribute(value=ast.Name(id=name), attr="code") if name in _kinds():
            yield _kinds()[name]
        case ast.JoinedStr(values=parts):
            yield "".join(part.value if isinstance(part, ast.Constant) else "*" for part in parts)


def differences(documented: set[str], found: set[str]) -> tuple[set[str], set[str]]:
    """What the documentation has and no source gives; what a source gives and the documentation has not."""
    made_up = {name for name in documented if not any(fnmatchcase(name, pattern) for pattern in found)}
    missing = {pattern for pattern in found if not any(fnmatchcase(name, pattern) for name in documented)}
    return made_up, missing
