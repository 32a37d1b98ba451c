"""Why Microsoft attributed an uploaded row to no ad: its reasons, what each means, and what to do about it.

https://learn.microsoft.com/advertising/campaign-management-service/offlineconversionunattributedreason
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

OTHER = "Unknown"
"""Where rows are counted whose reason has no usable name."""

MOST_REASONS = 24
"""Reasons that are kept of a goal and day; rows of any others are counted under OTHER."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class UnattributedReason:
    """A reason: its name and number at Microsoft, its meaning, and the advice to people."""

    name: str
    number: int
    meaning: str
    advice: str


_REASONS = (
    UnattributedReason(
        "Unknown", 0, "Microsoft gives no reason", "Nothing to do; if many rows stay so, ask Microsoft's support."
    ),
    UnattributedReason(
        "AdjustmentOriginalNotFound",
        1,
        "an adjustment arrived for which Microsoft has no conversion",
        "Upload the conversion first, and leave its click id, time and goal as they were sent.",
    ),
    UnattributedReason(
        "ConversionAlreadyRetracted",
        2,
        "an adjustment arrived after the conversion was retracted",
        "Send no more adjustments of a retracted conversion.",
    ),
    UnattributedReason(
        "DuplicateConversionKey",
        3,
        "Microsoft has this conversion already",
        "Nothing to do after a request was repeated; else look for a second program that uploads to this goal.",
    ),
    UnattributedReason(
        "ConversionTimeExceedsMaxLookback",
        4,
        "the conversion happened more than 90 days before",
        "Report conversions sooner.",
    ),
    UnattributedReason(
        "ConversionTimeInFuture",
        5,
        "the time of the conversion had not come yet",
        "Check the clock and the time zone of the program that reports conversions.",
    ),
    UnattributedReason(
        "GoalNotFoundOrInactive",
        11,
        "no active goal has this name",
        "Activate the goal, or correct its name in events; sidecar goals shows both sides.",
    ),
    UnattributedReason(
        "ClickTimestampAfterConversion",
        12,
        "the click came after the conversion",
        "Check the time zone of the times that are reported, and that the click id belongs to this order.",
    ),
    UnattributedReason(
        "NoMatchingClickFound",
        13,
        "no click has this msclkid, e-mail or phone",
        "Check that click ids are Microsoft's, complete and of the last 90 days, and that auto-tagging is on.",
    ),
    UnattributedReason(
        "MissingMatchIdentifiers",
        14,
        "there was no click id, and no click of a person with this e-mail or phone",
        "A share of this is normal for rows with hashes alone; pass msclkid or visitor_id with every conversion.",
    ),
    UnattributedReason(
        "OutsideGoalLookbackWindow",
        15,
        "the click was further back than the goal's conversion window",
        "Raise the goal's conversion window at Microsoft, up to 90 days.",
    ),
    UnattributedReason(
        "AccountMismatch",
        16,
        "the click belongs to another ad account",
        "Send such conversions to the account whose ads were clicked: `account` in the request or in events.",
    ),
    UnattributedReason(
        "MalformedData",
        17,
        "Microsoft could not read the row",
        "This is a bug in the sidecar: report it with the day and the goal.",
    ),
    UnattributedReason(
        "HistoricalClickDataExpired",
        18,
        "the click of the adjusted conversion is more than 90 days old",
        "It is too late for this adjustment; report refunds sooner.",
    ),
)

UNATTRIBUTED: Mapping[str, UnattributedReason] = {reason.name: reason for reason in _REASONS}
"""Every reason that Microsoft documents, by its name."""

_BY_NUMBER = {str(reason.number): reason.name for reason in _REASONS}
_BY_FOLDED = {reason.name.casefold(): reason.name for reason in _REASONS}


def reason_name(given: str) -> str:
    """Return the reason's name as Microsoft documents it, from any case or from its number.

    An undocumented one keeps its name, and is OTHER where that is no plain word of at most 64 characters.
    """
    known = _BY_NUMBER.get(given) or _BY_FOLDED.get(given.casefold())
    return known or (given if _NAME.fullmatch(given) else OTHER)


def reasons_of(given: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return the rows of each reason, the most frequent first; at most MOST_REASONS are kept by their name."""
    found: dict[str, int] = {}
    for name, rows in given:
        if rows > 0:
            found[reason_name(name)] = found.get(reason_name(name), 0) + rows
    ordered = sorted(found.items(), key=lambda item: (item[0] not in UNATTRIBUTED, -item[1], item[0]))
    kept, rest = dict(ordered[: MOST_REASONS - 1]), ordered[MOST_REASONS - 1 :]
    if rest:
        kept[OTHER] = kept.get(OTHER, 0) + sum(rows for _, rows in rest)
    return dict(sorted(kept.items(), key=lambda item: (-item[1], item[0])))
