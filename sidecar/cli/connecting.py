"""`sidecar connect`: the sign-in from a terminal; the running sidecar owns it, this shows the way."""

import json
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs, urlsplit

import click

from sidecar.cli.pasting import Pasted, pasted
from sidecar.cli.remote import Failed, Remote, with_remote
from sidecar.cli.words import Json, plain

WAIT_SECONDS = 600.0
"""So long is a sign-in that was begun remembered."""

POLL_SECONDS = 1.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the connection as the API prints it; the rest on stderr.")
@with_remote
def connect(remote: Remote, as_json: bool) -> None:
    """Sign in to Microsoft Advertising: prints an address to open, then waits for the way back.

    Where the browser cannot reach the sidecar, paste the address it ended at; it is not shown.
    """
    before = remote.get("/v1/connection")
    begun = remote.post("/connect", {})
    say = partial(click.echo, err=as_json)
    if before.get("connected"):
        say("It is connected already; signing in again replaces that sign-in.\n")
    say("Open this address in a browser and sign in:\n")
    say(f"  {plain(begun['url'])}\n")
    with pasted() as terminal:
        say("Waiting. If the browser ends at a page that cannot be reached, paste its address here, then Enter.")
        connection = _wait(remote, before, terminal)
    if as_json:
        click.echo(json.dumps(connection, indent=2))
    _report(connection, say)


def _wait(remote: Remote, before: Json, terminal: Pasted) -> Json:
    """The connection after the sign-in that was begun; Failed when nothing came."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        line = terminal.line(POLL_SECONDS)
        if _is_return(line):
            return remote.post("/oauth/callback", {"redirect_url": line})
        if line:
            click.echo("That is not it: the address has `code=` and `state=` in it. Paste all of it.", err=True)
        now = remote.get("/v1/connection")
        if now.get("last_sign_in") != before.get("last_sign_in"):
            return now
    raise Failed("nobody signed in within ten minutes; run `sidecar connect` again")


def _is_return(line: str) -> bool:
    """Whether it is the address by which Microsoft sends a browser back, with a code or with an error."""
    try:
        query = parse_qs(urlsplit(line).query)
    except ValueError:
        return False
    return "state" in query and ("code" in query or "error" in query)


def _report(connection: Json, say: Callable[[str], None]) -> None:
    trouble = (connection.get("last_sign_in") or {}).get("trouble") or connection.get("trouble")
    if trouble:
        raise Failed(f"not connected: {plain(trouble['message'])}\n  What to do: {plain(trouble['fix'])}")
    say("Connected. Waiting conversions are on their way; `sidecar send` tries one.")
