"""`sidecar logs`: what happened, as /logs tells it."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import click

from sidecar.cli.events import StreamEvent, events
from sidecar.cli.remote import CallRefused, Remote, Unreachable, with_remote
from sidecar.cli.words import Json, plain

RETRY_SECONDS = 1.0
"""How often a watch asks whether a sidecar that went away is back."""

_COLOURS = {"debug": "bright_black", "info": "green", "warning": "yellow", "error": "red"}

Show = Callable[[Json], None]


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Stay and print what happens from now on.")
@click.option("--level", type=click.Choice(list(_COLOURS)), help="This level and above.")
@click.option("--name", help="One kind of fact, such as batch_settled.")
@click.option("--account", help="One account.")
@click.option("--order-id", help="One order.")
@click.option("--conversion-id", help="One conversion.")
@click.option("--since", metavar="TIME", help="From this instant on, such as 2026-11-23T15:30:45Z.")
@click.option("--until", metavar="TIME", help="Before this instant.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="So many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as the API has it.")
@with_remote
def logs(remote: Remote, follow: bool, as_json: bool, **query: Any) -> None:
    """Print what happened, the oldest first: batches, troubles and their remedies, refusals, sign-ins.

    With --follow the newest come first too; it outlives a restart of the sidecar, and Ctrl-C ends it.
    """
    show = _show_json if as_json else _show
    if follow:
        _follow(remote, query, show)
        return
    for item in reversed(remote.get("/logs", **query)["items"]):
        show(item)


def _follow(remote: Remote, query: Json, show: Show) -> None:
    for event in _watched(remote, query):
        fact = json.loads(event.data)
        if event.kind == "gap":
            click.echo(f"{fact['missed']} facts are left out here: they came faster than they were read", err=True)
        else:
            show(fact)


def _watched(remote: Remote, query: Json) -> Iterator[StreamEvent]:
    """What was, then what comes, for ever: when the sidecar is back from a restart it goes on where it broke off."""
    last: str | None = None
    stream = _stream(remote, query, last)
    while True:
        for event in stream:
            last = event.id or last
            yield event
        click.echo("The sidecar went away; waiting for it to come back. Ctrl-C ends this.", err=True)
        stream = _resumed(remote, query, last)


def _stream(remote: Remote, query: Json, last: str | None) -> Iterator[StreamEvent]:
    """The events of one connection, behind `last` if it is given. Unreachable only if there never was one."""
    headers = {} if last is None else {"Last-Event-ID": last}
    with remote.stream("/logs", {**query, "follow": "1"}, headers) as lines:
        try:
            yield from events(lines)
        except Unreachable:
            return


def _resumed(remote: Remote, query: Json, last: str | None) -> Iterator[StreamEvent]:
    """The events of the next connection that can be had."""
    while True:
        time.sleep(RETRY_SECONDS)
        try:
            yield from _stream(remote, query, last)
        except Unreachable:
            continue
        except CallRefused as refused:
            if refused.status != 503:  # stopping, or not yet ready
                raise
            continue
        return


def _show_json(item: Json) -> None:
    click.echo(json.dumps(item))


def _show(item: Json) -> None:
    level = str(item.get("level", "info"))
    coloured = click.style(f"{plain(level).upper():7}", fg=_COLOURS.get(level))
    click.echo(f"{plain(item.get('time', ''))} {coloured} {plain(item.get('message', ''))}")
    for name, label in (("error", "error"), ("fix", "What to do")):
        if item.get(name):
            click.echo(f"    {label}: {plain(item[name])}")
