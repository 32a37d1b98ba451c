"""`sidecar send`: one conversion from flags or standard input, for a first try."""

import json
import re
import sys
import time
from decimal import Decimal

import click

from sidecar.cli import words
from sidecar.cli.remote import CallRefused, Failed, Json, Remote, RemoteAnswer, with_remote

POLL_SECONDS = 0.5

_PERSON = ("email", "phone", "country")


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
@click.option("--time", "at", metavar="TIME", help="RFC 3339 with offset, or Unix seconds; default now.")
@click.option("--consent", type=click.Choice(["granted", "denied"]), help="The customer's consent.")
@click.option("--account", help="A key of accounts:, where there are several.")
@click.option(
    "--wait",
    type=click.IntRange(0),
    default=0,
    metavar="SECONDS",
    help="Watch it for so long; exit code 1 unless all of it is delivered by then.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what the API prints.")
@with_remote
def send(remote: Remote, event: str | None, wait: int, as_json: bool, **fields: str | None) -> None:
    """Send one conversion: EVENT with options, or JSON on standard input as POST /v1/conversions takes it.

    With EVENT standard input is not read.

    \b
    sidecar send purchase --order-id A-1 --value 99.99 --email customer@example.com --wait 10
    echo '{"event": "lead", "user": {"email": "customer@example.com"}}' | sidecar send
    """
    answer = _posted(remote, _from_options(event, fields) if event else _from_stdin(fields))
    shown = _watched(remote, answer.body, time.monotonic() + wait) if wait else answer.body
    click.echo(json.dumps(shown, indent=2) if as_json else _told(answer.status, shown))
    sys.exit(_exit_code(answer.status, shown, wait))


# --- What is sent ----------------------------------------------------------------------------------------------------


def _from_options(event: str, fields: dict[str, str | None]) -> bytes:
    given = {name: text for name, text in fields.items() if text is not None}
    value, at = given.pop("value", None), given.pop("at", None)
    user = {name: given.pop(name) for name in _PERSON if name in given}
    body: Json = {"event": event, **given}
    if at is not None:
        body["time"] = time_of(at)
    if user:
        body["user"] = user
    return _with_exact_value(json.dumps(body), value).encode()


def time_of(text: str) -> str | int:
    """A time as the API takes it: Unix seconds as a number, anything else as it was written."""
    return int(text) if re.fullmatch("[0-9]{1,20}", text) else text


def _with_exact_value(body: str, value: str | None) -> str:
    """The body with the value digit for digit as it was written: a float in between would change some."""
    return body if value is None else f'{body[:-1]}, "value": {number(value)}}}'


def number(text: str) -> str:
    """A --value as JSON writes it, digit for digit. click.BadParameter for anything else."""
    if not re.fullmatch(r"-?[0-9]{1,40}(\.[0-9]{1,40})?", text):
        raise click.BadParameter(f"{text!r} is not a number such as 99.99", param_hint="--value")
    return f"{Decimal(text):f}"


def _from_stdin(fields: dict[str, str | None]) -> bytes:
    if any(value is not None for value in fields.values()):
        raise click.UsageError("name the EVENT, as in `sidecar send purchase --value 10`")
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError("name an EVENT, or give JSON on standard input")
    body = sys.stdin.buffer.read()
    if not body.strip():
        raise click.UsageError("name an EVENT, or give JSON on standard input: it is empty")
    return body


# --- What became of it -----------------------------------------------------------------------------------------------


def _posted(remote: Remote, body: bytes) -> RemoteAnswer:
    """The answer; that to an array has its results also where every item was refused."""
    try:
        return remote.post_bytes("/v1/conversions", body)
    except CallRefused as refused:
        if "results" not in refused.body:
            raise
        return RemoteAnswer(refused.status, refused.body)


def _watched(remote: Remote, answer: Json, until: float) -> Json:
    """What was stored, once it is settled, or as it is at `until` (monotonic seconds)."""
    if "results" in answer:
        # One after another: those behind the first that waits settle meanwhile, and are asked for once.
        return {**answer, "results": [_settled(remote, result, until) for result in answer["results"]]}
    return _settled(remote, answer, until)


def _settled(remote: Remote, answer: Json, until: float) -> Json:
    while answer.get("state") == "pending":
        try:
            answer = {**answer, **remote.get(f"/v1/conversions/{answer['id']}")}
        except Failed as error:
            raise Failed(f"{answer['id']} is stored; what became of it is unknown: {error.message}") from None
        if answer.get("state") != "pending" or time.monotonic() >= until:
            break
        time.sleep(POLL_SECONDS)
    return answer


def _told(status: int, answer: Json) -> str:
    """A few words for a person."""
    if "results" in answer:
        return "\n".join(words.rows(answer))
    known = ["  It was stored before, and counts once."] if status == 200 and "id" in answer else []
    return "\n".join([*words.row(answer), *known])


def _exit_code(status: int, answer: Json, wait: int) -> int:
    """1 where something was refused, or where delivery was waited for in vain."""
    items = answer.get("results", [answer])
    undelivered = wait > 0 and any(item.get("state") != "delivered" for item in items)
    return 1 if status not in (200, 202) or undelivered else 0
