"""`sidecar erase`: forgets a person's data, found by e-mail, phone, visitor or order."""

import time
from collections.abc import Iterator
from urllib.parse import quote

import click

from sidecar.cli.client import SidecarClient
from sidecar.cli.formatting import Json, plain
from sidecar.cli.options import print_answer, require_terminal, with_client, yes_option

WAIT_SECONDS = 30.0
"""How long the verb waits for the end; the service continues without it."""

POLL_SECONDS = 0.5


@click.command()
@click.option("--email", help="The person's e-mail address, or its SHA-256.")
@click.option("--phone", help="The person's phone number, or its SHA-256.")
@click.option("--country", help="Country code (ISO 3166) of a --phone without one.")
@click.option("--visitor", "visitor_id", help="Your id of the visitor.")
@click.option("--order", "order_id", help="The order id.")
@click.option("--retract", is_flag=True, help="Take back at Microsoft what was uploaded, first.")
@yes_option
@click.option("--json", "as_json", is_flag=True, help="Print what the API prints; goes with --yes.")
@with_client
def erase(client: SidecarClient, retract: bool, yes: bool, as_json: bool, **given: str | None) -> None:
    """Forget everything that identifies a person: clicks, hashes, ids; conversions stay as numbers.

    It cannot be undone. Name exactly one of --email, --phone, --visitor and --order.
    """
    wanted: Json = {name: text for name, text in given.items() if text is not None}
    if len(wanted.keys() - {"country"}) != 1:
        raise click.UsageError("name exactly one of --email, --phone, --visitor and --order")
    if not yes:
        require_terminal(as_json)
        click.confirm("Erase everything that identifies this person? It cannot be undone.", abort=True)
    job = client.post("/v1/erasures", {**wanted, **({"retract": True} if retract else {})})
    for warning in job.get("warnings") or ():
        click.echo(f"warning, {plain(warning.get('field'))}: {plain(warning.get('message'))}", err=True)
    job = _wait(client, job)
    print_answer(job, as_json, _summary(job))


def _wait(client: SidecarClient, job: Json) -> Json:
    """The job once it is done, has to wait for Microsoft, or takes longer than WAIT_SECONDS."""
    until = time.monotonic() + WAIT_SECONDS
    while job.get("state") == "running" and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        job = client.get(f"/v1/erasures/{quote(str(job.get('id')), safe='')}")
    return job


def _summary(job: Json) -> Iterator[str]:
    removed = job.get("removed") or {}
    numbers = (
        f"{plain(removed.get('conversions', 0))} conversions ({plain(removed.get('skipped', 0))} of them not sent), "
        f"{plain(removed.get('clicks', 0))} clicks, {plain(removed.get('log_entries', 0))} log entries"
    )
    name = plain(job.get("id"))
    match job.get("state"):
        case "done":
            yield f"{name} is done: {numbers}."
        case "waiting":
            rows = plain(job.get("waiting", 0))
            yield f"{name} waits for Microsoft's answer to {rows} rows, then continues by itself. So far: {numbers}."
        case _:
            yield f"{name} continues by itself; GET /v1/erasures/{name} shows its progress. So far: {numbers}."
