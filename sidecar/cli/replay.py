"""`sidecar replay`: makes dead or skipped conversions due again, after showing how many they are."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import click

from sidecar.cli import formatting
from sidecar.cli.client import SidecarClient
from sidecar.cli.formatting import Json
from sidecar.cli.options import print_answer, require_terminal, with_client, yes_option


@dataclass(frozen=True, slots=True)
class ReplayTotal:
    """The sum over the pages of a replay."""

    number: int
    too_old: int

    @property
    def note(self) -> str:
        """What to add about conversions that are too old; empty where there are none."""
        return f" ({self.too_old} more are over 90 days old and stay as they are)" if self.too_old else ""


@click.command()
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--state", type=click.Choice(["dead", "skipped"]), help="All conversions in this state.")
@click.option("--reason", help="Only those with this reason, such as poison.")
@click.option("--event", help="Only those of this event.")
@click.option("--account", help="Only those of this account.")
@click.option("--since", metavar="TIME", help="Only those received from this instant on, such as 2026-11-23T15:30:45Z.")
@click.option("--dry-run", is_flag=True, help="Only print how many there are.")
@yes_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; of a --state with --yes or --dry-run.")
@with_client
def replay(
    client: SidecarClient,
    id_: str | None,
    state: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **filters: str | None,
) -> None:
    """Send one conversion by its ID, or all in a --state, again: they keep id, time and order.

    \b
    sidecar replay conv_17
    sidecar replay --state dead --reason OfflineConversionNameInvalid --since 2026-11-23T00:00:00Z
    """
    given = {name: text for name, text in filters.items() if text is not None}
    if (id_ is None) == (state is None):
        raise click.UsageError("name either the ID of a conversion or a --state")
    if id_ is None:
        _replay_all(client, {"state": state, **given}, dry_run=dry_run, yes=yes, as_json=as_json)
    elif given or dry_run:
        raise click.UsageError("--reason, --event, --account, --since and --dry-run go with --state")
    else:
        answer = client.post(f"/v1/conversions/{quote(id_, safe='')}/replay", {})
        print_answer(answer, as_json, formatting.row(answer.get("conversion") or {}))


def _replay_all(client: SidecarClient, query: Json, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    if not yes and not dry_run:
        _ask(client, query, as_json)
    total = _post_all(client, query, dry_run=dry_run)
    name, outcome = ("matched", "would be sent again") if dry_run else ("replayed", "are due again")
    answer = {name: total.number, "too_old": total.too_old, "dry_run": dry_run}
    print_answer(answer, as_json, [f"{total.number} {query['state']} conversions {outcome}{total.note}."])


def _ask(client: SidecarClient, query: Json, as_json: bool) -> None:
    """Shows how many conversions match, and aborts unless the user agrees."""
    require_terminal(as_json, "look with --dry-run, then add --yes")
    total = _post_all(client, query, dry_run=True)
    if not total.number:
        click.echo(f"No {query['state']} conversion fits{total.note}.")
        sys.exit(0)
    click.confirm(f"Send {total.number} {query['state']} conversions again{total.note}?", abort=True)


def _post_all(client: SidecarClient, query: Json, *, dry_run: bool) -> ReplayTotal:
    answers = list(_pages(client, {**query, "dry_run": dry_run}))
    number = sum(answer["matched" if dry_run else "replayed"] for answer in answers)
    return ReplayTotal(number, sum(answer["too_old"] for answer in answers))


def _pages(client: SidecarClient, body: Json) -> Iterator[Json]:
    while True:
        answer = client.post("/v1/replay", body)
        yield answer
        if answer.get("next_cursor") is None:
            return
        body = {**body, "cursor": answer["next_cursor"]}
