"""Which message goes to the alerts' webhook, and when: a trouble was raised, is still there, or is over.

A trouble has one row, not a queue of messages: what changed while the webhook was away becomes one message. The texts
are made in `alert_message`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from sidecar.core.instant import UnixMillis

MOST_ALERTS = 1_000
"""Troubles that are stored at once; further ones wait until some are over."""

AlertKey = tuple[str, str | None, str | None]
"""Code, account and subject of a trouble."""


class AlertState(StrEnum):
    """What a message says."""

    RAISED = "raised"
    REPEATED = "repeated"  # it is still there
    CLEARED = "cleared"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class AlertRules:
    """Durations in milliseconds."""

    repeat_millis: int
    settle_millis: int = 5_000
    """How long a change must last before it is posted: troubles come and go in groups."""
    grace_millis: int = 300_000
    """How long after a start a trouble of before may take to be found again, until it counts as over."""
    pause_millis: int = 1_000
    """The least time between two messages. Slack takes one a second: https://docs.slack.dev/apis/web-api/rate-limits"""


@dataclass(frozen=True, slots=True)
class Alert:
    """A trouble as far as the webhook is concerned."""

    code: str
    account: str | None
    subject: str | None
    raised_at: UnixMillis
    ended_at: UnixMillis | None = None
    taken_at: UnixMillis | None = None
    """When the webhook last took a message that it is there; None before."""
    is_unsure: bool = False
    """Whether a message was sent since that the webhook is not known to have taken."""

    @property
    def key(self) -> AlertKey:
        """What makes it another trouble than others."""
        return self.code, self.account, self.subject

    @property
    def is_known(self) -> bool:
        """Whether the webhook may have heard of it."""
        return self.taken_at is not None or self.is_unsure


@dataclass(frozen=True, slots=True)
class DueMessage:
    """The next message about a trouble, and when it is due."""

    alert: Alert
    state: AlertState
    due_at: UnixMillis


def observed(
    known: Mapping[AlertKey, Alert],
    active: Mapping[AlertKey, UnixMillis],
    now: UnixMillis,
    missing: Collection[AlertKey] = (),
) -> dict[AlertKey, Alert]:
    """Return the alerts after a look at the troubles that are active, each with its beginning.

    Those in `missing` were active before a restart and may be found again: they stay as they are. A trouble that ended
    before any message of it was sent is left out.
    """
    alerts = {key: alert if key in missing else _seen(alert, active.get(key), now) for key, alert in known.items()}
    found = {key: alert for key, alert in alerts.items() if alert.ended_at is None or alert.is_known}
    for key, since in active.items():
        if key not in found and len(found) < MOST_ALERTS:
            found[key] = Alert(*key, since)
    return found


def _seen(alert: Alert, since: UnixMillis | None, now: UnixMillis) -> Alert:
    if since is None:
        return alert if alert.ended_at is not None else replace(alert, ended_at=now)
    if alert.ended_at is None:
        return alert
    if alert.is_unsure:  # the webhook may believe that it is over
        return replace(alert, raised_at=since, ended_at=None, taken_at=None)
    return replace(alert, ended_at=None)


def next_message(alerts: Iterable[Alert], rules: AlertRules, missing: Collection[AlertKey] = ()) -> DueMessage | None:
    """Return the message that is due first, None where there will be none; none of those in `missing`."""
    messages = (_message(alert, rules) for alert in alerts if alert.key not in missing)
    return min(messages, key=lambda message: message.due_at, default=None)


def _message(alert: Alert, rules: AlertRules) -> DueMessage:
    if alert.ended_at is not None:
        return DueMessage(alert, AlertState.CLEARED, UnixMillis(alert.ended_at + rules.settle_millis))
    if alert.taken_at is None:
        return DueMessage(alert, AlertState.RAISED, UnixMillis(alert.raised_at + rules.settle_millis))
    return DueMessage(alert, AlertState.REPEATED, UnixMillis(alert.taken_at + rules.repeat_millis))


def sent(alert: Alert) -> Alert:
    """Return it as it is stored before a message leaves."""
    return replace(alert, is_unsure=True)


def taken(message: DueMessage, now: UnixMillis) -> Alert | None:
    """Return the alert after the webhook took the message; None where nothing is left to say of it."""
    return None if message.state is AlertState.CLEARED else replace(message.alert, taken_at=now, is_unsure=False)
