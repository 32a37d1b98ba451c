"""`sidecar pause` and `sidecar resume`: an account's delivery stops, and goes on."""

import json
from urllib.parse import quote

import click

from sidecar.cli.remote import Json, Remote, with_remote
from sidecar.cli.words import plain

_json = click.option("--json", "as_json", is_flag=True, help="Print what the API prints.")


@click.command()
@click.argument("account")
@_json
@with_remote
def pause(remote: Remote, account: str, as_json: bool) -> None:
    """Let nothing more of ACCOUNT out; conversions are taken and kept, also over restarts, until `sidecar resume`.

    What is on its way finishes. ACCOUNT is a key of accounts: in the configuration.
    """
    answer = _called(remote, account, "pause")
    name = plain(answer.get("account"))
    since = plain(answer.get("since"))
    _show(
        answer, as_json, f"{name} is paused since {since}. Its conversions are kept; `sidecar resume {name}` goes on."
    )


@click.command()
@click.argument("account")
@_json
@with_remote
def resume(remote: Remote, account: str, as_json: bool) -> None:
    """Let ACCOUNT out again, at once; one that Microsoft refused is tried at once too."""
    answer = _called(remote, account, "resume")
    _show(answer, as_json, f"{plain(answer.get('account'))} is open: what is due goes out now.")


def _called(remote: Remote, account: str, verb: str) -> Json:
    return remote.post(f"/v1/accounts/{quote(account, safe='')}/{verb}", {})


def _show(answer: Json, as_json: bool, told: str) -> None:
    click.echo(json.dumps(answer, indent=2) if as_json else told)
