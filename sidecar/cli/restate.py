"""`sidecar restate`: corrects the value of an order."""

from typing import Any

import click

from sidecar.cli.adjustment import adjust, adjustment_options
from sidecar.cli.client import SidecarClient
from sidecar.cli.options import with_client


@click.command()
@adjustment_options
@click.option("--value", required=True, help="The new total, such as 60.00: not the difference.")
@click.option("--currency", help="ISO 4217, such as USD; default the conversion's.")
@with_client
def restate(client: SidecarClient, order: str, **given: Any) -> None:
    """Correct the value of ORDER, an order id or the id of a conversion such as conv_17.

    \b
    sidecar restate ORDER-12345 --value 60.00
    """
    adjust(client, "restate", order, **given)
