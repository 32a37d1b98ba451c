"""`sidecar goals`: the accounts' conversion goals, what the mapping lacks of them, and creating it."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from sidecar.cli.remote import Failed, Remote, with_remote
from sidecar.cli.words import Json, plain

OFFLINE = "OfflineConversion"
PAUSED = "goal_paused"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def goals() -> None:
    """The conversion goals of the ad accounts: what there is, what is lacking, and creating it."""


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print what the API prints.")
account_option = click.option("--account", metavar="NAME", help="Only this account.")
goal_option = click.option("--goal", metavar="NAME", help="Only the goal of this name.")


@goals.command("list", short_help="The goals as last read, and how each event's goal stands.")
@account_option
@goal_option
@as_json_option
@with_remote
def list_goals(remote: Remote, account: str | None, goal: str | None, as_json: bool) -> None:
    """Show the goals as they were last read, and how each event's goal stands."""
    answer = remote.get("/v1/goals", **_given(account=account, goal=goal))
    click.echo(json.dumps(answer, indent=2) if as_json else "\n\n".join(map(_listed, answer["items"])))


@goals.command(short_help="What apply would create; changes nothing.")
@account_option
@goal_option
@as_json_option
@with_remote
def plan(remote: Remote, account: str | None, goal: str | None, as_json: bool) -> None:
    """Read the goals again, and show what `apply` would create; changes nothing.

    What `events:` does not say of a goal is assumed, and shown as such. Exit code 1 where an account's goals could not
    be read.
    """
    answer = remote.post("/v1/goals/plan", _given(account=account, goals=goal and [goal]))
    click.echo(json.dumps(answer, indent=2) if as_json else "\n\n".join(map(_planned, answer["items"])))
    _fail_unless_read(answer["items"])


@goals.command(short_help="Create the goals that are lacking, after asking.")
@account_option
@goal_option
@click.option("--yes", is_flag=True, help="Do not ask, and take what is assumed.")
@as_json_option
@with_remote
def apply(remote: Remote, account: str | None, goal: str | None, yes: bool, as_json: bool) -> None:
    """Create the goals that are lacking, after asking at the terminal: goals cannot be deleted.

    Without a terminal nothing is created unless you say --yes. Exit code 1 where a goal could not be created, or where
    you say no.
    """
    items = remote.post("/v1/goals/plan", _given(account=account, goals=goal and [goal]))["items"]
    lacking = {item["account"]: [goal["goal"] for goal in item["create"]] for item in items}
    if not yes and any(lacking.values()):
        click.echo("\n\n".join(map(_planned, items)), err=as_json)
        _ask(items, err=as_json)
    applied = [_applied(remote, item["account"], lacking[item["account"]]) for item in items if not item["trouble"]]
    unread = [item for item in items if item["trouble"]]
    answers = [*applied, *({**_without_goals(item), "trouble": item["trouble"]} for item in unread)]
    if as_json:
        click.echo(json.dumps({"items": answers, "next_cursor": None}, indent=2))
    else:
        click.echo("\n".join(line for answer in answers for line in _made(answer)))
        click.echo("".join(f"{line}\n" for item in items for line in _blocked(item)), nl=False)
    _fail_unless_read(answers)
    if any(goal["outcome"] in ("refused", "unknown") for answer in answers for goal in answer["goals"]):
        raise Failed("not every goal could be created")
    if any(each["state"] != PAUSED for item in items for each in item["blocked"]):
        raise Failed("not every goal can be created")


# --- Doing it --------------------------------------------------------------------------------------------------------


def _given(**members: Any) -> Json:
    return {name: value for name, value in members.items() if value is not None}


def _ask(items: list[Json], *, err: bool) -> None:
    """Go on only where a person says yes to what would be created, and to what is assumed of it."""
    create = [goal for item in items for goal in item["create"]]
    assumed = dict.fromkeys(name for goal in create for name in goal["assumed"])
    if not sys.stdin.isatty():
        raise Failed(
            f"nothing was created: {', '.join(assumed)} would be assumed as shown, and there is no terminal to ask at. "
            "Say under events: what you want, then run this again with --yes"
        )
    try:
        click.echo(f"\nAssumed, since events: does not say it: {', '.join(assumed)}.", err=err)
        agreed = click.confirm(_question(len(create)), err=err)
    except click.Abort:
        agreed = False
    if not agreed:
        raise Failed("nothing was created")


def _question(number: int) -> str:
    goals_ = f"{number} goal{'s' * (number > 1)}"
    return f"Create {goals_}? They cannot be deleted, nor can their scope be changed later"


def _applied(remote: Remote, account: str, lacking: list[str]) -> Json:
    """What became of the goals that were shown; others that are lacking by now were not agreed to."""
    if not lacking:
        return _without_goals({"account": account})
    answer: Json = remote.post("/v1/goals/apply", {"account": account, "goals": lacking})["items"][0]
    return answer


def _without_goals(item: Json) -> Json:
    return {"account": item["account"], "trouble": None, "goals": []}


