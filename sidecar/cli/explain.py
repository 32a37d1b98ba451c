"""`sidecar explain`: what happened to an order or a conversion, and why, in plain words."""

import sys
from urllib.parse import quote

import click

from sidecar.cli import receipt_text
from sidecar.cli.client import CallRefused, SidecarClient
from sidecar.cli.formatting import Json, plain
from sidecar.cli.options import print_json, with_client


@click.command()
@click.argument("orders", metavar="ORDER...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print what the API prints, one object an ORDER.")
@with_client
def explain(client: SidecarClient, orders: tuple[str, ...], as_json: bool) -> None:
    """What happened to each ORDER, why, and what to do: an order id, or the id of a conversion such as conv_17.

    An unknown ORDER does not stop the others from being shown; the exit code is then 1.
    """
    refused: CallRefused | None = None
    shown = 0
    for order in orders:
        try:
            kind = "conversions" if order.strip().startswith("conv_") else "orders"
            answer = client.get(f"/v1/{kind}/{quote(order.strip(), safe='')}/explain")
        except CallRefused as error:
            if len(orders) == 1 or error.status != 404:
                raise
            refused = error
            click.echo(f"{plain(order)}: {error.format_message()}", err=True)
        else:
            _show(answer, as_json, is_first=shown == 0)
            shown += 1
    if refused is not None:
        sys.exit(refused.exit_code)


def _show(answer: Json, as_json: bool, *, is_first: bool) -> None:
    if as_json:
        print_json(answer)
        return
    parts = [receipt_text.lines(item) for item in answer.get("items") or [answer]]
    parts += [receipt_text.not_stored(answer)] if answer.get("not_stored") else []
    click.echo(("" if is_first else "\n") + "\n\n".join("\n".join(part) for part in parts))
