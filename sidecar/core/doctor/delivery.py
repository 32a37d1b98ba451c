"""The checks of what goes out: troubles that no other check explains, the age of the queue, the last success."""

from collections.abc import Iterator, Mapping, Sequence

from sidecar.core.doctor.check import Area, Checked, CheckStatus, Finding, ok
from sidecar.core.doctor.facts import AccountFacts, ActiveFacts, QueueFacts
from sidecar.core.instant import DAY_SECONDS, UnixMillis, text_of_millis

OLD_SECONDS = 15 * 60.0
"""A row that has been due for longer is held by something: the linger and a usual pause take less."""

VERY_OLD_SECONDS = 6 * 3_600.0
URGENT_SECONDS = 7 * DAY_SECONDS
"""Below this time until the first row gets too old, an old queue is a failure."""

SILENT_SECONDS = 7 * DAY_SECONDS


_ALSO: Mapping[Area, tuple[Area, ...]] = {
    Area.TOKEN: (Area.SCOPE, Area.CONNECTION),
    Area.DEVELOPER_TOKEN: (Area.ACCOUNT,),
    Area.ACCOUNT: (Area.DEVELOPER_TOKEN,),
    Area.ROLE: (Area.ACCOUNT,),
    Area.ENHANCED: (Area.GOAL,),
    Area.STORAGE: (Area.DISK,),
}
"""Which other checks explain a trouble of an area."""


def delivery(active: Sequence[ActiveFacts], others: Sequence[Checked]) -> Iterator[Checked]:
    """One check for each trouble that the `others` do not explain, or one that says that there is none."""
    left = [one for one in active if not any(_explains(check, one) for check in others)]
    if not left:
        yield ok(Area.DELIVERY, "Nothing else is wrong.")
    for one in left:
        status = CheckStatus.FAILED if one.is_error else CheckStatus.WARNING
        yield Checked(Area.DELIVERY, status, f"{one.message.rstrip('.')}.", one.account, trouble=one.code)


def _explains(check: Checked, active: ActiveFacts) -> bool:
    areas = (active.area, *_ALSO.get(active.area, ()))
    if check.status is CheckStatus.OK or check.name not in areas:
        return False
    return check.account in (None, active.account) and check.goal in (None, active.subject)


def queue(facts: QueueFacts, now: UnixMillis) -> Checked:
    """Whether rows wait for longer than they should."""
    if not facts.pending:
        return ok(Area.QUEUE, "Nothing waits.")
    rows = f"{facts.pending:,} row{'' if facts.pending == 1 else 's'} wait{'s' if facts.pending == 1 else ''}"
    due, expiry = facts.oldest_due_seconds, facts.first_expiry_at
    until = f"; the first gets too old on {text_of_millis(expiry)[:10]}" if expiry is not None else ""
    if due < OLD_SECONDS:
        return ok(Area.QUEUE, f"{rows}, and none has been due for long{until}.")
    is_urgent = expiry is not None and (expiry - now) / 1000 < URGENT_SECONDS
    status = CheckStatus.FAILED if due >= VERY_OLD_SECONDS or is_urgent else CheckStatus.WARNING
    return Checked(
        Area.QUEUE,
        status,
        f"{rows}, and the oldest has been due for {_duration(due)}{until}.",
        cause="Something holds these rows back, or more conversions come in than may go out.",
        fix="Fix what the other checks name; the rows then go out by themselves. If they name nothing, see what the "
        "rows wait for: `sidecar status`, and `sidecar explain` with one of the orders.",
    )


def last_success(account: AccountFacts, now: UnixMillis) -> Finding:
    """When Microsoft last accepted a conversion of the account."""
    at = account.last_success_at
    if at is None:
        message = "Nothing was delivered yet; `sidecar send` tries a first conversion."
        return ok(Area.LAST_SUCCESS, message, account.name)
    ago = max(0.0, (now - at) / 1000)
    message = f"The last conversion was accepted at {text_of_millis(at)[:19]}Z."
    if ago < SILENT_SECONDS:
        return ok(Area.LAST_SUCCESS, message, account.name)
    return Checked(
        Area.LAST_SUCCESS,
        CheckStatus.WARNING,
        f"No conversion was accepted for {_duration(ago)}; the last one was at {text_of_millis(at)[:19]}Z.",
        account.name,
        cause="No conversions came in, or none could be delivered.",
        fix="See whether your app still sends them: GET /v1/conversions lists them. Then look at the other "
        "checks. `sidecar send` tries a conversion.",
    )


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
