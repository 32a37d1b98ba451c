"""`sidecar logs`: prints the entries of /logs."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import click

from sidecar.cli.client import CallRefused, SidecarClient, Unreachable
from sidecar.cli.event_stream import StreamEvent, parse_events
from sidecar.cli.formatting import Json, plain, remedy
from sidecar.cli.options import with_client

RETRY_SECONDS = 1.0
"""How often --follow tries to reach a sidecar that went away."""

_COLOURS = {"debug": "bright_black", "info": "green", "warning": "yellow", "error": "red"}

Show = Callable[[Json], None]


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Stay and print what happens from now on.")
@click.option("--level", type=click.Choice(list(_COLOURS)), help="This level and above.")
@click.option("--name", help="One kind of entry, such as batch_settled.")
@click.option("--account", help="One account.")
@click.option("--order-id", help="One order.")
@click.option("--conversion-id", help="One conversion.")
@click.option("--since", metavar="TIME", help="From this instant on, such as 2026-11-23T15:30:45Z.")
@click.option("--until", metavar="TIME", help="Before this instant.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="The newest ones.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as the API has it.")
@with_client
def logs(client: SidecarClient, follow: bool, as_json: bool, **query: Any) -> None:
    """Print what happened, the oldest first: batches, troubles and their remedies, refusals, sign-ins.

    With --follow it starts with the newest, and continues after a restart of the sidecar; Ctrl-C ends it.
    """
    show: Show = (lambda item: click.echo(json.dumps(item))) if as_json else _show
    if follow:
        _follow(client, query, show)
        return
    for item in reversed(client.get("/logs", **query)["items"]):
        show(item)


def _follow(client: SidecarClient, query: Json, show: Show) -> None:
    for event in _events(client, query):
        entry = json.loads(event.data)
        if event.kind == "gap":
            click.echo(f"{entry['missed']} entries are missing here: they arrived faster than they were read", err=True)
        elif event.kind == "message":
            show(entry)


def _events(client: SidecarClient, query: Json) -> Iterator[StreamEvent]:
    """Past and coming events, without end; after a restart of the sidecar they continue where they broke off."""
    last: str | None = None
    stream = _stream(client, query, last)
    while True:
        for event in stream:
            last = event.id or last
            yield event
        click.echo("The sidecar went away; waiting for it to come back. Ctrl-C ends this.", err=True)
        stream = _reconnect(client, query, last)


def _stream(client: SidecarClient, query: Json, last: str | None) -> Iterator[StreamEvent]:
    """The events of one connection, after `last` if given. Raises Unreachable only when there is no connection."""
    headers = {} if last is None else {"Last-Event-ID": last}
    with client.stream("/logs", {**query, "follow": "1"}, headers) as lines:
        try:
            yield from parse_events(lines)
        except Unreachable:
            return


def _reconnect(client: SidecarClient, query: Json, last: str | None) -> Iterator[StreamEvent]:
    """The events of the next connection that succeeds."""
    while True:
        time.sleep(RETRY_SECONDS)
        try:
            yield from _stream(client, query, last)
        except Unreachable:
            continue
        except CallRefused as refused:
            if refused.status != 503:  # stopping, or not yet ready
                raise
            continue
        return


def _show(item: Json) -> None:
    level = str(item.get("level", "info"))
    coloured = click.style(f"{plain(level).upper():7}", fg=_COLOURS.get(level))
    click.echo(f"{plain(item.get('time', ''))} {coloured} {plain(item.get('message', ''))}")
    for line in remedy({"error": item.get("error"), "fix": item.get("fix")}):
        click.echo(f"  {line}")
