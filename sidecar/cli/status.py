"""`sidecar status`: how the sidecar is, in one sentence first; then each check, what waits, and the goals."""

import json
import re
from collections.abc import Iterator

import click

from sidecar.cli.remote import CallRefused, Json, Remote, with_remote
from sidecar.cli.words import plain

_MARKS = {"ok": "✓", "degraded": "!", "down": "✗"}
_FIRST = ("storage", "disk", "token", "delivery", "goals", "clock")
"""What to speak of first: a cause that keeps back most comes before one that keeps back less."""

_STAKE = re.compile(r"(.+?; (?:it|the first) expires on \d{1,2} [A-Z][a-z]+)\. ")
"""The sentence that a check begins with where rows wait for the end of its troubles."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print what the API prints.")
@with_remote
@click.pass_context
def status(ctx: click.Context, remote: Remote, as_json: bool) -> None:
    """How the sidecar is: what is at stake, what to do, each check, what waits, and how the goals stand.

    Exit code 1 when no conversion can be stored.
    """
    health = _health(remote)
    if as_json:
        click.echo(json.dumps(health, indent=2))
    else:
        click.echo("\n".join((*lines(health), *_goal_lines(remote.get("/v1/goals")))))
    if health.get("status") == "down":
        ctx.exit(1)


def _health(remote: Remote) -> Json:
    """The health page, which is no refusal when it says that the sidecar is down."""
    try:
        return remote.get("/healthz")
    except CallRefused as refused:
        if "checks" not in refused.body:
            raise
        return refused.body


def lines(health: Json) -> Iterator[str]:
    """The health page for a person."""
    checks: dict[str, Json] = health.get("checks") or {}
    unwell = [checks[name] for name in _FIRST if checks.get(name, {}).get("status", "ok") != "ok"]
    yield plain(headline(health, unwell))
    for check in unwell:
        if check.get("fix"):
            yield f"  What to do: {plain(check['fix'])}"
    yield ""
    for name in _FIRST:
        if name in checks:
            yield f"{_MARKS.get(checks[name].get('status', ''), '?')} {name:9} {plain(checks[name].get('message'))}"
    yield ""
    yield f"Outbox: {_outbox(health.get('outbox') or {})}"
    yield f"Version {plain(health.get('version'))}, up for {_duration(float(health.get('uptime_seconds') or 0))}"


def headline(health: Json, unwell: list[Json]) -> str:
    """One sentence: what is at stake, else what is wrong, else that nothing is."""
    if unwell:
        message = str(unwell[0].get("message"))
        at_stake = _STAKE.match(message)
        return f"{at_stake[1] if at_stake else message.rstrip('.')}."
    pending = (health.get("outbox") or {}).get("pending") or 0
    waiting = "1 row waits and goes" if pending == 1 else f"{pending:,} rows wait and go"
    return (
        f"All is well: {f'{waiting} out by itself' if pending == 1 else f'{waiting} out by themselves'}."
        if (pending)
        else "All is well: nothing waits."
    )


def _outbox(outbox: Json) -> str:
    parts = [f"{outbox.get('pending', 0):,} pending", f"{outbox.get('dead', 0):,} dead"]
    if outbox.get("oldest_due_seconds"):
        parts.append(f"the oldest has been due for {_duration(float(outbox['oldest_due_seconds']))}")
    if outbox.get("first_expiry_at"):
        parts.append(f"the first expires at {plain(outbox['first_expiry_at'])}")
    return ", ".join(parts)


def _goal_lines(goals: Json) -> Iterator[str]:
    """How the goal of each event stands, account by account."""
    for account in goals.get("items") or ():
        yield ""
        yield f"Goals of account {plain(account.get('account'))}:"
        for event in account.get("events") or ():
            mark = {"ok": "✓", "unknown": "?"}.get(str(event.get("state")), "!")
            yield f"{mark} {plain(event.get('event'))}: {plain(event.get('goal'))} ({_words(event)})"


def _words(event: Json) -> str:
    return plain(str(event.get("state")).replace("_", " "))


def _duration(seconds: float) -> str:
    """In the largest unit that fits."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
