"""The states of a row, and the reasons for them: why it waits, and why it ended."""

from enum import StrEnum


class State(StrEnum):
    """Where a row is.

    Delivery and age move it out of `pending`, and so do adjusting, discarding and an erasure; a replay, a replacement
    and a late click move it back from `dead` or `skipped`.
    """

    PENDING = "pending"  # on disk, will be sent
    DELIVERED = "delivered"  # Microsoft took it
    SKIPPED = "skipped"  # will not be sent, by rule
    DEAD = "dead"  # refused for good, or too old; shown, can be replayed
    CANCELED = "canceled"  # ended before it was sent


class Reason(StrEnum):
    """Why a row is in its state, where Microsoft's own `ErrorCode` does not show it."""

    NOT_YET = "not_yet"
    RETRYING = "retrying"
    AWAITING_CLICK = "awaiting_click"
    CLICK_SETTLING = "click_settling"
    AWAITING_ORIGINAL = "awaiting_original"
    NO_CLICK = "no_click"
    OUTSIDE_WINDOW = "outside_window"
    GOAL_NOT_ENHANCED = "goal_not_enhanced"
    ORIGINAL_NOT_SENT = "original_not_sent"
    TOO_OLD = "too_old"
    POISON = "poison"
    DISCARDED = "discarded"
    ERASED = "erased"
    RETRACTED = "retracted"
    SUPERSEDED = "superseded"
    APPLIED_BEFORE_UPLOAD = "applied_before_upload"
    # Read from the account or goal when a row is shown; never stored in rows.
    NOT_CONNECTED = "not_connected"
    ACCOUNT_PAUSED = "account_paused"
    THROTTLED = "throttled"
    GOAL_NOT_FOUND = "goal_not_found"
    GOAL_PAUSED = "goal_paused"
    GOAL_SETTLING = "goal_settling"
    UNMAPPED = "unmapped"
