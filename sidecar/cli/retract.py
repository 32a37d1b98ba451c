"""`sidecar retract`: takes an order back."""

from typing import Any

import click

from sidecar.cli.adjustment import adjust, adjustment_options
from sidecar.cli.client import SidecarClient
from sidecar.cli.formatting import plain
from sidecar.cli.options import require_terminal, with_client, yes_option


@click.command()
@adjustment_options
@yes_option
@with_client
def retract(client: SidecarClient, order: str, yes: bool, **given: Any) -> None:
    """Take ORDER back, an order id or the id of a conversion such as conv_17. It cannot be undone.

    \b
    sidecar retract ORDER-12345
    """
    if not yes:
        require_terminal(given["as_json"])
        click.confirm(f"Take {plain(order)} back? Microsoft takes no adjustment of it after that.", abort=True)
    adjust(client, "retract", order, **given)
