"""`sidecar explain`: the receipt of an order or a conversion, in plain words."""

import json
import sys
from urllib.parse import quote

import click

from sidecar.cli import receipts
from sidecar.cli.remote import CallRefused, Json, Remote, with_remote
from sidecar.cli.words import plain


@click.command()
@click.argument("orders", metavar="ORDER...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print what the API prints, one object an ORDER.")
@with_remote
def explain(remote: Remote, orders: tuple[str, ...], as_json: bool) -> None:
    """What happened to each ORDER, why, and what to do: an order id, or the id of a conversion such as conv_17.

    An order that is not known ends nothing: the others are shown too, and the exit code is 1.
    """
    refused: CallRefused | None = None
    shown = 0
    for order in orders:
        try:
            answer = _answer(remote, order)
        except CallRefused as error:
            if len(orders) == 1 or error.status != 404:
                raise
            refused = error
            click.echo(f"{plain(order)}: {error.format_message()}", err=True)
        else:
            _show(answer, as_json, apart=shown > 0)
            shown += 1
    if refused is not None:
        sys.exit(refused.exit_code)


def _show(answer: Json, as_json: bool, *, apart: bool) -> None:
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    items = answer.get("items") or [answer]
    parts = [receipts.lines(item) for item in items]
    parts += [receipts.not_stored(answer)] if answer.get("not_stored") else []
    click.echo("\n" * apart + "\n\n".join("\n".join(part) for part in parts))


def _answer(remote: Remote, order: str) -> Json:
    order = order.strip()
    kind = "conversions" if order.startswith("conv_") else "orders"
    return remote.get(f"/v1/{kind}/{quote(order, safe='')}/explain")
