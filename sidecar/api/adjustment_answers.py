"""The answer to an adjustment: alone, or as one of a bulk request."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from sidecar.api.answers import HttpAnswer, bulk_result, bulk_status, differences_json
from sidecar.api.http.problem import (
    ALREADY_RETRACTED,
    AMBIGUOUS,
    INVALID,
    KEY_OF_ANOTHER,
    NO_CONVERSION,
    BulkErrors,
    HttpProblem,
    ProblemKind,
    invalid,
)
from sidecar.api.http.reply import Json
from sidecar.api.row_json import Rows
from sidecar.api.row_members import Row
from sidecar.core.difference import FieldDifference, words
from sidecar.core.intake.adjustment import AcceptedAdjustment, Reading
from sidecar.core.intake.conversion import RejectedItem
from sidecar.core.intake.problem import Problem, Warning_
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason, State
from sidecar.core.unstored import What
from sidecar.ports.intake import (
    AdjustResult,
    AlreadyRetracted,
    Ambiguous,
    Conflict,
    NoOriginal,
    OriginalNotSent,
    Replayed,
    Stored,
    Unadjustable,
)

OVERTAKEN = Warning_(
    "overtaken",
    "value",
    "the same was sent before, and another adjustment since then: to go back to it, give time or an Idempotency-Key",
)


@dataclass(frozen=True, slots=True)
class AdjustmentResult:
    """The verdict on one item, with the warnings about it."""

    verdict: AdjustResult | RejectedItem
    warnings: tuple[Warning_, ...]


def results_of(readings: Sequence[Reading], results: Sequence[AdjustResult]) -> Iterator[AdjustmentResult]:
    """The verdict of each reading; `results` are those of the well formed ones, in order."""
    decided = iter(results)
    for reading in readings:
        verdict = next(decided) if isinstance(reading, AcceptedAdjustment) else reading
        overtaken = isinstance(verdict, Replayed) and verdict.overtaken
        yield AdjustmentResult(verdict, (*reading.warnings, OVERTAKEN) if overtaken else reading.warnings)


def why_not_stored(verdict: AdjustResult | RejectedItem) -> tuple[What, Sequence[str]] | None:
    """What the trace of the item records, with its codes; None where it is on disk."""
    match verdict:
        case Stored() | Replayed():
            return None
        case OriginalNotSent():
            return What.SKIPPED, (Reason.ORIGINAL_NOT_SENT.value,)
        case RejectedItem(problems):
            return What.REFUSED, [problem.code for problem in problems]
        case Unadjustable(problem):
            return What.REFUSED, (problem.code,)
        case NoOriginal():
            return What.REFUSED, (NO_CONVERSION.code,)
        case Ambiguous():
            return What.CONFLICT, (AMBIGUOUS.code,)
        case AlreadyRetracted():
            return What.CONFLICT, (ALREADY_RETRACTED.code,)
        case Conflict():
            return What.CONFLICT, ("conflict",)
        case _:
            assert_never(verdict)


def answer(item: AdjustmentResult, rows: Rows) -> HttpAnswer | HttpProblem:
    """The answer to a single item."""
    match item.verdict:
        case Stored(record):
            return HttpAnswer(202, _row(record, item, rows))
        case Replayed(record):
            return HttpAnswer(200, _row(record, item, rows))
        case OriginalNotSent(original):
            named = {"state": State.SKIPPED, "reason": Reason.ORIGINAL_NOT_SENT, "conversion_id": original.id}
            return HttpAnswer(200, {**named, "warnings": item.warnings})
        case RejectedItem(problems):
            return invalid(problems)
        case Unadjustable(problem):
            return invalid([problem])
        case NoOriginal():
            message = "names no conversion that is known here; for one that was uploaded elsewhere give original"
            return _refused(NO_CONVERSION, "It", Problem("", NO_CONVERSION.code, message))
        case Ambiguous(originals):
            return _ambiguous(originals)
        case AlreadyRetracted(original):
            return _retracted(original)
        case Conflict(record, differences):
            return _conflict(record, differences)
        case _:
            assert_never(item.verdict)


def result(index: int, item: AdjustmentResult, rows: Rows, errors: BulkErrors) -> Json | Row:
    """The answer of an item as one of a bulk request, whose `errors` are listed together."""
    if isinstance(item.verdict, RejectedItem):
        return {"index": index, "status": INVALID.status, **errors.of(item.verdict.problems)}
    return bulk_result(index, answer(item, rows))


def summary(items: Sequence[AdjustmentResult], results: list[Json | Row]) -> HttpAnswer:
    """A whole bulk answer."""
    kinds = Counter(type(item.verdict) for item in items)
    stored, replayed, skipped = kinds[Stored], kinds[Replayed], kinds[OriginalNotSent]
    rejected = len(items) - stored - replayed - skipped
    counts = {"accepted": stored, "replayed": replayed, "skipped": skipped, "rejected": rejected}
    return HttpAnswer(bulk_status(rejected, len(items)), {**counts, "results": results})


def _row(record: Record, item: AdjustmentResult, rows: Rows) -> Row:
    row = rows.show(record)
    row.warnings = item.warnings
    return row


def _ambiguous(originals: Sequence[Record]) -> HttpProblem:
    events = ", ".join(sorted({original.event for original in originals}))
    message = f"is needed, or conversion_id: this order_id has several conversions ({events})"
    ids = [original.id for original in originals]
    return _refused(AMBIGUOUS, "The event", Problem("event", AMBIGUOUS.code, message), conversion_ids=ids)


def _retracted(original: Record) -> HttpProblem:
    id_ = original.conversion_id or original.id
    message = f"is about {id_}, which was retracted: it has no value any more"
    problem = Problem("", ALREADY_RETRACTED.code, message)
    return _refused(ALREADY_RETRACTED, "The adjustment", problem, conversion_id=id_)


def _conflict(record: Record, differences: Sequence[FieldDifference]) -> HttpProblem:
    reason = f"was used for {record.id}, which says something else: {words(differences)}"
    problem = Problem("Idempotency-Key", "conflict", f"{reason}; give another adjustment another key")
    shown = differences_json(differences)
    return _refused(KEY_OF_ANOTHER, "The Idempotency-Key", problem, adjustment_id=record.id, differences=shown)


def _refused(kind: ProblemKind, subject: str, problem: Problem, **members: Any) -> HttpProblem:
    return HttpProblem(kind, f"{subject} {problem.message}.", errors=[problem], members=members)
