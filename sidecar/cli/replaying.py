"""`sidecar replay`: dead or skipped conversions become due again, after a look at how many they are."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import click

from sidecar.cli import words
from sidecar.cli.remote import Json, Remote, with_remote


@dataclass(frozen=True, slots=True)
class Total:
    """What all calls of one walk said together."""

    number: int
    too_old: int

    @property
    def told_too_old(self) -> str:
        return f" ({self.too_old} more are over 90 days old and stay as they are)" if self.too_old else ""


@click.command()
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--state", type=click.Choice(["dead", "skipped"]), help="All conversions in this state.")
@click.option("--reason", help="Only those with this reason, such as poison.")
@click.option("--event", help="Only those of this event.")
@click.option("--since", metavar="TIME", help="Only those received from this instant on, such as 2026-11-23T15:30:45Z.")
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; of a --state with --yes or --dry-run.")
@with_remote
def replay(
    remote: Remote, id_: str | None, state: str | None, dry_run: bool, yes: bool, as_json: bool, **narrowed: str | None
) -> None:
    """Send one conversion by its ID, or all in a --state, again: they keep id, time and order.

    \b
    sidecar replay conv_17
    sidecar replay --state dead --reason OfflineConversionNameInvalid --since 2026-11-23T00:00:00Z
    """
    given = {name: text for name, text in narrowed.items() if text is not None}
    if (id_ is None) == (state is None):
        raise click.UsageError("name either the ID of a conversion or a --state")
    if id_ is not None:
        if given or dry_run:
            raise click.UsageError("--reason, --event, --since and --dry-run go with --state")
        _replay_one(remote, id_, as_json)
        return
    _replay_all(remote, {"state": state, **given}, dry_run=dry_run, yes=yes, as_json=as_json)


def _replay_one(remote: Remote, id_: str, as_json: bool) -> None:
    answer = remote.post(f"/v1/conversions/{quote(id_, safe='')}/replay", {})
    click.echo(json.dumps(answer, indent=2) if as_json else "\n".join(words.row(answer.get("conversion") or {})))


def _replay_all(remote: Remote, query: Json, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    if not yes and not dry_run:
        _ask(remote, query, as_json)
    total = _walked(remote, query, dry_run=dry_run)
    if as_json:
        number = {"matched" if dry_run else "replayed": total.number}
        click.echo(json.dumps({**number, "too_old": total.too_old, "dry_run": dry_run}, indent=2))
    else:
        said = "would be sent again" if dry_run else "are due again"
        click.echo(f"{total.number} {query['state']} conversions {said}{total.told_too_old}.")


def _ask(remote: Remote, query: Json, as_json: bool) -> None:
    """Show how many there are and go on only if that is wanted."""
    if as_json or sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: look with --dry-run, then add --yes")
    seen = _walked(remote, query, dry_run=True)
    if not seen.number:
        click.echo(f"No {query['state']} conversion fits{seen.told_too_old}.")
        sys.exit(0)
    click.confirm(f"Send {seen.number} {query['state']} conversions again{seen.told_too_old}?", abort=True)


def _walked(remote: Remote, query: Json, *, dry_run: bool) -> Total:
    """One call after another, until there is no cursor any more."""
    answers = list(_answers(remote, {**query, "dry_run": dry_run}))
    number = sum(answer["matched" if dry_run else "replayed"] for answer in answers)
    return Total(number, sum(answer["too_old"] for answer in answers))


def _answers(remote: Remote, body: Json) -> Iterator[Json]:
    while True:
        answer = remote.post("/v1/replay", body)
        yield answer
        if answer.get("next_cursor") is None:
            return
        body = {**body, "cursor": answer["next_cursor"]}
