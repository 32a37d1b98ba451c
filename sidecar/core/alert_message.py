"""The messages that go to the alerts' webhook, as generic JSON and in Slack's shape. When they go is in `alerts`."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from sidecar.core.alerts import Alert, AlertState
from sidecar.core.instant import UnixMillis, millis, text_of_millis, text_or_none
from sidecar.core.keys import digest_of
from sidecar.core.waiting_summary import Waiting

AlertFormat = Literal["json", "slack"]

_TITLES = {
    AlertState.RAISED: "Trouble",
    AlertState.REPEATED: "Still there",
    AlertState.CLEARED: "Over",
    AlertState.TEST: "Test",
}
_COLOURS = {"error": "#c62828", "warning": "#ef6c00", "advice": "#1565c0"}
_GOOD = "#2e7d32"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """One message. `severity` is that of the trouble; `dashboard` is the address of the page for people."""

    alert: Alert
    state: AlertState
    title: str
    details: tuple[str, ...]
    """What the title does not say, as sentences without their full stops: what is at stake, and what was answered."""
    fix: str
    severity: str
    waiting: Waiting | None
    """What waits for the end of the trouble; None where nothing does."""
    dashboard: str
    version: str


def body_of(message: AlertMessage, form: AlertFormat) -> dict[str, Any]:
    """Return the body to post in that form."""
    return _slack(message) if form == "slack" else _json(message)


def lasted(millis: int) -> str:
    """`45 s`, `12 min`, `3 h` or `2 days`."""
    seconds = max(0, millis // 1000)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return f"{seconds // 60} min"
    if seconds < 2 * 86_400:
        return f"{seconds // 3_600} h"
    return f"{seconds // 86_400} days"


def _json(message: AlertMessage) -> dict[str, Any]:
    alert = message.alert
    incident = (alert.code, alert.account or "", alert.subject or "", str(alert.raised_at))
    return {
        "id": digest_of(*incident, message.state, str(alert.taken_at or "")),
        "incident": digest_of(*incident),
        "state": message.state,
        "code": alert.code,
        "severity": message.severity,
        "title": message.title,
        "message": _sentences(message.title, *message.details),
        "fix": message.fix,
        "account": alert.account,
        "subject": alert.subject,
        "since": text_of_millis(alert.raised_at),
        "until": text_or_none(alert.ended_at),
        "at_stake": _at_stake(message.waiting or Waiting(0, more=False, first_time=None)),
        "dashboard": message.dashboard,
        "version": message.version,
    }


def _at_stake(waiting: Waiting) -> dict[str, Any]:
    expires = waiting.expires_at
    return {
        "conversions": waiting.rows - waiting.adjustments,
        "adjustments": waiting.adjustments,
        "more": waiting.more,
        "value": _numbers(waiting.values),
        "first_expiry_at": None if expires is None else text_of_millis(millis(expires)),
    }


def _numbers(values: Mapping[str, Decimal]) -> dict[str, int | float]:
    """With at most 15 digits a float shows exactly what was counted."""
    return {
        currency: int(value) if value == value.to_integral_value() else float(value)
        for currency, value in values.items()
        if value
    }


def _slack(message: AlertMessage) -> dict[str, Any]:
    """Attachments, not blocks: Mattermost, Rocket.Chat and Discord's `/slack` read them too.

    https://docs.slack.dev/messaging/formatting-message-text, .../reference/messaging/attachments
    """
    over = message.state in (AlertState.CLEARED, AlertState.TEST)
    headline, details = f"{_TITLES[message.state]}: {message.title}", _sentences(*message.details)
    fix = "" if over else f"*What to do:* {_escaped(message.fix)}"
    lines = (_escaped(details), fix, f"<{message.dashboard}|Open the dashboard>")
    return {
        "text": _escaped(headline),
        "attachments": [
            {
                "color": _GOOD if over else _COLOURS[message.severity],
                "fallback": f"{headline}. {details}",
                "text": "\n".join(line for line in lines if line),
                "footer": f"msads-sidecar {message.version}",
                "ts": _seconds(message.alert.ended_at or message.alert.raised_at),
                "mrkdwn_in": ["text"],
            }
        ],
    }


def _sentences(*texts: str) -> str:
    return " ".join(text if text.endswith(".") else f"{text}." for text in texts)


def _seconds(at: UnixMillis) -> int:
    return at // 1000


def _escaped(text: str) -> str:
    """Without the characters that make links and mentions: https://docs.slack.dev/messaging/formatting-message-text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
