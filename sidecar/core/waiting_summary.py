"""What waits, what it is worth and until when it may, in words. Values in, words out; counting it is the store's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from sidecar.core.instant import DAY_SECONDS, MAX_AGE_SECONDS, UnixSeconds, text_of_seconds

NAMED_CURRENCIES = 3
NAMED_CAUSES = 3

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November"),
    "December",
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows that wait: how many (`more` when counting was given up), and the oldest time among them."""

    rows: int
    more: bool
    first_time: UnixSeconds | None
    adjustments: int = 0
    """How many of the rows are adjustments."""
    values: Mapping[str, Decimal] = field(default_factory=dict)
    """What the conversions among them are worth, by currency; those without a value of their own do not count."""

    @property
    def expires_at(self) -> UnixSeconds | None:
        """When Microsoft takes the first of them no more."""
        return None if self.first_time is None else UnixSeconds(self.first_time + MAX_AGE_SECONDS)


def in_words(waiting: Waiting) -> str:
    """How many rows wait, and the very second in which the first of them gets too old: for the log."""
    if waiting.expires_at is None:
        return "no row waits"
    expires = text_of_seconds(waiting.expires_at)
    if waiting.rows == 1 and not waiting.more:
        return f"1 row waits, it expires at {expires}"
    return f"{'more than ' if waiting.more else ''}{waiting.rows:,} rows wait, the first expires at {expires}"


def stake(waiting: Waiting, causes: Sequence[str]) -> str:
    """One sentence without its full stop: what waits, for want of what, and until when.

    `3 conversions worth 300 EUR wait: Microsoft has no goal called Purchase; the first expires on 27 February`.
    """
    alone = waiting.rows == 1 and not waiting.more
    because = f": {_causes(causes)}" if causes else ""
    expires = waiting.expires_at
    until = "" if expires is None else f"; {'it' if alone else 'the first'} expires on {day(expires)}"
    return f"{amount(waiting)} {'waits' if alone else 'wait'}{because}{until}"


def amount(waiting: Waiting) -> str:
    """`3 conversions worth 300 EUR and 1 adjustment`."""
    more = "more than " if waiting.more else ""
    conversions = waiting.rows - waiting.adjustments
    parts = []
    if conversions or not waiting.adjustments:
        worth = _worth(waiting.values)
        parts.append(f"{more}{_number(conversions, 'conversion')}{f' worth {more}{worth}' if worth else ''}")
    if waiting.adjustments:
        parts.append(f"{'' if parts else more}{_number(waiting.adjustments, 'adjustment')}")
    return " and ".join(parts)


def day(at: UnixSeconds) -> str:
    """`27 February`, in UTC: what lies at most 90 days ahead needs no year."""
    on = date(1970, 1, 1).fromordinal(date(1970, 1, 1).toordinal() + at // DAY_SECONDS)
    return f"{on.day} {_MONTHS[on.month - 1]}"


def _number(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _worth(values: Mapping[str, Decimal]) -> str:
    """The largest sums first; what would be too many to read is left out by name."""
    sums = sorted(((value, currency) for currency, value in values.items() if value), reverse=True)
    named = [f"{_money(value)} {currency}" for value, currency in sums[:NAMED_CURRENCIES]]
    if len(sums) > NAMED_CURRENCIES:
        named.append("other currencies")
    return _listed(named)


def _money(value: Decimal) -> str:
    """Whole amounts as they are, others with two decimals at least."""
    shown = value.normalize()
    decimals = max(2, -int(shown.as_tuple().exponent)) if shown != shown.to_integral_value() else 0
    return f"{value:,.{decimals}f}"


def _causes(causes: Sequence[str]) -> str:
    named = list(dict.fromkeys(causes))
    if len(named) > NAMED_CAUSES:
        named = [*named[: NAMED_CAUSES - 1], f"{len(named) - NAMED_CAUSES + 1} more reasons"]
    return _listed(named)


def _listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)
