"""`sidecar connect`: the sign-in from a terminal; the running sidecar performs it."""

import time
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs, urlsplit

import click

from sidecar.cli.client import CommandFailed, SidecarClient
from sidecar.cli.formatting import Json, plain
from sidecar.cli.options import print_json, with_client
from sidecar.cli.terminal_input import PastedLines, pasted_lines

WAIT_SECONDS = 600.0
"""How long the sidecar remembers a sign-in that was started."""

POLL_SECONDS = 1.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the connection as the API prints it; the rest on stderr.")
@with_client
def connect(client: SidecarClient, as_json: bool) -> None:
    """Sign in to Microsoft Advertising: prints an address to open, then waits until it is done.

    Where the browser cannot reach the sidecar, paste the address it ended at; it is not shown.
    """
    before = client.get("/v1/connection")
    started = client.post("/connect", {})
    show = partial(click.echo, err=as_json)
    if before.get("connected"):
        show("It is connected already; signing in again replaces that sign-in.\n")
    show("Open this address in a browser and sign in:\n")
    show(f"  {plain(started['url'])}\n")
    with pasted_lines() as terminal:
        show("Waiting. If the browser ends at a page that cannot be reached, paste its address here, then Enter.")
        connection = _wait(client, before, terminal)
    if as_json:
        print_json(connection)
    _report(connection, show)


def _wait(client: SidecarClient, before: Json, terminal: PastedLines) -> Json:
    """The connection after the sign-in. Raises CommandFailed when there is none in WAIT_SECONDS."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        line = terminal.line(POLL_SECONDS)
        if _is_callback(line):
            return client.post("/oauth/callback", {"redirect_url": line})
        if line:
            click.echo("That is not it: the address has `code=` and `state=` in it. Paste all of it.", err=True)
        now = client.get("/v1/connection")
        if now.get("last_sign_in") != before.get("last_sign_in"):
            return now
    raise CommandFailed("no sign-in within ten minutes; run `sidecar connect` again")


def _is_callback(line: str) -> bool:
    """Whether it is the address to which Microsoft redirects a browser, with a code or with an error."""
    try:
        query = parse_qs(urlsplit(line).query)
    except ValueError:
        return False
    return "state" in query and ("code" in query or "error" in query)


def _report(connection: Json, show: Callable[[str], None]) -> None:
    trouble = (connection.get("last_sign_in") or {}).get("trouble") or connection.get("trouble")
    if trouble:
        raise CommandFailed(f"not connected: {plain(trouble['message'])}\n  What to do: {plain(trouble['fix'])}")
    show("Connected. Waiting conversions are on their way; `sidecar send` tries one.")
    show("`sidecar accounts` lists the ad accounts that this user can reach, with the ids for the configuration.")
