"""`sidecar goals`: lists the accounts' conversion goals, and creates those that the mapping lacks."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from sidecar.cli.client import CommandFailed, SidecarClient
from sidecar.cli.formatting import Json, plain
from sidecar.cli.goals_text import account_lines, blocked_lines, created_lines, plan_lines
from sidecar.cli.options import json_option, print_answer, print_json, with_client

PAUSED = "goal_paused"

account_option = click.option("--account", metavar="NAME", help="Only this account.")
goal_option = click.option("--goal", metavar="NAME", help="Only the goal of this name.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def goals() -> None:
    """The conversion goals of the ad accounts: list them, plan and create those that are missing."""


@goals.command("list", short_help="The goals as last read, and the state of each event's goal.")
@account_option
@goal_option
@json_option
@with_client
def list_goals(client: SidecarClient, account: str | None, goal: str | None, as_json: bool) -> None:
    """Show the goals as they were last read, and the state of each event's goal."""
    answer = client.get("/v1/goals", **_given(account=account, goal=goal))
    print_answer(answer, as_json, _paragraphs(account_lines, answer["items"]))


@goals.command(short_help="What apply would create; changes nothing.")
@account_option
@goal_option
@json_option
@with_client
def plan(client: SidecarClient, account: str | None, goal: str | None, as_json: bool) -> None:
    """Read the goals again, and show what `apply` would create; changes nothing.

    Settings of a goal that `events:` leaves out are assumed, and marked so. Exit code 1 where an account's goals could
    not be read.
    """
    answer = client.post("/v1/goals/plan", _given(account=account, goals=goal and [goal]))
    print_answer(answer, as_json, _paragraphs(plan_lines, answer["items"]))
    _fail_unless_read(answer["items"])


@goals.command(short_help="Create the goals that are missing, after asking.")
@account_option
@goal_option
@click.option("--yes", is_flag=True, help="Do not ask, and accept what is assumed.")
@json_option
@with_client
def apply(client: SidecarClient, account: str | None, goal: str | None, yes: bool, as_json: bool) -> None:
    """Create the goals that are missing, after asking at the terminal: goals cannot be deleted.

    Without a terminal nothing is created unless you say --yes. Exit code 1 where a goal could not be created, or where
    you say no.
    """
    plans = client.post("/v1/goals/plan", _given(account=account, goals=goal and [goal]))["items"]
    if not yes and any(each["create"] for each in plans):
        click.echo("\n".join(_paragraphs(plan_lines, plans)), err=as_json)
        _ask(plans, err=as_json)
    answers = [_create(client, each) for each in sorted(plans, key=lambda each: bool(each["trouble"]))]
    if as_json:
        print_json({"items": answers, "next_cursor": None})
    else:
        click.echo("\n".join(line for answer in answers for line in created_lines(answer)))
        click.echo("".join(f"{line}\n" for each in plans for line in blocked_lines(each)), nl=False)
    _fail_unless_read(answers)
    if any(goal["outcome"] in ("refused", "unknown") for answer in answers for goal in answer["goals"]):
        raise CommandFailed("not every goal could be created")
    if any(each["state"] != PAUSED for plan in plans for each in plan["blocked"]):
        raise CommandFailed("not every goal can be created")


def _given(**members: Any) -> Json:
    return {name: value for name, value in members.items() if value is not None}


def _paragraphs(lines: Callable[[Json], Iterator[str]], items: list[Json]) -> Iterator[str]:
    """The lines of all items, with an empty line between two."""
    for number, item in enumerate(items):
        yield from [""][: number > 0]
        yield from lines(item)


def _ask(plans: list[Json], *, err: bool) -> None:
    """Raises CommandFailed unless the user agrees to the goals, and to what is assumed of them."""
    create = [goal for each in plans for goal in each["create"]]
    assumed = ", ".join(dict.fromkeys(name for goal in create for name in goal["assumed"]))
    if not sys.stdin.isatty():
        raise CommandFailed(
            f"nothing was created: {assumed} would be assumed as shown, and there is no terminal to ask at. "
            "Say under events: what you want, then run this again with --yes"
        )
    number = f"{len(create)} goal{'s' * (len(create) > 1)}"
    try:
        click.echo(f"\nAssumed, since events: does not say it: {assumed}.", err=err)
        question = f"Create {number}? They cannot be deleted, nor can their scope be changed later"
        agreed = click.confirm(question, err=err)
    except click.Abort:
        agreed = False
    if not agreed:
        raise CommandFailed("nothing was created")


def _create(client: SidecarClient, plan: Json) -> Json:
    """Creates the goals that were shown, and returns their outcomes; goals that are missing by now are left out."""
    wanted = [goal["goal"] for goal in plan["create"]]
    if plan["trouble"] or not wanted:
        return {"account": plan["account"], "trouble": plan["trouble"], "goals": []}
    answer: Json = client.post("/v1/goals/apply", {"account": plan["account"], "goals": wanted})["items"][0]
    return answer


def _fail_unless_read(items: list[Json]) -> None:
    unread = [item["account"] for item in items if item["trouble"]]
    if unread:
        raise CommandFailed(f"the goals of {plain(', '.join(unread))} could not be read")
