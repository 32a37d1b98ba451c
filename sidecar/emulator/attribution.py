"""Decides which accepted conversions count for a click, and why the others do not. Pure.

https://learn.microsoft.com/advertising/campaign-management-service/offlineconversionunattributedreason
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sidecar.emulator.call import MINUTE_MS
from sidecar.emulator.row_checks import MAX_CLICK_AGE_MS, CheckContext, Click, Goal
from sidecar.emulator.row_fields import TICKS_PER_MS, Conversion

_LATER = {
    "OfflineConversionNameInvalid": "GoalNotFoundOrInactive",
    "OfflineConversionTimeOutOfWindow": "ConversionTimeExceedsMaxLookback",
    "FutureConversionTimeCannotBeSet": "ConversionTimeInFuture",
    "ConversionTimeEarlierThanClickTime": "ClickTimestampAfterConversion",
    "ClickIdDateTimeOutsideGoalConversionWindow": "OutsideGoalLookbackWindow",
}
"""Checks that Microsoft may make at the upload or later, with the reason that the report then has."""

_NO_CLICK = "NoMatchingClickFound"
_NO_IDENTIFIER = "MissingMatchIdentifiers"


class Attribution(BaseModel):
    """How conversions find their clicks, and when the report shows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unknown_clicks: Literal["attributed", "unmatched"] = "attributed"
    """Whether a conversion counts whose click id, or hashes, were not registered."""
    shares: dict[str, float] = Field(default_factory=dict)
    """Parts of the unknown clicks that do not count, by reason; the same clicks each time."""
    seed: int = 0
    """Which clicks `shares` selects."""
    checks: Literal["at_upload", "in_report"] = "at_upload"
    """Whether mistakes in times, or an inactive goal, refuse the row or show in the report only."""
    report_delay_hours: int = Field(default=0, ge=0, le=8_760)
    """How long after an upload the report counts it."""

    @field_validator("shares")
    @classmethod
    def _are_parts_of_one(cls, shares: dict[str, float]) -> dict[str, float]:
        if any(share < 0 for share in shares.values()) or sum(shares.values()) > 1:
            raise ValueError("each must be at least 0, and all together at most 1")
        return shares

    def reason_of_unknown(self, identifier: str, missing: str) -> str | None:
        """Why a conversion of this unregistered identifier does not count; None if it does."""
        if self.unknown_clicks == "unmatched":
            return missing
        digest = hashlib.blake2b(f"{self.seed}:{identifier}".encode(), digest_size=8).digest()
        point = int.from_bytes(digest, "big") / 2**64
        for reason, share in self.shares.items():
            point -= share
            if point < 0:
                return missing if reason == _NO_CLICK else reason
        return None


@dataclass(frozen=True, slots=True)
class KnownClicks:
    """The registered clicks of the rows of one request."""

    by_id: Mapping[str, Click] = field(default_factory=dict)
    by_hash: Mapping[str, Sequence[Click]] = field(default_factory=dict)
    """By hashed e-mail or phone, newest first."""

    def of(self, row: Conversion, goal: Goal) -> Click | None:
        """The click of the row's click id, else of its hashes where the goal is enhanced."""
        if found := self.by_id.get(row.click_id or ""):
            return found
        hashes = [row.email, row.phone] if goal.enhanced else []
        clicks = [click for one in hashes for click in self.by_hash.get(one or "", ())]
        earlier = [click for click in clicks if row.time and click.clicked_at <= row.time.ticks // TICKS_PER_MS]
        return max(earlier or clicks, key=lambda click: click.clicked_at, default=None)


def split_symbols(symbols: Sequence[str], goal: Goal | None, settings: Attribution) -> tuple[list[str], str | None]:
    """The symbols that refuse the row at the upload; without any, the first reason that shows in the report only.

    The name of a goal that does not exist refuses the row: no report could count it.
    """
    if settings.checks == "at_upload" or goal is None:
        return list(symbols), None
    refused = [symbol for symbol in symbols if symbol not in _LATER]
    return refused, _LATER[symbols[0]] if symbols and not refused else None


def unattributed(
    row: Conversion, goal: Goal, context: CheckContext, clicks: KnownClicks, settings: Attribution
) -> str | None:
    """Why an accepted conversion does not count; None if it does."""
    click = clicks.of(row, goal)
    if click is not None:
        return _of_click(click, row, goal, context)
    if row.click_id:
        return settings.reason_of_unknown(row.click_id, _NO_CLICK)
    return settings.reason_of_unknown(f"{row.email or ''} {row.phone or ''}", _NO_IDENTIFIER)


def is_expired(row: Conversion, goal: Goal, context: CheckContext, clicks: KnownClicks) -> bool:
    """Whether the conversion's click is so old that it can no longer be adjusted."""
    click = clicks.of(row, goal)
    return click is not None and click.clicked_at < context.now - MAX_CLICK_AGE_MS


def _of_click(click: Click, row: Conversion, goal: Goal, context: CheckContext) -> str | None:
    if click.reason is not None:
        return click.reason
    if click.account_id != context.account_id:
        return "AccountMismatch"
    if click.clicked_at < context.now - MAX_CLICK_AGE_MS:
        return _NO_CLICK
    after_click_ms = (row.time.ticks if row.time else 0) / TICKS_PER_MS - click.clicked_at
    if after_click_ms < 0:
        return "ClickTimestampAfterConversion"
    return "OutsideGoalLookbackWindow" if after_click_ms > goal.window_minutes * MINUTE_MS else None
