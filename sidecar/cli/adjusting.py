"""`sidecar restate` and `sidecar retract`: an order's value is corrected, or the order is taken back."""

import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from sidecar.cli import words
from sidecar.cli.remote import Json, Remote, with_remote
from sidecar.cli.sending import number, time_of

F = TypeVar("F", bound=Callable[..., Any])


def _options(command: F) -> F:
    """What both verbs take."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print what the API prints."),
        click.option("--idempotency-key", metavar="KEY", help="Your own name of this adjustment, to repeat it by."),
        click.option("--time", "at", metavar="TIME", help="RFC 3339 with offset, or Unix seconds; default now."),
        click.option("--event", help="The order's event, where it has several."),
        click.argument("order"),
    ):
        command = option(command)
    return command


@click.command()
@_options
@click.option("--value", required=True, help="The new total, such as 60.00: not the difference.")
@click.option("--currency", help="ISO 4217, such as USD; default the conversion's.")
@with_remote
def restate(remote: Remote, order: str, value: str, currency: str | None, as_json: bool, **given: str | None) -> None:
    """Correct the value of ORDER, an order id or the id of a conversion such as conv_17.

    \b
    sidecar restate ORDER-12345 --value 60.00
    """
    body = _body("restate", order, given, currency=currency)
    _adjust(remote, f'{json.dumps(body)[:-1]}, "value": {number(value)}}}', given, as_json)


@click.command()
@_options
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@with_remote
def retract(remote: Remote, order: str, yes: bool, as_json: bool, **given: str | None) -> None:
    """Take ORDER back, an order id or the id of a conversion such as conv_17. It cannot be undone.

    \b
    sidecar retract ORDER-12345
    """
    if not yes:
        _ask(order, as_json)
    _adjust(remote, json.dumps(_body("retract", order, given)), given, as_json)


def _body(kind: str, order: str, given: dict[str, str | None], **more: str | None) -> Json:
    named = {"conversion_id" if order.startswith("conv_") else "order_id": order, "type": kind}
    fields = {"event": given["event"], **more}
    at = {} if given["at"] is None else {"time": time_of(given["at"])}
    return {**named, **{name: text for name, text in fields.items() if text is not None}, **at}


def _ask(order: str, as_json: bool) -> None:
    if as_json or sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: add --yes")
    click.confirm(f"Take {words.plain(order)} back? Microsoft takes no adjustment of it after that.", abort=True)


def _adjust(remote: Remote, body: str, given: dict[str, str | None], as_json: bool) -> None:
    key = given["idempotency_key"]
    headers = {"Idempotency-Key": key} if key else {}
    answer = remote.post_bytes("/v1/adjustments", body.encode(), headers)
    if as_json:
        click.echo(json.dumps(answer.body, indent=2))
        return
    known = ["  It was said before, and counts once."] if answer.status == 200 and "id" in answer.body else []
    click.echo("\n".join([*words.row(answer.body), *known]))
