"""Every `sidecar …` and `make …` in the documentation is one that there is, with arguments that it takes."""

import contextlib
import re
import shlex
from collections.abc import Iterator

import click
import pytest
from docs_page import ROOT, blocks, text_of

from sidecar.cli import main

PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
PAGES += [str(path.relative_to(ROOT)) for path in sorted((ROOT / "deploy").rglob("*")) if path.is_file()]

_INDENTED = re.compile(r"^ {4,}(.*)$", re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_SIDECAR = re.compile(r"\s*(?:docker .*exec .*sidecar )?(?:\S*/bin/)?sidecar (?=[a-z]+\b)")
_COMMENT = re.compile(r"(?:^|\s)# .*|\s{3,}.*")
"""What is written beside a command, for the reader."""


def command_lines(text: str) -> Iterator[str]:
    """Each command of an indented or shell block, and each that is named within a sentence."""
    code = [content for _, language, content in blocks(text) if language == "sh"]
    sentences = _FENCED.sub("", text)
    code += _INDENTED.findall(sentences) + _INLINE.findall(sentences)
    for part in code:
        for line in part.replace("\\\n", " ").splitlines():
            yield from re.split(r"&&|\||;", _COMMENT.sub("", line))


def arguments_of_sidecar(text: str) -> Iterator[list[str]]:
    """What follows the command `sidecar`, where a verb follows."""
    for line in command_lines(text):
        if found := _SIDECAR.match(line):
            with contextlib.suppress(ValueError):  # a quotation that goes on in the next line
                yield shlex.split(line[found.end() :])


def understood(words: list[str]) -> None:
    """Raise click.UsageError unless there is such a verb, with such options."""
    command: click.Command = main
    context = click.Context(main, info_name="sidecar")
    while isinstance(command, click.Group):
        name, *words = words
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no verb {name}")
        command, context = found, click.Context(found, parent=context, info_name=name)
    given, _, _ = command.make_parser(context).parse_args([word for word in words if word != "…"])
    for parameter in command.params:
        value = given.get(parameter.name or "")
        if isinstance(parameter.type, click.Choice) and isinstance(value, str):
            parameter.type.convert(value, parameter, context)


COMMANDS = [(page, words) for page in PAGES for words in arguments_of_sidecar(text_of(page)) if words]


def test_pages_have_many_commands() -> None:
    assert len(COMMANDS) > 60
    assert {words[0] for _, words in COMMANDS} >= {"run", "check", "connect", "goals", "send", "backup", "logs"}


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=str)
def test_command_of_a_page_is_one_that_there_is(page: str, words: list[str]) -> None:
    try:
        understood(words)
    except click.UsageError as error:
        pytest.fail(f"{page}: sidecar {' '.join(words)}: {error.message}")


@pytest.mark.parametrize("words", [["lgos"], ["logs", "--folow"], ["goals", "mend"], ["logs", "--level", "loud"]])
def test_command_that_there_is_not_is_found(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        understood(words)


def test_every_target_of_make_is_one_that_there_is() -> None:
    targets = re.search(r"^\.PHONY: (.*)$", text_of("Makefile"), re.MULTILINE)
    assert targets
    used = {
        (page, word)
        for page in PAGES
        for line in command_lines(text_of(page))
        for word in re.findall(r"^make (?:[A-Z]+=\S+ )?([a-z-]+)", line)
    }
    assert len(used) > 10
    assert {(page, word) for page, word in used if word not in targets[1].split()} == set()
