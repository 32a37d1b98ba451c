"""The check of what became of the rows that Microsoft took: the attributed share of each goal's last days."""

from collections.abc import Iterator, Sequence

from sidecar.core.doctor.check import Area, Checked, CheckStatus, ok
from sidecar.core.goal_days import DayVerdict, day_of
from sidecar.core.instant import DAY_SECONDS, UnixMillis
from sidecar.core.verdict_words import RECENT_DAYS, percent, reason_lines, together

HARMLESS = frozenset({"DuplicateConversionKey", "MissingMatchIdentifiers"})
"""A repeat counts once all the same, and a share of the rows with hashes alone belongs to people who never clicked."""

FEWEST_ROWS = 10
"""Below this number of avoidable rows nothing is concluded."""

AVOIDABLE_PERCENT = 30
"""From this share of avoidable rows on the check warns."""


def attribution_checks(
    account: str, verdicts: Sequence[DayVerdict], now: UnixMillis, *, in_sandbox: bool = False
) -> Iterator[Checked]:
    """One check for each goal with rows in the last days, or one that says that there are none."""
    if not verdicts:
        yield ok(Area.ATTRIBUTION, f"Nothing was sent in the last {RECENT_DAYS} days.", account)
    for goal in dict.fromkeys(day.goal for day in verdicts):
        yield _of_goal(account, goal, [day for day in verdicts if day.goal == goal], now, in_sandbox=in_sandbox)


def _of_goal(account: str, goal: str, days: Sequence[DayVerdict], now: UnixMillis, *, in_sandbox: bool) -> Checked:
    attributed = sum(day.attributed for day in days)
    counted = attributed + sum(day.unattributed for day in days)
    if in_sandbox:
        return ok(Area.ATTRIBUTION, "Microsoft attributes nothing in the sandbox.", account, goal)
    if counted <= 0:
        return _silent(account, goal, days, now)
    message = (
        f"Microsoft attributed {percent(attributed, counted)} of the {counted:,} row{'' if counted == 1 else 's'} "
        f"that it took in the last {RECENT_DAYS} days"
    )
    lines = reason_lines(together(days))
    avoidable = [line for line in lines if line.reason not in HARMLESS]
    main = (avoidable or lines or (None,))[0]
    if main is None:
        return ok(Area.ATTRIBUTION, f"{message}.", account, goal)
    message = f"{message}; of the others {main.rows:,} {main.words} ({main.reason})."
    rows = sum(line.rows for line in avoidable)
    if rows < FEWEST_ROWS or 100 * rows < AVOIDABLE_PERCENT * counted:
        return ok(Area.ATTRIBUTION, message, account, goal)
    cause = f"Mostly {main.meaning}."
    return Checked(Area.ATTRIBUTION, CheckStatus.WARNING, message, account, goal, cause=cause, fix=main.advice)


def _silent(account: str, goal: str, days: Sequence[DayVerdict], now: UnixMillis) -> Checked:
    """Nothing was counted: too early, or odd."""
    sent = sum(day.sent.rows for day in days)
    yesterday = day_of(now) - DAY_SECONDS
    if not any(day.sent.rows and day.day < yesterday and day.read_at is not None for day in days):
        message = f"Microsoft has not reported the {sent:,} row{'' if sent == 1 else 's'} of the last days yet."
        return ok(Area.ATTRIBUTION, message, account, goal)
    rows = f"{sent:,} row{'' if sent == 1 else 's'}"
    return Checked(
        Area.ATTRIBUTION,
        CheckStatus.WARNING,
        f"Microsoft took {rows} in the last {RECENT_DAYS} days, and its report has none.",
        account,
        goal,
        cause="Microsoft reports rows within 6 hours of their upload. Some of these are older, and the report was read "
        "since.",
        fix="See with `sidecar accounts` and `sidecar goals list` whether account and goal are the right ones. If they "
        "are, ask Microsoft's support with the TrackingId that `sidecar explain` shows.",
    )
