"""What an answer to a whole request means: the vocabulary between `microsoft.wire` and the flusher."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import assert_never

from sidecar.core.entry import Fault, Hold, Outcome


@dataclass(frozen=True, slots=True)
class Taken:
    """An answer that decides over each of its `rows`, by their place in the request."""

    rows: int
    named: Mapping[int, Outcome]
    """Those that were not delivered; mostly there are none, and nothing is done for each row."""
    tracking_id: str | None

    @property
    def delivered(self) -> int:
        """How many rows Microsoft took."""
        return self.rows - len(self.named)


class Verdict(StrEnum):
    """Why a request was refused as a whole, by what must happen."""

    TOKEN = "token"  # noqa: S105 - the access token is no longer accepted: refresh once, repeat once
    ACCOUNT = "account"  # credentials, headers, rights, account: pause it until someone fixes it
    THROTTLED = "throttled"  # too many requests: wait, come back slower
    POISON = "poison"  # some row cannot be read: halve until it is alone
    SERVER = "server"  # Microsoft's trouble: repeat the same bytes after a pause


@dataclass(frozen=True, slots=True)
class RefusedBatch:
    """Microsoft answered, and accepted nothing of the request as far as its answer shows."""

    verdict: Verdict
    faults: tuple[Fault, ...]
    """At least one; the first is the one that decided."""
    trouble: str
    """The code of the trouble to raise, a key of the catalogue in `sidecar.troubles`.

    With `TOKEN` it is what the matter is if a fresh token is refused too.
    """
    tracking_id: str | None = None
    retry_after_seconds: float | None = None
    """From `Retry-After`, in seconds or as a date, clamped to 1 s ... 15 min; None when absent or unreadable."""
    maybe_applied: bool = False
    """Some rows may have been taken all the same, as always with `SERVER`: what was sent must not change."""
    rows: Mapping[int, Outcome] = field(default_factory=dict)
    """Rows that the answer names and decides over, by their place in the request; they only held up the others.

    Empty, as `hold` is None, where some may have been applied: then nothing of such an answer can be relied on.
    """
    hold: Hold | None = None
    """Set where a goal is the cause and no row is named: in a batch of one goal it is the outcome of every row."""
    lead: str | None = None
    """The evidence for `trouble` where the answer alone does not show it."""


@dataclass(frozen=True, slots=True)
class Lost:
    """No readable answer: the request may or may not have been applied. The same bytes must go again.

    `sent` is false where it cannot have left this machine, so that nothing was applied for certain.
    """

    why: str
    tracking_id: str | None = None
    sent: bool = True
    trouble: str = field(default="unreachable", compare=False)
    """The code of the trouble to raise, a key of the catalogue in `sidecar.troubles`; `why` is its text."""


Answer = Taken | RefusedBatch | Lost


def with_clean_words(answer: Answer, clean: Callable[[str], str]) -> Answer:
    """The same answer with `clean` applied to Microsoft's own words, which may quote what was sent."""

    @cache  # a thousand rows mostly fail with one and the same fault
    def fault(given: Fault) -> Fault:
        return replace(given, error=clean(given.error), message=given.message and clean(given.message))

    def outcome(given: Outcome) -> Outcome:
        return replace(given, fault=fault(given.fault))

    def each(rows: Mapping[int, Outcome]) -> Mapping[int, Outcome]:
        return {place: outcome(given) for place, given in rows.items()}

    match answer:
        case Taken(named=named):
            return replace(answer, named=each(named))
        case RefusedBatch(faults=faults, rows=rows, hold=hold):
            held = hold and replace(hold, fault=fault(hold.fault))
            return replace(answer, faults=tuple(map(fault, faults)), rows=each(rows), hold=held)
        case Lost():
            return answer
        case _:
            assert_never(answer)
