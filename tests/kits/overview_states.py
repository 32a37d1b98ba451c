"""Six states of the overview, as the sidecar describes them. Five seconds have to be enough to know what to do."""

from dashboard_double import Json, account, ago, counts, goal, overview, trouble

from sidecar.troubles import CATALOGUE

_DAY = [31, 22, 14, 9, 6, 5, 8, 17, 34, 52, 66, 71, 75, 70, 68, 73, 77, 79, 82, 84, 78, 69, 58, 44, 12]
_SKIPPED = [0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0]
"""Rows by hour, of a shop's day: 1,204 and 8."""


def series(state: Json) -> dict[str, list[int]]:
    """The rows by hour that belong to a state: the latest are those that wait."""
    left, pending = state["counts_24h"]["pending"], []
    for rows in reversed(_DAY):
        pending.insert(0, min(rows, left))
        left -= pending[0]
    delivered = [rows - waiting for rows, waiting in zip(_DAY, pending, strict=True)]
    return {"delivered": delivered, "pending": pending, "skipped": _SKIPPED}


def _goals(**changed: Json) -> Json:
    known = {
        "purchase": goal("purchase", delivered_24h=1_102, value_24h={"USD": 47_980.5}),
        "lead": goal("lead", delivered_24h=102, value_24h={"USD": 230}),
        "signup": goal("signup", "no_recent_conversions"),
    }
    return account("default", *({**line, **changed.get(event, {})} for event, line in known.items()))


def _waiting(reason: str | None, rows: int, **value: float) -> Json:
    return {"reason": reason, "rows": rows, "value": value, "first_expiry_at": ago(days=-89)}


def _held(headline: str, *events: str, state: str = "held") -> Json:
    return _goals(**{event: {"state": state, "headline": headline} for event in events})


def well() -> Json:
    """All is delivered."""
    return overview(accounts=[_goals()])


def token_dead() -> Json:
    """Microsoft refuses the stored sign-in."""
    why = "Microsoft no longer accepts the sign-in"
    line = f"87 conversions worth 3,410 USD wait: {why}. The first would be lost on 27 February."
    return overview(
        trouble("token_refresh_failed", line, since=ago(hours=3)),
        counts_24h=counts(delivered=1_117, pending=87, skipped=8),
        waiting=[_waiting("not_connected", 87, USD=3_410)],
        lag_seconds=3 * 3_600,
        accounts=[_held(f"{why}.", "purchase", "lead", state="needs_attention") | {"signed_in_until": None}],
    )


def goal_missing() -> Json:
    """An event's goal is not in the account, beside a trouble that passes by itself."""
    why = "Microsoft has no goal called Sidecar Signup"
    line = f"3 conversions worth 300 EUR wait: {why}. The first would be lost on 27 February."
    fix = CATALOGUE["goal_not_found"].solution.replace("<event>", "signup")
    return overview(
        trouble("goal_not_found", line, account="default", subject="Sidecar Signup", fix=fix),
        counts_24h=counts(delivered=1_201, pending=3, skipped=8),
        waiting=[_waiting("goal_not_found", 3, EUR=300)],
        accounts=[_held(f"{why}.", "signup", state="needs_attention")],
    )


def throttled() -> Json:
    """Microsoft asked for a slower pace."""
    why = "Microsoft asked for a slower pace"
    line = f"12 conversions worth 480 USD wait: {why}."
    return overview(
        trouble("throttled", line, account="default", since=ago(minutes=2)),
        counts_24h=counts(delivered=1_192, pending=12, skipped=8),
        waiting=[_waiting("throttled", 12, USD=480)],
        lag_seconds=95,
        accounts=[_held(f"{why}.", "purchase", "lead") | {"requests_last_minute": 500, "requests_limit": 500}],
    )


def disk_full() -> Json:
    """Intake answers 503."""
    line = "Disk nearly full: 180 MiB are left where the outbox lies, and new conversions are answered with 503."
    return overview(
        trouble("disk_nearly_full", line, since=ago(minutes=12)),
        counts_24h=counts(delivered=1_204, skipped=8),
        accounts=[_goals()],
    )


def match_share_low() -> Json:
    """Most conversions carry nothing to match by."""
    advice = trouble(
        "low_match_rate", "Low match rate: Sidecar Purchase (11 %: of the last 500 conversions can be matched)."
    )
    return overview(
        advice | {"account": "default", "subject": "Sidecar Purchase", "since": ago(days=2)},
        headline=f"{overview()['headline'].removeprefix('All is well. ')} Worth a look: {advice['headline']}",
        match_share={"msclkid": 0.06, "visitor": 0.01, "email": 0.05, "phone": 0.01, "none": 0.89},
        accounts=[_goals()],
    )


SIX = {
    "well": well,
    "token-dead": token_dead,
    "goal-missing": goal_missing,
    "throttled": throttled,
    "disk-full": disk_full,
    "match-share-low": match_share_low,
}
