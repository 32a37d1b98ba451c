"""Explains pydantic's errors in a control call: the place, the expected form, a similar name."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

_WANTED = {
    "missing": "is needed",
    "string_type": "must be a text in quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": "must be a list",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "model_attributes_type": "must be an object",
    "union_tag_not_found": "needs a type",
    "finite_number": "must be a number",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
}
"""By pydantic's error type, https://docs.pydantic.dev/latest/errors/validation_errors/"""

_BOUNDS = {
    "greater_than": ("gt", "must be more than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}


def explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """A sentence for each error in a body of type `model`: `action.seconds: must be at most 3600`."""
    return list(dict.fromkeys(_text(detail, model) for detail in error.errors(include_url=False)))


def suggestion(name: str, known: Iterable[str]) -> str:
    """The known names, and the one that was probably meant."""
    names = list(known)
    close = difflib.get_close_matches(name[:100], names, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}known: {', '.join(names)}"


def _text(detail: Mapping[str, Any], model: type[BaseModel]) -> str:
    path, fields, unnamed = _resolve(detail["loc"], model)
    where = ".".join(path)
    message = _message(detail, fields, unnamed)
    return f"{where}: {message}" if where else message


def _resolve(loc: tuple[int | str, ...], model: type[BaseModel]) -> tuple[list[str], Mapping[str, Any], list[str]]:
    """The path in the body, the fields of the object where it ends, and the possible types of that object.

    In pydantic's own path the type of an object is a step, too.
    """
    path: list[str] = []
    fields: Mapping[str, Any] = model.model_fields
    kinds: dict[str, type[BaseModel]] = {}
    for step in loc:
        if str(step) in kinds:
            fields, kinds = kinds[str(step)].model_fields, {}
            continue
        path.append(str(step))
        annotation = fields[str(step)].annotation if str(step) in fields else None
        inner = _models(annotation)
        types = [str(get_args(each.model_fields["type"].annotation)[0]) for each in inner] if len(inner) > 1 else []
        kinds = dict(zip(types, inner, strict=False))
        fields = inner[0].model_fields if len(inner) == 1 else fields
    return path, fields, list(kinds)


def _models(annotation: Any) -> list[type[BaseModel]]:
    options = get_args(annotation) or (annotation,)
    return [each for each in options if isinstance(each, type) and issubclass(each, BaseModel)]


def _message(detail: Mapping[str, Any], fields: Mapping[str, Any], kinds: list[str]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    match kind:
        case "json_invalid":
            found = re.search(r" at line ([0-9]+) column ([0-9]+)$", str(context["error"]))
            return "the body is not JSON" + (f" from line {found[1]}, column {found[2]} on" if found else "")
        case "extra_forbidden":
            return f"is not known; {suggestion(str(detail['loc'][-1]), fields)}"
        case "union_tag_invalid":
            return f"has a type that is not known; {suggestion(str(context['tag']), kinds)}"
        case "union_tag_not_found":
            return f"needs a type: {', '.join(kinds)}"
        case "literal_error" | "enum":
            return f"must be {context['expected'].replace(chr(39), '')}"
        case "value_error":
            return str(context["error"])
        case _ if kind in _BOUNDS:
            name, text = _BOUNDS[kind]
            return f"{text} {context[name]:g}"
        case _:
            return _WANTED.get(kind, "cannot be used")
