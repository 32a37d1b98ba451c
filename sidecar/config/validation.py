"""Values of the file to frozen sections by pydantic, and pydantic's findings in our own words."""

from typing import Any

from pydantic import ValidationError

from sidecar.config.document import Value
from sidecar.config.known import nearest
from sidecar.config.report import KeyPath, Report
from sidecar.config.sections import Config

_REQUIRED = {
    "environment": "is required: production, sandbox or emulator (a local stand-in that needs no account)",
    "goal": "is required: the exact name of the conversion goal in Microsoft Advertising",
}

_TYPES = {
    "model_type": "must be a section with keys of its own",
    "dict_type": "must be a section of names, each with keys of its own",
    "tuple_type": "must be a list, such as [one, two]",
}


def sections_of(values: dict[str, Value], report: Report) -> Config:
    """The sections that `values` describe.

    What is wrong goes into `report` and is replaced by its default, so that the rules between keys can still be
    checked: a user wants to hear of everything at once. `values` is used up.
    """
    values["microsoft"] = {} if values.get("microsoft") is None else values["microsoft"]
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            report.add(detail["loc"], _said(detail["type"], detail["loc"], detail.get("ctx", {})))
            _mend(values, detail["loc"])
        return sections_of(values, report)


def _said(kind: str, path: KeyPath, context: dict[str, Any]) -> str:
    """The message for one of pydantic's findings; https://docs.pydantic.dev/latest/errors/validation_errors/"""
    match kind:
        case "extra_forbidden":
            near = nearest(path)
            return f"unknown key; did you mean {near}?" if near else "unknown key"
        case "missing":
            return _REQUIRED[str(path[-1])]
        case "value_error":
            return str(context["error"])
        case "literal_error":
            choices: str = context["expected"]
            return "must be " + choices.replace("'", "")
        case _:
            return _TYPES.get(kind, "must be a single value")


def _mend(values: dict[str, Any], path: KeyPath) -> None:
    """Takes the wrong value at `path` out, a wrong item with its whole list; a required one gets its stand-in."""
    *around, last = path
    inner = values
    for place, step in enumerate(around, start=1):
        following = inner.get(str(step)) or {}
        if isinstance(following, list) or isinstance(path[place], int):
            inner.pop(str(step), None)  # with the list for its first wrong item, if it is another one's turn
            return
        inner[str(step)] = following
        inner = following
    inner.pop(str(last), None)
    if (stand_in := _stand_in(path)) is not None:
        inner[str(last)] = stand_in


def _stand_in(path: KeyPath) -> Value:
    """What keeps the place of a key that must be there, or of a name that other keys may refer to."""
    match path:
        case ("accounts", _):
            return {}
        case ("events", _):
            return {"goal": "?"}
        case ("microsoft", "environment"):
            return "emulator"
        case ("events", _, "goal"):
            return "?"
        case _:
            return None
