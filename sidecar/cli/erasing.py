"""`sidecar erase`: a person's data is forgotten, found by e-mail, phone, visitor or order."""

import json
import sys
import time
from urllib.parse import quote

import click

from sidecar.cli.remote import Json, Remote, with_remote
from sidecar.cli.words import plain

PATIENCE_SECONDS = 30.0
"""How long the end is waited for; the erasure goes on without anybody."""

POLL_SECONDS = 0.5


@click.command()
@click.option("--email", help="The person's e-mail address, or its SHA-256.")
@click.option("--phone", help="The person's phone number, or its SHA-256.")
@click.option("--country", help="Country code (ISO 3166) of a --phone without one.")
@click.option("--visitor", "visitor_id", help="Your id of the visitor.")
@click.option("--order", "order_id", help="The order id.")
@click.option("--retract", is_flag=True, help="Take back at Microsoft what was uploaded, first.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what the API prints; goes with --yes.")
@with_remote
def erase(remote: Remote, retract: bool, yes: bool, as_json: bool, **given: str | None) -> None:
    """Forget everything that identifies a person: clicks, hashes, ids; conversions stay as numbers.

    It cannot be undone. Name exactly one of --email, --phone, --visitor and --order.
    """
    wanted: Json = {name: text for name, text in given.items() if text is not None}
    if len(wanted.keys() - {"country"}) != 1:
        raise click.UsageError("name exactly one of --email, --phone, --visitor and --order")
    if not yes:
        _ask(as_json)
    job = remote.post("/v1/erasures", {**wanted, **({"retract": True} if retract else {})})
    for warning in job.get("warnings") or ():
        click.echo(f"warning, {plain(warning.get('field'))}: {plain(warning.get('message'))}", err=True)
    job = _followed(remote, job)
    click.echo(json.dumps(job, indent=2) if as_json else _told(job))


def _ask(as_json: bool) -> None:
    if as_json or sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: add --yes")
    click.confirm("Erase everything that identifies this person? It cannot be undone.", abort=True)


def _followed(remote: Remote, job: Json) -> Json:
    """The erasure once it is done, or has to wait for Microsoft, or takes long."""
    until = time.monotonic() + PATIENCE_SECONDS
    while job.get("state") == "running" and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        job = remote.get(f"/v1/erasures/{quote(str(job.get('id')), safe='')}")
    return job


def _told(job: Json) -> str:
    removed = job.get("removed") or {}
    numbers = (
        f"{plain(removed.get('conversions', 0))} conversions ({plain(removed.get('skipped', 0))} of them not sent), "
        f"{plain(removed.get('clicks', 0))} clicks, {plain(removed.get('log_entries', 0))} log entries"
    )
    name = plain(job.get("id"))
    match job.get("state"):
        case "done":
            return f"{name} is done: {numbers}."
        case "waiting":
            waiting = plain(job.get("waiting", 0))
            return f"{name} waits for Microsoft's answer to {waiting} rows, and goes on by itself. So far: {numbers}."
        case _:
            return f"{name} goes on by itself; GET /v1/erasures/{name} tells how far it is. So far: {numbers}."
