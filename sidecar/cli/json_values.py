"""Turns the texts of options into JSON without changing a digit."""

import json
import re
from decimal import Decimal
from typing import Any

import click


def encode(fields: dict[str, Any], value: str | None) -> bytes:
    """The JSON object of `fields`, None left out, and of `value`, digit for digit: a float would change some.

    Raises click.BadParameter when `value` is no number.
    """
    body = json.dumps({name: given for name, given in fields.items() if given is not None})
    if value is None:
        return body.encode()
    if not re.fullmatch(r"-?[0-9]{1,40}(\.[0-9]{1,40})?", value):
        raise click.BadParameter(f"{value!r} is not a number such as 99.99", param_hint="--value")
    return f'{body[:-1]}, "value": {Decimal(value):f}}}'.encode()


def time_value(text: str) -> str | int:
    """A --time as the API takes it: Unix seconds as a number, anything else as it was written."""
    return int(text) if re.fullmatch("[0-9]{1,20}", text) else text
