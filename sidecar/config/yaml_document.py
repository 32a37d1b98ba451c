"""Parses YAML into texts, lists and mappings, with the line of every key; the sections interpret the texts.

No scalar is converted here, so that the country `NO`, the id `0123` and the date `2026-11-23` stay as written.
"""

import re

import yaml

from sidecar.config.problems import KeyPath, Report

Value = str | None | list["Value"] | dict[str, "Value"]
"""None is an empty value, `~` or `null`: the key counts as absent."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_MAX_DEPTH = 20

_QUOTES = 'put quotes around it: {} YAML takes ${{NAME}} only as "${{NAME}}"'


def parse_yaml(text: str, report: Report) -> dict[str, Value]:
    """The mapping that `text` holds, empty for an empty file; lines and problems go into `report`."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        report.add((), "holds a character that YAML does not allow", line=line)
        return {}
    except yaml.MarkedYAMLError as error:
        report.add((), _hint(error, text) or _message(error), line=_line_of(error))
        return {}
    if root is None or (isinstance(root, yaml.ScalarNode) and _value(root, (), report) is None):
        return {}
    value = _value(root, (), report)
    if isinstance(value, dict):
        return value
    report.add((), "must be a mapping of keys, such as `server:`", line=1)
    return {}


class _Loader(yaml.BaseLoader):
    """Refuses anchors, aliases and tags: a value that begins with & or ! or * would vanish or change silently.

    Also refuses nesting that is deeper than any key, before Python's stack overflows.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) is not None or getattr(event, "tag", None) is not None:
            problem = "anchors, aliases and tags are not read; quote a value that begins with &, * or !"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        if self.depth == _MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, "it is nested too deep", event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _value(node: yaml.Node, path: KeyPath, report: Report) -> Value:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, report)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            report.lines[(*path, index)] = _line(item)
        return [_value(item, (*path, index), report) for index, item in enumerate(node.value)]
    is_plain = isinstance(node, yaml.ScalarNode) and node.style is None
    return None if is_plain and node.value in _NULLS else str(node.value)


def _mapping(node: yaml.MappingNode, path: KeyPath, report: Report) -> Value:
    values: dict[str, Value] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            report.add((*path, "?"), "a key must be a plain word", line=_line(key_node))
            continue
        key = str(key_node.value)
        inner = (*path, key)
        if key in values:
            first = report.lines[inner]
            report.add(inner, f"is given twice, first in line {first}", line=_line(key_node))
            continue
        report.lines[inner] = _line(key_node)
        values[key] = _value(value_node, inner, report)
    return values


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _line_of(error: yaml.MarkedYAMLError) -> int | None:
    at_the_end = "end of stream" in (error.problem or "")  # then the line where it began helps
    mark = (error.context_mark if at_the_end else None) or error.problem_mark or error.context_mark
    return None if mark is None else int(mark.line) + 1


def _hint(error: yaml.MarkedYAMLError, text: str) -> str | None:
    """Advice for a common mistake; None where YAML's own message must do."""
    mark, problem = error.problem_mark, error.problem or ""
    if mark is None:
        return None
    line = [*text.splitlines(), ""][mark.line]
    before, after = line[: mark.column], line[mark.column :]
    if before.endswith("$") and after.startswith("{"):
        return _QUOTES.format("inside {…} and […]")
    if "mapping values are not allowed" in problem and "${" in before:
        return _QUOTES.format("beside a colon")
    if "cannot start any token" in problem and after[:1] in tuple("%@`"):
        return "quote a value that begins with %, @ or `"
    return None


def _message(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's message, without the piece of the file that it may quote: that could be part of a secret."""
    message = ", ".join(part for part in (error.context, error.problem) if part)
    return "is not YAML: " + re.sub(r"'[\w!~.-]{2,}'", "'…'", message)
