"""Whether a report repeats one that is stored: the same, a replacement, or a conflict. A store obeys the decision.

Compares plain values; looking rows up by their key, and writing, is the store's part.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple

from sidecar.core.adjustment import Earlier
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.states_and_reasons import Reason, State

ERASED_CONTENT = ""
"""In place of the digest of an erased row: every report under its key counts as the same."""

_REPLACEABLE = frozenset((State.DEAD, State.SKIPPED))
"""States in which nothing is, or will be, at Microsoft: what has its key may replace it."""

_AT_MICROSOFT = frozenset((State.PENDING, State.DELIVERED))
"""States of rows that are at Microsoft, or on their way."""


class Repeat(Enum):
    """What a report is beside the row that has its key."""

    SAME = auto()  # answered with the stored row
    REPLACES = auto()  # takes the place of a row that was refused or skipped
    CONFLICT = auto()  # has other content under the same key


def of_conversion(
    content: str, time: UnixSeconds | None, stored_content: str, stored_time: UnixSeconds | None, stored_state: State
) -> Repeat:
    """What a conversion is beside the row with its key; a time is None where the caller named none, and equals any."""
    if stored_content == ERASED_CONTENT:
        return Repeat.SAME
    times_agree = time is None or stored_time is None or time == stored_time
    if times_agree and content == stored_content:
        return Repeat.SAME
    return Repeat.REPLACES if stored_state in _REPLACEABLE else Repeat.CONFLICT


class KeyedAdjustment(NamedTuple):
    """A stored adjustment that has the Idempotency-Key of another."""

    seq: int
    content: str
    state: State


def of_keyed_adjustment(content: str, stored: Sequence[KeyedAdjustment]) -> tuple[Repeat, int] | None:
    """What an adjustment is beside those `stored` under its key, oldest first, and which of them; None if it is new.

    One that was refused, or had nothing to adjust, may be sent again.
    """
    valid = [one for one in stored if one.state not in _REPLACEABLE]
    if not valid:
        return None
    newest = valid[-1]
    return (Repeat.SAME if newest.content in (content, ERASED_CONTENT) else Repeat.CONFLICT), newest.seq


class RepeatedAdjustment(NamedTuple):
    """The stored adjustment that another repeats."""

    seq: int
    overtaken: bool
    """Whether a later adjustment of the conversion is valid, so that this one no longer describes it."""


def of_adjustment(
    content: str, earlier: Sequence[Earlier], original_received_at: UnixMillis
) -> RepeatedAdjustment | None:
    """Which of the `earlier` adjustments of a conversion one without a key repeats; None if it is new."""
    for place in range(len(earlier) - 1, -1, -1):
        one, later = earlier[place], earlier[place + 1 :]
        if one.content == content and _is_valid(one, later, original_received_at):
            return RepeatedAdjustment(one.seq, any(each.state not in _REPLACEABLE for each in later))
    return None


def _is_valid(one: Earlier, later: Sequence[Earlier], original_received_at: UnixMillis) -> bool:
    """Whether it is carried out or will be, by itself or by a later one; not if its conversion was replaced since."""
    if one.state is not State.CANCELED:
        return one.state in _AT_MICROSOFT
    if one.reason == Reason.SUPERSEDED:
        return any(each.state in _AT_MICROSOFT for each in later)
    return original_received_at <= one.received_at
