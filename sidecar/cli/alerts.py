"""`sidecar alerts`: whether the troubles of a running sidecar reach those who should hear of them."""

from collections.abc import Iterator

import click

from sidecar.cli.client import CommandFailed, SidecarClient
from sidecar.cli.formatting import Json, plain
from sidecar.cli.options import json_option, print_answer, with_client


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def alerts() -> None:
    """The messages that the running sidecar posts to alerts.webhook when a trouble begins, lasts or is over."""


@alerts.command(short_help="Post a test message, and show what the webhook answers.")
@json_option
@with_client
def test(client: SidecarClient, as_json: bool) -> None:
    """Let the running sidecar post a test message now, and show what the webhook answers.

    Exit code 1 where the webhook does not take it.
    """
    answer = client.post("/v1/alerts/test", {})
    print_answer(answer, as_json, _lines(answer))
    if not answer["taken"]:
        raise CommandFailed(f"the webhook did not take the message: {plain(answer['error'])}")


def _lines(answer: Json) -> Iterator[str]:
    if answer["taken"]:
        yield f"The webhook took the message (format {plain(answer['format'])}, HTTP {answer['status']})."
    if answer["answer"]:
        yield f"It answered: {plain(answer['answer'])}"