def _fail_unless_read(items: list[Json]) -> None:
    unread = [item["account"] for item in items if item["trouble"]]
    if unread:
        raise Failed(f"the goals of {plain(', '.join(unread))} could not be read")


# --- Words -----------------------------------------------------------------------------------------------------------


def _listed(item: Json) -> str:
    return "\n".join(_lines_of_account(item))


def _lines_of_account(item: Json) -> Iterator[str]:
    yield f"{plain(item['account'])}: " + (f"read {plain(item['read_at'])}" if item["read_at"] else "not read yet")
    yield from _trouble(item)
    if item["auto_tagging"] is not None:
        yield f"  auto-tagging is {'on' if item['auto_tagging'] else 'off'}"
    for goal in item["goals"]:
        yield f"  goal {plain(goal['name'])}: {plain(', '.join(_settings(goal)))}"
    for event in item["events"]:
        yield from _event(event)


def _settings(goal: Json) -> Iterator[str]:
    """What there is to say of a goal in a few words."""
    yield goal["status"].lower() if goal["type"] == OFFLINE else f"of type {goal['type']}, takes no uploads"
    yield from _terms(goal)
    if goal["settles_at"]:
        yield f"takes conversions from {goal['settles_at']}"


def _terms(goal: Json) -> Iterator[str]:
    """Category, count type, window, revenue and whether it matches by hashes."""
    if goal["category"]:
        yield goal["category"]
    if goal["count_type"]:
        yield f"counts {goal['count_type']}"
    if goal["window"]:
        yield f"window {goal['window']}"
    if revenue := goal["revenue"]:
        amount = "" if not revenue["value"] else f" {revenue['value']}"
        yield f"{revenue['type']}{amount}" + (f" {revenue['currency']}" if revenue["currency"] else "")
    if goal["enhanced"] is not None:
        yield "enhanced" if goal["enhanced"] else "not enhanced"
    if goal.get("scope") == "Customer":
        yield "for all accounts of the customer"


def _event(event: Json) -> Iterator[str]:
    yield f"  event {plain(event['event'])} → {plain(event['goal'])}: {plain(event['state'])}"
    if event["did_you_mean"]:
        yield f"    did you mean {plain(event['did_you_mean'])}?"
    if event["settles_at"]:
        yield f"    until {plain(event['settles_at'])}"
    if event["fix"]:
        yield f"    What to do: {plain(event['fix'])}"


def _planned(item: Json) -> str:
    return "\n".join(_lines_of_plan(item))


def _lines_of_plan(item: Json) -> Iterator[str]:
    number = len(item["create"])
    found = "not read" if item["trouble"] else f"{number} to create" if number else "nothing to create"
    yield f"{plain(item['account'])}: {found}"
    yield from _trouble(item)
    for goal in item["create"]:
        yield f"  + {plain(goal['goal'])} (for {plain(', '.join(goal['events']))}): {plain(', '.join(_terms(goal)))}"
        yield f"    assumed: {plain(', '.join(_assumed(goal)))}"
        if goal["did_you_mean"]:
            yield f"    there is {plain(goal['did_you_mean'])}: did you mean that?"
    if number:
        yield "  Goals cannot be deleted; their scope (this account, or all of the customer) cannot be changed later."
    for each in item["differences"]:
        found, wanted = plain(each["found"]), f"events.{plain(each['event'])} has {plain(each['wanted'])}"
        yield f"  ~ {plain(each['goal'])}: {plain(each['field'])} is {found}, {wanted}"
        yield "    It is left as it is; change it in Microsoft Advertising if you want to."
    yield from _blocked(item)


def _blocked(item: Json) -> Iterator[str]:
    for each in item["blocked"]:
        yield f"  ! {plain(each['goal'])}: {plain(each['state'])}: {plain(each['message'])}"
        yield f"    What to do: {plain(each['fix'])}"


def _assumed(goal: Json) -> Iterator[str]:
    """What `events:` does not say of a goal, with what it is then."""
    for name in goal["assumed"]:
        value = goal[name]["type"] if name == "revenue" else goal[name]
        yield f"{name} {str(value).lower() if isinstance(value, bool) else value}"


def _trouble(item: Json) -> Iterator[str]:
    if trouble := item["trouble"]:
        yield f"  {plain(trouble['message'])}"
        yield f"  What to do: {plain(trouble['fix'])}"


def _made(answer: Json) -> Iterator[str]:
    account = plain(answer["account"])
    yield from (f"{account}:{line}" for line in _trouble(answer))
    if not answer["goals"] and not answer["trouble"]:
        yield f"{account}: nothing to create"
    for goal in answer["goals"]:
        yield f"{account}: {plain(goal['goal'])}: {plain(goal['outcome'])}"
        if goal["first_conversion_at"]:
            yield f"  its first conversion may go out at {plain(goal['first_conversion_at'])}; those before it wait"
        for name, label in (("error", "error"), ("message", "message"), ("fix", "What to do")):
            if goal[name]:
                yield f"  {label}: {plain(goal[name])}"
