"""Rows counted and their values added up, by what they have in common. Values in, values out; the store counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from sidecar.core.entry import Lane
from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds
from sidecar.core.states_and_reasons import State

HOUR_SECONDS = 3_600

HOURLY_DAYS = 8
"""For how long figures are kept by the hour; older ones by the day."""


class Tally(NamedTuple):
    """Rows of one lane, state and currency that were received in one period."""

    at: UnixSeconds
    """When the period begins; 0 for all time."""
    lane: int
    state: State
    currency: str | None
    rows: int
    value: Decimal
    """The sum of their values."""
    slowest_millis: int = 0
    """From receipt to delivery, of the delivered row that took longest."""


class Sum(NamedTuple):
    """A number of rows, and their values by currency."""

    rows: int = 0
    values: Mapping[str, Decimal] = {}
    slowest_millis: int = 0
    """From receipt to delivery, of the delivered row that took longest."""


class Part(NamedTuple):
    """Waiting rows of a lane with one reason and currency, as a bounded look found them."""

    reason: str | None
    """As it is stored in the rows."""
    currency: str | None
    rows: int
    value: Decimal
    first_time: UnixSeconds
    """The earliest time of their conversions."""


@dataclass(frozen=True, slots=True)
class LaneLook:
    """What a bounded look at the waiting rows of one lane found."""

    parts: Sequence[Part]
    """Rows that wait for a time, a click, an original or another attempt, by reason."""
    due_rows: int | None
    """How many others there were, where the look was given up before it had seen all; None where it saw them."""
    first_time: UnixSeconds
    """The earliest time of all its rows, or one before that where there are too many to look at."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the overview is made of, all as of one moment."""

    received: Sequence[Tally]
    """What was received in the period, by its state now."""
    stored: Sequence[Tally]
    """What is stored, by its state now."""
    lanes: Sequence[Lane]
    looks: Mapping[int, LaneLook]
    """By lane, for lanes in which anything waits."""
    oldest_due_at: UnixMillis | None
    """When the waiting row that became due first did so."""
    first_received_at: UnixMillis | None
    """When the first row that ever was came in."""


def total(tallies: Sequence[Tally]) -> Sum:
    """All of these rows."""
    values: dict[str, Decimal] = {}
    for tally in tallies:
        if tally.currency is not None and tally.value:
            values[tally.currency] = values.get(tally.currency, Decimal(0)) + tally.value
    slowest = max((tally.slowest_millis for tally in tallies), default=0)
    return Sum(sum(tally.rows for tally in tallies), values, slowest)


def period_start(since: UnixSeconds, step_seconds: int) -> UnixSeconds:
    """The start of the period in which `since` lies."""
    return UnixSeconds(since - since % step_seconds)


def first_hourly(now: UnixSeconds) -> UnixSeconds:
    """The start of the first day that still has figures by the hour."""
    return period_start(UnixSeconds(now - HOURLY_DAYS * DAY_SECONDS), DAY_SECONDS)
