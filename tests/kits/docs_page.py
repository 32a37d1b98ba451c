"""Reading a page of the documentation: its blocks, its tables, its links, and the requests that its curl lines make."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEAD = re.compile(r"HTTP/1\.1 (\d{3}) ")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass
class Request:
    """What one curl line asks for."""

    url: str = ""
    method: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None

    @property
    def verb(self) -> str:
        return self.method or ("GET" if self.body is None else "POST")


@dataclass
class Shown:
    """An answer as the page shows it; without a status where it shows the body only."""

    status: int | None
    headers: dict[str, str]
    body: Any


@dataclass
class Example:
    """Requests one after another; what is shown is the answer to the last."""

    line: int
    requests: list[Request]
    shown: Shown | None


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def blocks(text: str) -> Iterator[tuple[int, str, str]]:
    """Each fenced block: its line, its language, what is in it."""
    for found in _BLOCK.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, found[1], found[2]


def examples(text: str) -> list[Example]:
    """Every shell block with a curl in it, with the answer in the block below it, if one is shown there."""
    found: list[Example] = []
    for line, language, content in blocks(text):
        if language == "sh" and "curl" in content:
            found.append(Example(line, list(requests(content)), None))
        elif language in ("http", "json") and found and found[-1].shown is None:
            found[-1].shown = shown(content)
    return found


def requests(script: str) -> Iterator[Request]:
    """The requests of a script of curl lines, joined by && and rests."""
    for command in script.replace("\\\n", " ").split("&&"):
        words = shlex.split(command)
        if words[0] == "curl":
            yield _request(words[1:])
        else:
            assert words[0] == "sleep", f"the tests cannot run {words[0]}"


def _request(words: list[str]) -> Request:
    request = Request()
    rest = iter(words)
    for word in rest:
        match word:
            case "-sS" | "-i":
                pass
            case "-H" | "--header":
                name, _, value = next(rest).partition(": ")
                request.headers[name] = value
            case "-d" | "--data":
                request.body = next(rest)
                request.headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            case "-w":
                next(rest)
            case "-X":
                request.method = next(rest)
            case _:
                assert word.startswith("http://127.0.0.1:8077/"), f"the tests do not know {word}"
                request.url = word.removeprefix("http://127.0.0.1:8077")
    return request


def shown(content: str) -> Shown:
    """A block that has either a whole answer or only its JSON."""
    head = _HEAD.match(content)
    if head is None:
        return Shown(None, {}, json.loads(content))
    lines, _, body = content.partition("\n\n")
    headers = dict(line.split(": ", 1) for line in lines.splitlines()[1:])
    return Shown(int(head[1]), headers, json.loads(body))


def answers(text: str) -> list[Shown]:
    """Every answer that the page shows with its status."""
    return [shown(content) for _, language, content in blocks(text) if language == "http"]


def table(text: str, head: str) -> list[list[str]]:
    """The cells of every table whose head begins with the cell `head`."""
    rows: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] if line.startswith("|") else []
        if not cells:
            inside = False
        elif cells[0] == head:
            inside = True
        elif inside and not cells[0].startswith("---"):
            rows.append(cells)
    return rows


def names(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def links(text: str) -> list[str]:
    """Where the links of a page lead to, those to other sites aside."""
    return [target for target in _LINK.findall(_BLOCK.sub("", text)) if "://" not in target]


def anchors(text: str) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
