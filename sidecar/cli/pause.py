"""`sidecar pause`: stops the delivery of an account."""

from urllib.parse import quote

import click

from sidecar.cli.client import SidecarClient
from sidecar.cli.formatting import plain
from sidecar.cli.options import json_option, print_answer, with_client


@click.command()
@click.argument("account")
@json_option
@with_client
def pause(client: SidecarClient, account: str, as_json: bool) -> None:
    """Stop the delivery of ACCOUNT, also over restarts, until `sidecar resume`; conversions are stored meanwhile.

    Requests on their way finish. ACCOUNT is a key of accounts: in the configuration.
    """
    answer = client.post(f"/v1/accounts/{quote(account, safe='')}/pause", {})
    name, since = plain(answer.get("account")), plain(answer.get("since"))
    text = f"{name} is paused since {since}. Its conversions are stored; `sidecar resume {name}` continues."
    print_answer(answer, as_json, [text])
