"""`sidecar hash`: each step of normalising an e-mail or phone, and its hash. Needs no running sidecar."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import click

from sidecar.cli.formatting import plain
from sidecar.cli.options import print_answer
from sidecar.core.intake import countries, emails
from sidecar.core.intake.hashing import Normalised, explain_email, explain_phone

STDIN = "-"


@dataclass(frozen=True, slots=True)
class HashedIdentifier:
    """One normalised identifier, and a warning though it is usable."""

    normalised: Normalised
    warning: str | None = None


@click.command()
@click.option("--email", metavar="EMAIL", help="An e-mail address; - reads it from standard input.")
@click.option("--phone", metavar="PHONE", help="A phone number; - reads it from standard input.")
@click.option("--country", metavar="CC", help="ISO 3166 country of a number without country code, such as DE.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def hash(email: str | None, phone: str | None, country: str | None, as_json: bool) -> None:  # noqa: A001 - the verb
    """Show each step of normalising an e-mail or phone, and the SHA-256 that is sent.

    With - the value is read from standard input, one a line (the e-mail first), or asked for at a terminal without
    being shown: it then does not enter the shell's history. Exit code 1 when one cannot be used.

    \b
    sidecar hash --email ' John.Doe+shop@Contoso.com'
    sidecar hash --email - --phone - --country US < person.txt
    """
    if email is None and phone is None:
        raise click.UsageError("name an --email or a --phone, or both")
    country = _country(country)
    hashed: dict[str, HashedIdentifier] = {}
    if email is not None:
        text = _given(email, "E-mail")
        normalised = emails.normalise(text)
        shared = normalised is not None and emails.is_role(normalised)
        hashed["email"] = HashedIdentifier(explain_email(text), emails.SHARED if shared else None)
    if phone is not None:
        hashed["phone"] = HashedIdentifier(explain_phone(_given(phone, "Phone"), country, "or name --country"))
    print_answer(_as_json(hashed), as_json, _lines(hashed))
    sys.exit(0 if all(one.normalised.sha256 for one in hashed.values()) else 1)


def _country(given: str | None) -> str | None:
    if given is None:
        return None
    country = countries.country(given)
    if country is None:
        raise click.BadParameter("must be a country code of ISO 3166, such as US or GB", param_hint="--country")
    return country


def _given(value: str, label: str) -> str:
    """The value itself, or for - a line of standard input."""
    if value != STDIN:
        return value
    if sys.stdin is None:
        raise click.UsageError("there is no standard input to read it from")
    if sys.stdin.isatty():
        asked: str = click.prompt(label, hide_input=True, err=True)
        return asked
    line = sys.stdin.readline()
    if not line:
        raise click.UsageError(f"standard input has no line for it: {label}")
    return line.rstrip("\r\n")


def _lines(hashed: Mapping[str, HashedIdentifier]) -> Iterator[str]:
    for name, one in hashed.items():
        found = one.normalised
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


def _as_json(hashed: Mapping[str, HashedIdentifier]) -> dict[str, Any]:
    return {
        name: {
            "steps": [{"step": step, "result": result} for step, result in one.normalised.steps],
            "sha256": one.normalised.sha256,
            "unusable": one.normalised.unusable,
            "warning": one.warning,
        }
        for name, one in hashed.items()
    }
