"""Microsoft's verdict on a goal and day in words: what was attributed, why the rest was not, what differs from sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.goal_days import DayVerdict, day_of, text_of_day
from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds, text_of_millis
from sidecar.core.unattributed import UNATTRIBUTED

DUPLICATE = "DuplicateConversionKey"

LATE_MS = 6 * 3_600_000
"""How long after an upload Microsoft's report may be without it."""

RECENT_DAYS = 7
"""The days, today included, over which a goal's share is shown."""


def first_recent_day(now: UnixMillis) -> UnixSeconds:
    """Return the first of the days over which a goal's share is shown."""
    return UnixSeconds(day_of(now) - (RECENT_DAYS - 1) * DAY_SECONDS)


_WHY: Mapping[str, str] = {
    "Unknown": "had no reason given",
    "AdjustmentOriginalNotFound": "adjusted a conversion that Microsoft does not have",
    "ConversionAlreadyRetracted": "adjusted a conversion that was retracted before",
    "DuplicateConversionKey": "had come before",
    "ConversionTimeExceedsMaxLookback": "were more than 90 days old",
    "ConversionTimeInFuture": "had a time in the future",
    "GoalNotFoundOrInactive": "named a goal that is missing or inactive",
    "ClickTimestampAfterConversion": "had their click after the conversion",
    "NoMatchingClickFound": "had no matching click",
    "MissingMatchIdentifiers": "had no click id, and no click with their e-mail or phone",
    "OutsideGoalLookbackWindow": "had their click outside the goal's conversion window",
    "AccountMismatch": "had a click of another ad account",
    "MalformedData": "could not be read",
    "HistoricalClickDataExpired": "adjusted a conversion whose click is too old",
}
"""What is said of rows with each reason, after their number."""


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """Rows with one reason, in words and with its advice."""

    reason: str
    rows: int
    words: str
    meaning: str
    advice: str


def why(reason: str) -> str:
    """Return what is said of rows with this reason: `had no matching click`; an undocumented one by its name."""
    return _WHY.get(reason) or f"had a reason that this version does not know ({reason})"


def reason_lines(reasons: Mapping[str, int]) -> tuple[ReasonLine, ...]:
    """Return the reasons, the most frequent first."""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return tuple(_line(reason, rows) for reason, rows in ordered if rows > 0)


def _line(reason: str, rows: int) -> ReasonLine:
    known = UNATTRIBUTED.get(reason)
    if known is None:
        meaning = f"Microsoft has a reason that this version does not know: {reason}"
        return ReasonLine(reason, rows, why(reason), meaning, "Look for a newer version of the sidecar.")
    return ReasonLine(reason, rows, why(reason), known.meaning, known.advice)


def percent(part: int, whole: int) -> str:
    """Return `93 %`; 0 and 100 for none and all only."""
    rounded = round(100 * part / whole)
    return f"{min(max(rounded, 1), 99) if 0 < part < whole else rounded} %"


def day_words(day: DayVerdict, next_reading_at: UnixMillis | None) -> str:
    """Return the verdict on a day as sentences."""
    counted = day.attributed + day.unattributed
    if counted <= 0:
        return _nothing_yet(day, next_reading_at)
    share = percent(day.attributed, counted)
    head = (
        f"Of {_rows(counted)} that Microsoft took for this goal on {text_of_day(day.day)}, "
        f"{day.attributed:,} {'was' if day.attributed == 1 else 'were'} attributed to an ad ({share})"
    )
    rest = [f"{line.rows:,} {_agreeing(line.words, line.rows)}" for line in reason_lines(day.reasons)]
    if (unnamed := day.unattributed - sum(rows for rows in day.reasons.values() if rows > 0)) > 0:
        rest.append(f"{unnamed:,} had no reason given")
    return f"{head}; {', '.join(rest)}." if rest else f"{head}."


def _nothing_yet(day: DayVerdict, next_reading_at: UnixMillis | None) -> str:
    known = "has not reported this goal and day yet" if day.read_at else "was not asked about this goal and day yet"
    when = f" The next reading is at {text_of_millis(next_reading_at)}." if next_reading_at is not None else ""
    return f"Microsoft {known}. It reports within 6 hours of an upload.{when}"


def _agreeing(words: str, rows: int) -> str:
    """The words about one row in the singular, where they differ."""
    if rows != 1:
        return words
    return words.replace("were ", "was ", 1).replace(" their click", " its click").replace("with their", "with its")


def differences(day: DayVerdict) -> tuple[str, ...]:
    """Return why Microsoft counted another number of rows than was sent; nothing while it counted none."""
    return tuple(_differences(day)) if day.attributed + day.unattributed > 0 else ()


def _differences(day: DayVerdict) -> Iterator[str]:
    if day.sent.adjustments:
        yield (
            f"Of the {_rows(day.sent.rows)} sent, {day.sent.adjustments:,} "
            f"{_were(day.sent.adjustments)} adjustments, which Microsoft counts as rows too."
        )
    if day.surplus < 0:
        yield _missing(-day.surplus, day)
    twice = min(max(day.surplus, 0), day.reasons.get(DUPLICATE, 0))
    if twice:
        yield f"{twice:,} came twice: a request whose answer was lost is sent again, and the repeat does not count."
    if others := max(day.surplus, 0) - twice:
        yield (
            f"{others:,} {_were(others)} not sent by this sidecar: another program or a file uploads to this goal as "
            "well, a request was counted whose answer was lost, or Microsoft counts rows from around midnight (UTC) on "
            "this day."
        )


def _missing(rows: int, day: DayVerdict) -> str:
    day_ends_at = (day.day + DAY_SECONDS) * 1000
    if day.read_at is None or day.read_at < day_ends_at + LATE_MS:
        return f"{rows:,} of what was sent {_were(rows)} not counted yet: Microsoft needs up to 6 hours."
    return (
        f"{rows:,} of what was sent {_were(rows)} not counted. Around midnight (UTC) Microsoft may count a row on the "
        "next day; if it stays so, ask Microsoft's support with the TrackingId that `sidecar explain` shows."
    )


def _rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def together(days: Sequence[DayVerdict]) -> Mapping[str, int]:
    """Return the rows of each reason over several days."""
    found: dict[str, int] = {}
    for day in days:
        for reason, rows in day.reasons.items():
            found[reason] = found.get(reason, 0) + rows
    return found
