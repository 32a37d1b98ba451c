"""Validates the parsed file with pydantic, and rewrites pydantic's errors in plain words."""

from typing import Any

from pydantic import ValidationError

from sidecar.config.key_names import suggest_key
from sidecar.config.problems import KeyPath, Report
from sidecar.config.sections import Config
from sidecar.config.yaml_document import Value

_REQUIRED = {
    "environment": "is required: production, sandbox or emulator (a local stand-in that needs no account)",
    "goal": "is required: the exact name of the conversion goal in Microsoft Advertising",
}

_TYPES = {
    "model_type": "must be a section with keys of its own",
    "dict_type": "must be a section of names, each with keys of its own",
    "tuple_type": "must be a list, such as [one, two]",
}


def validate(values: dict[str, Value], report: Report) -> Config:
    """The configuration in `values`, which this function changes.

    A wrong value goes into `report` and is replaced by its default. So the rules between keys are checked too, and the
    user gets all problems at once.
    """
    values["microsoft"] = {} if values.get("microsoft") is None else values["microsoft"]
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            report.add(detail["loc"], _message(detail["type"], detail["loc"], detail.get("ctx", {})))
            _replace(values, detail["loc"])
        return validate(values, report)


def _message(kind: str, path: KeyPath, context: dict[str, Any]) -> str:
    """The message for one of pydantic's errors; https://docs.pydantic.dev/latest/errors/validation_errors/"""
    match kind:
        case "extra_forbidden":
            near = suggest_key(path)
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


def _replace(values: dict[str, Any], path: KeyPath) -> None:
    """Removes the wrong value at `path`, a wrong item with its whole list; a required one gets a placeholder."""
    *around, last = path
    inner = values
    for place, step in enumerate(around, start=1):
        following = inner.get(str(step)) or {}
        if isinstance(following, list) or isinstance(path[place], int):
            inner.pop(str(step), None)  # gone already when an earlier item of the list was wrong
            return
        inner[str(step)] = following
        inner = following
    inner.pop(str(last), None)
    if (placeholder := _placeholder(path)) is not None:
        inner[str(last)] = placeholder


def _placeholder(path: KeyPath) -> Value:
    """The value of a required key, or of a name that other keys may refer to, while it is wrong."""
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
