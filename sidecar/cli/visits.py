"""`sidecar clicks`: what was captured of a visitor."""

import json
from collections.abc import Iterator

import click

from sidecar.cli.remote import Json, Remote, with_remote
from sidecar.cli.words import plain

NONE = (
    "No click of this visitor is kept. A landing hit leaves one only if its address has an msclkid, and if it came "
    "with this very visitor_id to POST /v1/clicks; clicks are kept for 90 days (clicks.retention)."
)


@click.command()
@click.argument("visitor")
@click.option("--account", help="In this account only.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many, the last ones.")
@click.option("--json", "as_json", is_flag=True, help="Print what the API prints.")
@with_remote
def clicks(remote: Remote, visitor: str, account: str | None, limit: int, as_json: bool) -> None:
    """Show which ad clicks were captured of VISITOR, your own id of a browser or person; the last click first."""
    answer = remote.get("/v1/clicks", visitor_id=visitor, account=account, limit=limit)
    click.echo(json.dumps(answer, indent=2) if as_json else "\n".join(_lines(answer)))


def _lines(answer: Json) -> Iterator[str]:
    items = answer.get("items") or []
    for item in items:
        times = f"clicked {plain(item.get('clicked_at'))}, captured {plain(item.get('captured_at'))}"
        yield f"{plain(item.get('msclkid'))}  {times}, account {plain(item.get('account'))}"
    if not items:
        yield NONE
    if answer.get("next_cursor"):
        yield f"There are more than these {len(items)}: --limit shows up to 1,000."
