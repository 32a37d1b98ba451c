"""`sidecar clicks`: the captured clicks of a visitor."""

from collections.abc import Iterator

import click

from sidecar.cli.client import SidecarClient
from sidecar.cli.formatting import Json, plain
from sidecar.cli.options import json_option, print_answer, with_client

NO_CLICK = (
    "No click of this visitor is kept. A landing hit leaves one only if its address has an msclkid, and if it came "
    "with this very visitor_id to POST /v1/clicks; clicks are kept for 90 days (clicks.retention)."
)


@click.command()
@click.argument("visitor")
@click.option("--account", help="In this account only.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most this many.")
@json_option
@with_client
def clicks(client: SidecarClient, visitor: str, account: str | None, limit: int, as_json: bool) -> None:
    """Show which ad clicks were captured of VISITOR, your own id of a browser or person; the last click first."""
    answer = client.get("/v1/clicks", visitor_id=visitor, account=account, limit=limit)
    print_answer(answer, as_json, _lines(answer))


def _lines(answer: Json) -> Iterator[str]:
    items = answer.get("items") or []
    for item in items:
        times = f"clicked {plain(item.get('clicked_at'))}, captured {plain(item.get('captured_at'))}"
        yield f"{plain(item.get('msclkid'))}  {times}, account {plain(item.get('account'))}"
    if not items:
        yield NO_CLICK
    if answer.get("next_cursor"):
        yield f"There are more than these {len(items)}: --limit shows up to 1,000."
