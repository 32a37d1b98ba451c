"""`sidecar status`: the first view of the dashboard in the terminal; then each health check."""

from collections.abc import Iterator, Sequence

import click

from sidecar.cli.client import CallRefused, SidecarClient
from sidecar.cli.formatting import Json, plain
from sidecar.cli.options import json_option, print_answer, with_client

_MARKS = {"ok": "✓", "degraded": "!", "down": "✗"}
_CHECKS = ("storage", "disk", "token", "delivery", "goals", "clock")
"""In the order of importance: a check whose failure stops most comes first."""

_STANDINGS = {"recording": "✓", "needs_attention": "!", "held": "…", "no_recent_conversions": "○"}
_COUNTS = ("received", "delivered", "pending", "skipped", "dead", "canceled")
_IDENTIFIERS = {
    "msclkid": "click id",
    "visitor": "visitor",
    "email": "e-mail",
    "phone": "phone",
    "none": "none of them",
}


@click.command()
@json_option
@with_client
@click.pass_context
def status(ctx: click.Context, client: SidecarClient, as_json: bool) -> None:
    """Show how things are: what is wrong, what it costs, what to do; the last 24 hours; each goal; each check.

    Exit code 1 when no conversion can be stored.
    """
    overview = client.get("/v1/overview")
    shown = () if as_json else lines(overview, _health(client))
    print_answer(overview, as_json, shown)
    if overview.get("state") == "down":
        ctx.exit(1)


def _health(client: SidecarClient) -> Json:
    """The health page, also where its HTTP status says that the sidecar is down."""
    try:
        return client.get("/healthz")
    except CallRefused as refused:
        if "checks" not in refused.body:
            raise
        return refused.body


def lines(overview: Json, health: Json) -> Iterator[str]:
    """The overview as lines, with the checks of the health page."""
    yield plain(overview.get("headline"))
    yield from _remedies(overview.get("troubles") or ())
    yield ""
    yield from _figures(overview)
    for account in overview.get("accounts") or ():
        yield ""
        yield from _account(account)
    yield ""
    yield from _checks(health)


def _remedies(troubles: Sequence[Json]) -> Iterator[str]:
    """What to do about the worst trouble, which the headline names; then the others with theirs."""
    for place, trouble in enumerate(troubles):
        if place:
            label = "Worth a look" if trouble.get("severity") == "advice" else "Also"
            yield f"{label}: {plain(trouble.get('headline'))}"
        if trouble.get("fix"):
            yield f"  What to do: {plain(trouble['fix'])}"


def _figures(overview: Json) -> Iterator[str]:
    counts = overview.get("counts_24h") or {}
    yield f"Last 24 hours: {', '.join(f'{counts.get(name, 0):,} {name}' for name in _COUNTS)}"
    for part in overview.get("waiting") or ():
        yield f"Waiting: {_waiting(part)}"
    if overview.get("lag_seconds") is not None:
        yield f"Late: the oldest due row has waited for {_duration(float(overview['lag_seconds']))}"
    dead = overview.get("dead") or {}
    if dead.get("rows"):
        yield f"Dead: {dead['rows']:,} in all{_worth(dead.get('value'))}"
    shares = {name: share for name, share in (overview.get("match_share") or {}).items() if share}
    if shares:
        named = (f"{_IDENTIFIERS.get(name, plain(name))} {share:.0%}" for name, share in shares.items())
        yield f"Matched by: {', '.join(named)}"


def _waiting(part: Json) -> str:
    reason = plain(part.get("reason") or "due, or on their way").replace("_", " ")
    first = part.get("first_expiry_at")
    lost = f"; the first is lost at {plain(first)}" if first else ""
    return f"{part.get('rows', 0):,} {reason}{_worth(part.get('value'))}{lost}"


def _worth(values: Json | None) -> str:
    """The sums by currency, the largest first."""
    sums = sorted((values or {}).items(), key=lambda one: -float(one[1]))
    return f", worth {', '.join(f'{_amount(amount)} {plain(currency)}' for currency, amount in sums)}" if sums else ""


def _amount(amount: float) -> str:
    return f"{amount:,.0f}" if amount == int(amount) else f"{amount:,.2f}"


def _account(account: Json) -> Iterator[str]:
    until = account.get("signed_in_until")
    signed_in = f"signed in until {plain(until)}" if until else "not signed in"
    pace = f"{account.get('requests_last_minute', 0):,} of {account.get('requests_limit', 0):,} requests a minute"
    yield f"Account {plain(account.get('account'))}: {pace}, {signed_in}"
    for goal in account.get("goals") or ():
        state = str(goal.get("state"))
        delivered = f"{goal.get('delivered_24h', 0):,} delivered{_worth(goal.get('value_24h'))}"
        named = f"{plain(goal.get('event'))}: {plain(goal.get('goal'))} ({plain(state.replace('_', ' '))})"
        share = goal.get("attributed_share")
        attributed = "" if share is None else f", {share:.0%} attributed by Microsoft in the last 7 days"
        yield f"{_STANDINGS.get(state, '?')} {named}, {delivered}{attributed}"


def _checks(health: Json) -> Iterator[str]:
    checks: dict[str, Json] = health.get("checks") or {}
    for name in _CHECKS:
        if name in checks:
            yield f"{_MARKS.get(checks[name].get('status', ''), '?')} {name:9} {plain(checks[name].get('message'))}"
    yield ""
    yield f"Outbox: {_outbox(health.get('outbox') or {})}"
    yield f"Version {plain(health.get('version'))}, up for {_duration(float(health.get('uptime_seconds') or 0))}"


def _outbox(outbox: Json) -> str:
    parts = [f"{outbox.get('pending', 0):,} pending", f"{outbox.get('dead', 0):,} dead"]
    if outbox.get("oldest_due_seconds"):
        parts.append(f"the oldest has been due for {_duration(float(outbox['oldest_due_seconds']))}")
    if outbox.get("first_expiry_at"):
        parts.append(f"the first expires at {plain(outbox['first_expiry_at'])}")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    """The seconds in the largest unit that fits twice."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
