"""A trouble as the overview needs it: what it holds up, how bad it is, and its sentence for people."""

import re
from collections.abc import Set
from dataclasses import dataclass

from sidecar.core.instant import DAY_SECONDS, UnixMillis
from sidecar.core.waiting_summary import Waiting, amount, day

ALARM_SECONDS = 14 * DAY_SECONDS
"""What passes by itself, or was wanted, says when the first row would be lost only when that is near."""

ERROR, WARNING, ADVICE = "error", "warning", "advice"
_LOUDEST = (ERROR, WARNING, ADVICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """A trouble, in plain values."""

    code: str
    title: str
    message: str
    """What is wrong: its title with subject and detail, without its account and without a full stop."""
    cause: str
    fix: str
    since: UnixMillis
    account: str | None
    subject: str | None
    severity: str
    check: str
    about: str
    """What its subject is: `goal`, `event` or something else."""
    waits_for: str | None = None
    """For want of what rows wait: the end of a sentence."""
    lanes: Set[int] = frozenset()
    """The lanes whose rows wait for its end."""

    def is_about(self, account: str, event: str, goal: str) -> bool:
        """Whether it is the trouble of that goal or event."""
        subject = {"goal": goal, "event": event}.get(self.about)
        return self.account in (None, account) and subject is not None and self.subject == subject

    @property
    def is_wanted(self) -> bool:
        """Whether what it holds up goes on by itself, or when a person wants it to."""
        return self.severity == WARNING and self.waits_for is not None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A concern with what waits for its end, in one sentence."""

    concern: Concern
    waiting: Waiting
    headline: str


def badness(ranked: Ranked) -> tuple[int, int, UnixMillis, str]:
    """Sort errors first; of equal ones what holds up most rows, then what began first."""
    concern = ranked.concern
    return _LOUDEST.index(concern.severity), -ranked.waiting.rows, concern.since, concern.code


def sentence(concern: Concern, waiting: Waiting, now: UnixMillis, *, names_account: bool) -> str:
    """Return what waits for its end, why, and when the first of it would be lost; else what is wrong."""
    if not waiting.rows or concern.waits_for is None:
        return f"{concern.message}{_where(concern, concern.message) if names_account else ''}."
    alone = waiting.rows == 1 and not waiting.more
    lost = waiting.expires_at
    is_far = concern.is_wanted and lost is not None and lost - now / 1000 > ALARM_SECONDS
    until = "" if lost is None or is_far else f" {'It' if alone else 'The first'} would be lost on {day(lost)}."
    where = _where(concern, concern.waits_for) if names_account else ""
    return f"{amount(waiting)} {'waits' if alone else 'wait'}: {concern.waits_for}{where}.{until}"


def _where(concern: Concern, words: str) -> str:
    """Return the account for the end of a sentence, unless its words name it."""
    account = concern.account
    if account is None or re.search(rf"(?<!\w){re.escape(account)}(?!\w)", words):
        return ""
    return f" (account {account})"
