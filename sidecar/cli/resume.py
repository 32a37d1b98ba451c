"""`sidecar resume`: starts the delivery of a paused account again."""

from urllib.parse import quote

import click

from sidecar.cli.client import SidecarClient
from sidecar.cli.formatting import plain
from sidecar.cli.options import json_option, print_answer, with_client


@click.command()
@click.argument("account")
@json_option
@with_client
def resume(client: SidecarClient, account: str, as_json: bool) -> None:
    """Start the delivery of ACCOUNT again, at once; one that Microsoft refused is tried at once too."""
    answer = client.post(f"/v1/accounts/{quote(account, safe='')}/resume", {})
    print_answer(answer, as_json, [f"{plain(answer.get('account'))} is open: what is due goes out now."])
