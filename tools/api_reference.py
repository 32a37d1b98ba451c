"""Pages as the site shows them; docs/reference.md with every call and object of the OpenAPI document, without a script.

mkdocs calls the functions whose names begin with `on_`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sidecar.api.openapi import document

MARK = "<!-- every call of the OpenAPI document stands here -->"

Node = Mapping[str, Any]

_REPOSITORY = re.compile(r"\[([^\]]+)\]\(\.\./[^)]+\)")
"""A link to a file outside docs/, which the site does not have."""

_PAGE = re.compile(r"\[([\w-]+\.md)\]\((?=\1)")
"""A link that is called like the file that it leads to; the site calls it like the page."""


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """The page as it is built: generated where the mark is, without links that lead out of the site."""
    if page.file.src_uri == "reference.md":
        assert MARK in markdown
        markdown = markdown.replace(MARK, "\n".join(reference(document())))
    titles = {path: title for part in config["nav"] for title, path in pages(part)}
    markdown = _PAGE.sub(lambda found: f"[{titles.get(found[1], found[1])}](", markdown)
    return _REPOSITORY.sub(r"`\1` in the repository", markdown)


def pages(part: Any) -> Iterator[tuple[str, str]]:
    """Title and file of each page in a part of the navigation."""
    for title, inner in part.items():
        if isinstance(inner, str):
            yield title, inner
        else:
            for each in inner:
                yield from pages(each)


def reference(api: Node) -> Iterator[str]:
    """The lines of the page in Markdown."""
    for tag in api["tags"]:
        yield from ("", f"## {tag['name'].capitalize()}", "", f"{tag['description']}.")
        for path, item in api["paths"].items():
            for method, operation in item.items():
                if tag["name"] in operation["tags"]:
                    yield from call(api, method, path, operation)
    yield from ("", "## Objects", "", "`null` means absent. Members that are required are marked.")
    for name, schema in api["components"]["schemas"].items():
        yield from ("", f"### {name}", "", *described(api, schema))


def call(api: Node, method: str, path: str, operation: Node) -> Iterator[str]:
    """One call: what it takes and what it answers."""
    yield from ("", f"### {method.upper()} {path}", "", f"{operation['summary']}.")
    parameters = [resolved(api, each) for each in operation.get("parameters", ())]
    if parameters:
        yield from ("", "| parameter | in | form | |", "|---|---|---|---|")
        for each in parameters:
            yield row(f"`{each['name']}`", each["in"], form(each["schema"]), note(each, each.get("required")))
    if "requestBody" in operation:
        body = resolved(api, operation["requestBody"])
        yield from ("", f"The body is {kinds(body['content'])}. {body.get('description', '')}".rstrip())
    yield from ("", "| answer | body | |", "|---|---|---|")
    for status, given in operation["responses"].items():
        answer = resolved(api, given)
        code = "any other" if status == "default" else f"`{status}`"
        yield row(code, kinds(answer.get("content", {})), headers(answer))


def described(api: Node, schema: Node) -> Iterator[str]:
    """An object of the API: what it is, and a row for each member."""
    if text := schema.get("description"):
        yield from (f"{text.rstrip('.')}.", "")
    if "properties" not in schema:
        yield form({**schema, "description": ""}) + "."
        return
    yield from ("| member | form | |", "|---|---|---|")
    required = schema.get("required", ())
    for name, member in schema["properties"].items():
        yield row(f"`{name}`", form(member), note(member, name in required))


def resolved(api: Node, node: Node) -> Node:
    """What a reference leads to."""
    while "$ref" in node:
        place: Node = api
        for step in node["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        node = place
    return node


def kinds(content: Node) -> str:
    """The types of a body, each with its form."""
    return "; ".join(f"`{kind}`: {form(each['schema'])}" for kind, each in content.items()) or "none"


def headers(answer: Node) -> str:
    """What an answer means, and the headers it has."""
    names = ", ".join(f"`{name}`" for name in answer.get("headers", ()))
    return " ".join(filter(None, (note(answer), f"With {names}." if names else "")))


def form(schema: Node) -> str:
    """What values a schema allows, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for choice in ("anyOf", "oneOf"):
        if choice in schema and "properties" not in schema:
            return " or ".join(form(each) for each in schema[choice])
    if "allOf" in schema and "properties" not in schema:
        return " with ".join(form(each) for each in schema["allOf"])
    if "const" in schema:
        return f"`{as_json(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{as_json(each)}`" for each in schema["enum"])
    return of_type(schema)


def of_type(schema: Node) -> str:
    """The type of a schema with its limits."""
    types = [schema["type"]] if isinstance(schema.get("type"), str) else list(schema.get("type", ["any JSON"]))
    words = []
    for name in types:
        if name == "array":
            name = f"list of {form(schema['items'])}" if "items" in schema else "list"
        elif name == "object" and "properties" in schema:
            name = "object of " + ", ".join(f"`{member}`" for member in schema["properties"])
        words.append(name)
    return ", ".join(filter(None, (" or ".join(words), *limits(schema))))


def limits(schema: Node) -> Iterator[str]:
    """What a text, a number or a list may have."""
    unit = "items" if "maxItems" in schema else "characters"
    least, most = schema.get("minLength", schema.get("minItems")), schema.get("maxLength", schema.get("maxItems"))
    if most is not None:
        yield f"{least} to {most:,} {unit}" if least else f"up to {most:,} {unit}"
    elif least:
        yield "not empty"
    for key, word in (
        ("minimum", "from"),
        ("exclusiveMinimum", "over"),
        ("maximum", "to"),
        ("exclusiveMaximum", "under"),
    ):
        if key in schema:
            yield f"{word} {schema[key]:,}"
    if "format" in schema:
        yield schema["format"]
    if "pattern" in schema:
        yield f"as `{schema['pattern']}`"


def note(node: Node, required: bool | None = False) -> str:
    """What is said of a member, a parameter or an answer."""
    text = " ".join(str(node.get("description", "")).split()).rstrip(".")
    return " ".join(filter(None, ("**Required.**" if required else "", f"{text}." if text else "")))


def row(*cells: str) -> str:
    """A row of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def as_json(value: object) -> str:
    """`true` and `null` as JSON has them, texts without quotes."""
    return value if isinstance(value, str) else json.dumps(value)
