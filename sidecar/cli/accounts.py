"""`sidecar accounts`: the configured accounts, those that the signed-in user can reach, and the YAML to paste."""

from collections.abc import Iterator, Sequence

import click

from sidecar.cli.client import CommandFailed, SidecarClient
from sidecar.cli.formatting import Json, plain
from sidecar.cli.options import json_option, print_answer, with_client

_MARKS = {"visible": "✓", "swapped": "✗", "unknown": "✗", "no_ids": "!", None: "?"}

_STATES = {"open": "conversions go out", "paused": "paused by an operator"}
"""Words for states that are no reason of rows; the others are shown as they are."""


@click.command()
@json_option
@with_client
def accounts(client: SidecarClient, as_json: bool) -> None:
    """Show the configured accounts, and every ad account that the signed-in user can reach, as YAML to paste.

    Exit code 1 where Microsoft does not list the accounts, as before the sign-in.
    """
    answer = client.get("/v1/accounts")
    print_answer(answer, as_json, _lines(answer))
    if answer["trouble"]:
        raise CommandFailed("the accounts that the signed-in user can reach are not known")


def _lines(answer: Json) -> Iterator[str]:
    yield "Configured:"
    for one in answer["configured"]:
        yield from _configured(one)
    yield ""
    if answer["trouble"]:
        yield from _trouble(answer["trouble"])
        return
    who = plain(answer["user"] or "the signed-in user")
    yield f"{who} can reach:" if answer["visible"] else f"{who} can reach no ad account."
    yield from _table([_cells(one) for one in answer["visible"]])
    if answer["yaml"]:
        yield ""
        yield "To paste into the configuration; remove the # before an account that you want, then reload with SIGHUP:"
        yield ""
        yield answer["yaml"].rstrip("\n")


def _configured(one: Json) -> Iterator[str]:
    ids = f"customer {one['customer_id']}, account {one['account_id']}" if one["account_id"] else "no ids yet"
    is_wrong = one["reach"] in ("swapped", "unknown") and one["state"] == "open"
    state = "" if is_wrong else f"; {_STATES.get(one['state'], one['state'].replace('_', ' '))}"
    yield f"{_MARKS.get(one['reach'], '?')} {plain(one['name'])}: {plain(ids)}{plain(state)}"
    if one["fix"]:
        yield f"    What to do: {plain(one['fix'])}"


def _trouble(trouble: Json) -> Iterator[str]:
    yield f"Which accounts can be reached is not known: {plain(trouble['message'])}"
    if trouble["tracking_id"]:
        yield f"    TrackingId: {plain(trouble['tracking_id'])}"
    yield f"    What to do: {plain(trouble['fix'])}"


def _cells(one: Json) -> list[str]:
    name = f"= {one['configured_as']}" if one["configured_as"] else ""
    ids = [f"customer {one['customer_id']}", f"account {one['account_id']}"]
    given = [one["name"], one["number"], *ids, one["currency"], one["status"], one["role"], name]
    return [plain(cell or "") for cell in given]


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows with columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
        yield f"  {'  '.join(cells).rstrip()}"
