"""`sidecar status`: the sidecar's health in one sentence; then each check, what waits, and the goals."""

import re
from collections.abc import Iterator
from itertools import chain

import click

from sidecar.cli.client import CallRefused, SidecarClient
from sidecar.cli.formatting import Json, plain
from sidecar.cli.options import json_option, print_answer, with_client

_MARKS = {"ok": "✓", "degraded": "!", "down": "✗"}
_CHECKS = ("storage", "disk", "token", "delivery", "goals", "clock")
"""In the order of importance: a check whose failure stops most comes first."""

_STAKE = re.compile(r"(.+?; (?:it|the first) expires on \d{1,2} [A-Z][a-z]+)\. ")
"""The sentence at the start of a check's message while rows wait for the end of its troubles."""


@click.command()
@json_option
@with_client
@click.pass_context
def status(ctx: click.Context, client: SidecarClient, as_json: bool) -> None:
    """Show the sidecar's health: what is at stake, what to do, each check, what waits, and each goal's state.

    Exit code 1 when no conversion can be stored.
    """
    health = _health(client)
    print_answer(health, as_json, chain(lines(health), _goal_lines(client)))
    if health.get("status") == "down":
        ctx.exit(1)


def _health(client: SidecarClient) -> Json:
    """The health page, also where its HTTP status says that the sidecar is down."""
    try:
        return client.get("/healthz")
    except CallRefused as refused:
        if "checks" not in refused.body:
            raise
        return refused.body


def lines(health: Json) -> Iterator[str]:
    """The health page as lines."""
    checks: dict[str, Json] = health.get("checks") or {}
    failing = [checks[name] for name in _CHECKS if checks.get(name, {}).get("status", "ok") != "ok"]
    yield plain(headline(health, failing))
    for check in failing:
        if check.get("fix"):
            yield f"  What to do: {plain(check['fix'])}"
    yield ""
    for name in _CHECKS:
        if name in checks:
            yield f"{_MARKS.get(checks[name].get('status', ''), '?')} {name:9} {plain(checks[name].get('message'))}"
    yield ""
    yield f"Outbox: {_outbox(health.get('outbox') or {})}"
    yield f"Version {plain(health.get('version'))}, up for {_duration(float(health.get('uptime_seconds') or 0))}"


def headline(health: Json, failing: list[Json]) -> str:
    """One sentence: what is at stake, else what is wrong, else that nothing is."""
    if failing:
        message = str(failing[0].get("message"))
        at_stake = _STAKE.match(message)
        return f"{at_stake[1] if at_stake else message.rstrip('.')}."
    match (health.get("outbox") or {}).get("pending") or 0:
        case 0:
            return "All is well: nothing waits."
        case 1:
            return "All is well: 1 row waits and goes out by itself."
        case pending:
            return f"All is well: {pending:,} rows wait and go out by themselves."


def _outbox(outbox: Json) -> str:
    parts = [f"{outbox.get('pending', 0):,} pending", f"{outbox.get('dead', 0):,} dead"]
    if outbox.get("oldest_due_seconds"):
        parts.append(f"the oldest has been due for {_duration(float(outbox['oldest_due_seconds']))}")
    if outbox.get("first_expiry_at"):
        parts.append(f"the first expires at {plain(outbox['first_expiry_at'])}")
    return ", ".join(parts)


def _goal_lines(client: SidecarClient) -> Iterator[str]:
    """The state of each event's goal, by account."""
    for account in client.get("/v1/goals").get("items") or ():
        yield ""
        yield f"Goals of account {plain(account.get('account'))}:"
        for event in account.get("events") or ():
            state = plain(str(event.get("state")).replace("_", " "))
            mark = {"ok": "✓", "unknown": "?"}.get(str(event.get("state")), "!")
            yield f"{mark} {plain(event.get('event'))}: {plain(event.get('goal'))} ({state})"


def _duration(seconds: float) -> str:
    """The seconds in the largest unit that fits twice."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
