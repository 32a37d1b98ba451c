"""Makes sections of the parsed file, and reports every wrong value in plain words."""

from typing import Any, TypeVar

from sidecar.config.key_names import suggest_key
from sidecar.config.problems import KeyPath, Report
from sidecar.config.section import Choice, Kind, Listed, Named, Section, Single
from sidecar.config.sections import Config
from sidecar.config.yaml_document import Value

S = TypeVar("S", bound=Section)

_REQUIRED = {
    "environment": "is required: production, sandbox or emulator (a local stand-in that needs no account)",
    "goal": "is required: the exact name of the conversion goal in Microsoft Advertising",
}
_PLACEHOLDERS = {"environment": "emulator", "goal": "?"}
"""The value of a required key while it is missing or wrong."""

_SECTION = "must be a section with keys of its own"
_NAMES = "must be a section of names, each with keys of its own"
_LIST = "must be a list, such as [one, two]"
_SINGLE = "must be a single value"

_WRONG: Any = object()
"""In place of a value that was reported."""


def validate(values: dict[str, Value], report: Report) -> Config:
    """The configuration in `values`.

    A wrong value goes into `report` and is replaced by its default. So the rules between keys are checked too, and the
    user gets all problems at once.
    """
    microsoft = values.get("microsoft")
    return _section(Config, {**values, "microsoft": {} if microsoft is None else microsoft}, (), report)


def _section(section: type[S], given: Value, path: KeyPath, report: Report) -> S:
    """The section in `given`; keys with an empty value count as absent."""
    if given is not None and not isinstance(given, dict):
        report.add(path, _SECTION)
    kinds, read = section.kinds(), {}
    for key, value in given.items() if isinstance(given, dict) else ():
        if key not in kinds:
            report.add((*path, key), _unknown((*path, key)))
        elif value is not None and (one := _value(kinds[key], value, (*path, key), report)) is not _WRONG:
            read[key] = one
    for key in (kinds.keys() & _REQUIRED.keys()) - read.keys():
        read[key] = _wrong((*path, key), _REQUIRED[key], report, _PLACEHOLDERS[key])
    return section(**read)


def _value(kind: Kind, given: Value, path: KeyPath, report: Report) -> Any:
    """The value of that kind, or _WRONG. A wrong item spoils its list, and a wrong name is left out."""
    match kind:
        case Single():
            return _single(kind, given, path, report)
        case Choice(texts):
            return given if given in texts else _wrong(path, f"must be {_either(texts)}", report)
        case Listed(item):
            if not isinstance(given, list):
                return _wrong(path, _LIST, report)
            items = tuple(_value(item, one, (*path, index), report) for index, one in enumerate(given))
            return _WRONG if _WRONG in items else items
        case Named(of):
            if not isinstance(given, dict):
                return _wrong(path, _NAMES, report)
            named = {name: _value(of, one, (*path, name), report) for name, one in given.items()}
            return {name: one for name, one in named.items() if one is not _WRONG}
        case _:
            return _section(kind, given, path, report)


def _single(kind: Single, given: Value, path: KeyPath, report: Report) -> Any:
    if not isinstance(given, str):
        return _wrong(path, _SINGLE, report)
    value: Any = given
    try:
        for step in kind.steps:
            value = step(value)
    except ValueError as error:
        return _wrong(path, str(error), report)
    return value


def _wrong(path: KeyPath, message: str, report: Report, instead: Any = _WRONG) -> Any:
    report.add(path, message)
    return instead


def _unknown(path: KeyPath) -> str:
    near = suggest_key(path)
    return f"unknown key; did you mean {near}?" if near else "unknown key"


def _either(texts: tuple[str, ...]) -> str:
    return " or ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))
