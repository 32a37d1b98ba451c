"""Substitutes `${NAME}` and `${NAME:-default}` in values, from the environment that the caller passes."""

import re
from collections.abc import Mapping

from sidecar.config.problems import KeyPath, Report
from sidecar.config.yaml_document import Value

_REFERENCE = re.compile(r"\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\})?")
"""An opening `${` that is not followed by a name and a closing brace matches too, without a name."""


def substitute(value: Value, environ: Mapping[str, str], path: KeyPath, report: Report) -> Value:
    """`value` with every reference replaced, at any depth; one that cannot be replaced goes into `report`."""
    match value:
        case str():
            return _substitute_text(value, environ, path, report)
        case list():
            return [substitute(item, environ, (*path, index), report) for index, item in enumerate(value)]
        case dict():
            return {key: substitute(item, environ, (*path, key), report) for key, item in value.items()}
        case None:
            return None


def _substitute_text(text: str, environ: Mapping[str, str], path: KeyPath, report: Report) -> str:
    unset: list[str] = []

    def replacement(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if name is None:
            report.add(path, "has a `${` without a name and a closing brace: write ${NAME} or ${NAME:-default}")
            return match[0]
        # As in a shell, `:-` also applies to a variable that is set and empty.
        found = environ.get(name) if default is None else environ.get(name) or default
        if found is None:
            unset.append(name)
        return found or ""

    result = _REFERENCE.sub(replacement, text)
    if unset:
        names = list(dict.fromkeys(unset))
        are = "variable is" if len(names) == 1 else "variables are"
        default = f"set it, or write a default: ${{{names[0]}:-…}}"
        report.add(path, f"environment {are} not set: {' and '.join(names)}; {default}")
    return result
