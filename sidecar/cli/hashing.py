"""`sidecar hash`: each step of normalising an e-mail or phone, and its hash. Needs no running sidecar."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

import click

from sidecar.cli.words import plain
from sidecar.core.intake import countries, identity, normalising
from sidecar.core.intake import identifiers as user
from sidecar.core.intake.normalising import Normalised

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Shown:
    """One identifier that was looked at, and what should be known of it though it is usable."""

    found: Normalised
    warning: str | None = None


@click.command()
@click.option("--email", metavar="EMAIL", help="An e-mail address; - reads it from standard input.")
@click.option("--phone", metavar="PHONE", help="A phone number; - reads it from standard input.")
@click.option("--country", metavar="CC", help="ISO 3166 country of a number without country code, such as DE.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def hash(email: str | None, phone: str | None, country: str | None, as_json: bool) -> None:  # noqa: A001 - the verb
    """Show what each step of normalising makes of an e-mail or phone, and the SHA-256 that is sent.

    With - the value is read from standard input, one a line (the e-mail first), or asked for at a terminal without
    being shown: it then stays out of the shell's history. Exit code 1 when one cannot be used.

    \b
    sidecar hash --email ' John.Doe+shop@Contoso.com'
    sidecar hash --email - --phone - --country US < person.txt
    """
    if email is None and phone is None:
        raise click.UsageError("name an --email or a --phone, or both")
    country = _country(country)
    shown: dict[str, Shown] = {}
    if email is not None:
        shown["email"] = _email(_given(email, "E-mail"))
    if phone is not None:
        shown["phone"] = Shown(normalising.phone(_given(phone, "Phone"), country, "or name --country"))
    click.echo(json.dumps(_as_json(shown), indent=2) if as_json else "\n".join(_told(shown)))
    sys.exit(0 if all(one.found.sha256 for one in shown.values()) else 1)


def _country(given: str | None) -> str | None:
    if given is None:
        return None
    country = countries.country(given)
    if country is None:
        raise click.BadParameter("must be a country code of ISO 3166, such as US or GB", param_hint="--country")
    return country


def _given(value: str, label: str) -> str:
    """The value itself, or for - what comes on standard input."""
    if value != STDIN:
        return value
    if sys.stdin is None:
        raise click.UsageError("there is no standard input to read it from")
    if sys.stdin.isatty():
        asked: str = click.prompt(label, hide_input=True, err=True)
        return asked
    return _line(sys.stdin, label)


def _line(stdin: TextIO, label: str) -> str:
    line = stdin.readline()
    if not line:
        raise click.UsageError(f"standard input has no line for it: {label}")
    return line.rstrip("\r\n")


def _email(text: str) -> Shown:
    normalised = identity.email(text)
    shared = normalised is not None and user.is_role(normalised)
    return Shown(normalising.email(text), user.SHARED if shared else None)


# --- Shown -----------------------------------------------------------------------------------------------------------


def _told(shown: Mapping[str, Shown]) -> Iterator[str]:
    for name, one in shown.items():
        found = one.found
        yield name
        width = max((len(step) for step, _ in found.steps), default=0)
        yield from (f"  {step:{width}}  {plain(result) or '(nothing)'}" for step, result in found.steps)
        if found.sha256:
            is_hash = "" if found.steps else " (it is a hash already, and taken as it is)"
            yield f"  SHA-256: {found.sha256}{is_hash}"
        else:
            yield f"  cannot be used: it {found.unusable}"
        if one.warning:
            yield f"  warning: it {one.warning}"


def _as_json(shown: Mapping[str, Shown]) -> dict[str, Any]:
    return {
        name: {
            "steps": [{"step": step, "result": result} for step, result in one.found.steps],
            "sha256": one.found.sha256,
            "unusable": one.found.unusable,
            "warning": one.warning,
        }
        for name, one in shown.items()
    }
