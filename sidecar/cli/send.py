"""`sidecar send`: one conversion from flags or standard input, for a first try."""

import sys
import time
from collections.abc import Iterator

import click

from sidecar.cli import formatting
from sidecar.cli.client import CallRefused, ClientAnswer, CommandFailed, SidecarClient
from sidecar.cli.formatting import Json
from sidecar.cli.json_values import encode, time_value
from sidecar.cli.options import json_option, print_answer, with_client

POLL_SECONDS = 0.5


@click.command()
@click.argument("event", required=False)
@click.option("--order-id", help="Your order's id: the same one is counted once.")
@click.option("--value", help="What it was worth, such as 99.99.")
@click.option("--currency", help="ISO 4217, such as USD.")
@click.option("--msclkid", help="The ad click's id.")
@click.option("--landing-url", help="The address the click led to, with its msclkid.")
@click.option("--email", help="The customer's e-mail; it is hashed before it is stored.")
@click.option("--phone", help="The customer's phone number; it is hashed before it is stored.")
@click.option("--country", help="ISO 3166 country of a phone number without country code, such as DE.")
@click.option("--time", metavar="TIME", help="RFC 3339 with offset, or Unix seconds; default now.")
@click.option("--consent", type=click.Choice(["granted", "denied"]), help="The customer's consent.")
@click.option("--account", help="A key of accounts:, where there are several.")
@click.option(
    "--wait",
    type=click.IntRange(0),
    default=0,
    metavar="SECONDS",
    help="Wait at most this long for delivery; exit code 1 unless all of it is delivered by then.",
)
@json_option
@with_client
def send(client: SidecarClient, event: str | None, wait: int, as_json: bool, **fields: str | None) -> None:
    """Send one conversion: EVENT with options, or JSON on standard input as POST /v1/conversions takes it.

    With EVENT standard input is not read.

    \b
    sidecar send purchase --order-id A-1 --value 99.99 --email customer@example.com --wait 10
    echo '{"event": "lead", "user": {"email": "customer@example.com"}}' | sidecar send
    """
    answer = _post(client, _from_options(event, fields) if event else _from_stdin(fields))
    shown = _wait(client, answer.body, time.monotonic() + wait) if wait else answer.body
    print_answer(shown, as_json, _lines(answer.status, shown))
    undelivered = wait > 0 and any(item.get("state") != "delivered" for item in shown.get("results", [shown]))
    sys.exit(1 if answer.status not in (200, 202) or undelivered else 0)


def _from_options(event: str, fields: dict[str, str | None]) -> bytes:
    user = {name: fields.pop(name) for name in ("email", "phone", "country") if fields[name] is not None}
    value, at = fields.pop("value"), fields.pop("time")
    body = {"event": event, **fields, "time": None if at is None else time_value(at), "user": user or None}
    return encode(body, value)


def _from_stdin(fields: dict[str, str | None]) -> bytes:
    if any(value is not None for value in fields.values()):
        raise click.UsageError("name the EVENT, as in `sidecar send purchase --value 10`")
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError("name an EVENT, or give JSON on standard input")
    body = sys.stdin.buffer.read()
    if not body.strip():
        raise click.UsageError("name an EVENT, or give JSON on standard input: it is empty")
    return body


def _post(client: SidecarClient, body: bytes) -> ClientAnswer:
    """The answer; a refused bulk request has results too."""
    try:
        return client.post_bytes("/v1/conversions", body)
    except CallRefused as refused:
        if "results" not in refused.body:
            raise
        return ClientAnswer(refused.status, refused.body)


def _wait(client: SidecarClient, answer: Json, until: float) -> Json:
    """The rows of `answer` once they are settled, or as they are at `until` (monotonic seconds)."""
    if "results" in answer:
        # One after another: while the first is polled the others settle, and each of those costs one call.
        return {**answer, "results": [_wait_for_row(client, result, until) for result in answer["results"]]}
    return _wait_for_row(client, answer, until)


def _wait_for_row(client: SidecarClient, answer: Json, until: float) -> Json:
    while answer.get("state") == "pending":
        try:
            answer = {**answer, **client.get(f"/v1/conversions/{answer['id']}")}
        except CommandFailed as error:
            raise CommandFailed(f"{answer['id']} is stored; what became of it is unknown: {error.message}") from None
        if answer.get("state") != "pending" or time.monotonic() >= until:
            break
        time.sleep(POLL_SECONDS)
    return answer


def _lines(status: int, answer: Json) -> Iterator[str]:
    yield from formatting.rows(answer) if "results" in answer else formatting.row(answer)
    if status == 200 and "id" in answer:
        yield "  It was stored before, and counts once."
