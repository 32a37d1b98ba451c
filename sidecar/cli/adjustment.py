"""What `sidecar restate` and `sidecar retract` share: their options, and the call."""

from collections.abc import Callable
from itertools import chain
from typing import Any, TypeVar

import click

from sidecar.cli import formatting
from sidecar.cli.client import SidecarClient
from sidecar.cli.json_values import encode, time_value
from sidecar.cli.options import json_option, print_answer

F = TypeVar("F", bound=Callable[..., Any])


def adjustment_options(command: F) -> F:
    """Adds the argument ORDER and the options of both verbs."""
    for option in (
        json_option,
        click.option("--idempotency-key", metavar="KEY", help="Your own name of this adjustment, to repeat it by."),
        click.option("--time", "at", metavar="TIME", help="RFC 3339 with offset, or Unix seconds; default now."),
        click.option("--event", help="The order's event, where it has several."),
        click.argument("order"),
    ):
        command = option(command)
    return command


def adjust(client: SidecarClient, kind: str, order: str, *, at: str | None, as_json: bool, **given: str | None) -> None:
    """Posts the adjustment of ORDER, an order id or a conversion's id, and prints the answer."""
    key, value = given.pop("idempotency_key"), given.pop("value", None)
    about = {"conversion_id" if order.startswith("conv_") else "order_id": order, "type": kind}
    body = encode({**about, **given, "time": at and time_value(at)}, value)
    answer = client.post_bytes("/v1/adjustments", body, {"Idempotency-Key": key} if key else {})
    repeated = ["  It was received before, and counts once."] if answer.status == 200 and "id" in answer.body else []
    print_answer(answer.body, as_json, chain(formatting.row(answer.body), repeated))
