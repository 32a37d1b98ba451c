"""`sidecar explain`: the receipt of an order or a conversion, in plain words."""

import json
from urllib.parse import quote

import click

from sidecar.cli import receipts
from sidecar.cli.remote import Json, Remote, with_remote


@click.command()
@click.argument("order")
@click.option("--json", "as_json", is_flag=True, help="Print what the API prints.")
@with_remote
def explain(remote: Remote, order: str, as_json: bool) -> None:
    """What happened to ORDER, why, and what to do: ORDER is an order id, or the id of a conversion such as conv_17."""
    answer = _answer(remote, order)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    items = answer.get("items") or [answer]
    parts = [receipts.lines(item) for item in items]
    parts += [receipts.not_stored(answer)] if answer.get("not_stored") else []
    click.echo("\n\n".join("\n".join(part) for part in parts))


def _answer(remote: Remote, order: str) -> Json:
    order = order.strip()
    kind = "conversions" if order.startswith("conv_") else "orders"
    return remote.get(f"/v1/{kind}/{quote(order, safe='')}/explain")
