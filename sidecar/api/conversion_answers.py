"""The answer to a conversion: alone, or as one of a bulk request."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, assert_never

from msgspec import Struct

from sidecar.api.answers import HttpAnswer, bulk_result, bulk_status, differences_json, numbered
from sidecar.api.http.problem import CONFLICT, INVALID, BulkErrors, HttpProblem, invalid
from sidecar.api.http.reply import Json, encode
from sidecar.api.row_json import Rows
from sidecar.api.row_members import Row
from sidecar.core.difference import FieldDifference, words
from sidecar.core.instant import UnixSeconds, text_of_seconds
from sidecar.core.intake.conversion import Accepted, Reading, RejectedItem, Skipped
from sidecar.core.intake.problem import Problem, Warning_
from sidecar.core.keys import KeySource
from sidecar.core.record import Record
from sidecar.core.unstored import What
from sidecar.ports.intake import Conflict, PutResult, Replayed, Stored

Verdict = Stored | Replayed | Conflict | Skipped | RejectedItem


class ItemResult(Struct, frozen=True, gc=False):
    """The verdict on one item, with the warnings about it."""

    verdict: Verdict
    warnings: tuple[Warning_, ...]
    key: KeySource = KeySource.NONE
    """What the conflict is about, where the verdict is one."""


def results_of(readings: Iterable[Reading], results: Sequence[PutResult]) -> Iterator[ItemResult]:
    """The verdict of each reading; `results` are those of the accepted ones, in order."""
    stored = iter(results)
    for reading in readings:
        if not isinstance(reading, Accepted):
            yield ItemResult(reading, reading.warnings)
            continue
        verdict = next(stored)
        if isinstance(verdict, Stored) and verdict.late_click is not None:
            own = reading.conversion.msclkid is not None
            yield ItemResult(verdict, (*reading.warnings, _before_click(verdict.late_click, own)))
            continue
        key = reading.conversion.key().source if isinstance(verdict, Conflict) else KeySource.NONE
        yield ItemResult(verdict, reading.warnings, key)


def _before_click(clicked_at: UnixSeconds, own: bool) -> Warning_:
    """The warning about a conversion that lies before its own click, or before every click of its visitor."""
    which = "its own click" if own else "the first click of its visitor"
    message = (
        f"lies before {which}, captured at {text_of_seconds(clicked_at)}: Microsoft counts no conversion before its "
        "click. Most likely a time zone is wrong"
    )
    return Warning_("before_click", "time", message)


def why_not_stored(verdict: Verdict) -> tuple[What, Sequence[str]] | None:
    """What the trace of the item records, with its codes; None where it is on disk."""
    match verdict:
        case Stored() | Replayed():
            return None
        case Skipped(reason):
            return What.SKIPPED, (reason,)
        case RejectedItem(problems):
            return What.REFUSED, [problem.code for problem in problems]
        case Conflict():
            return What.CONFLICT, ("conflict",)
        case _:
            assert_never(verdict)


def answer(item: ItemResult, rows: Rows, *, minimal: bool = False) -> HttpAnswer | HttpProblem:
    """The answer to a single item; a `minimal` one shows id, state and warnings of a row."""
    match verdict := item.verdict:
        case Stored() | Replayed():
            body = _brief(verdict.record, item) if minimal else _row(verdict.record, item, rows)
            return HttpAnswer(202 if isinstance(verdict, Stored) else 200, body)
        case Skipped(reason):
            return HttpAnswer(200, {"state": "skipped", "reason": reason, "warnings": item.warnings})
        case Conflict(record, differences):
            return _conflict(record, item.key, differences)
        case RejectedItem(problems):
            return invalid(problems)
        case _:
            assert_never(verdict)


def result(index: int, item: ItemResult, rows: Rows, errors: BulkErrors | None = None) -> Json | Row:
    """The answer of an item as one of a bulk request, whose `errors` are listed together."""
    if isinstance(item.verdict, Stored):  # as nearly all are
        return numbered(_row(item.verdict.record, item, rows), index, 202)
    if errors is not None and isinstance(item.verdict, RejectedItem):
        return {"index": index, "status": INVALID.status, **errors.of(item.verdict.problems)}
    return bulk_result(index, answer(item, rows))


def minimal_result(index: int, item: ItemResult, rows: Rows, errors: BulkErrors | None = None) -> Json | Row:
    """The minimal answer of an item as one of a bulk request."""
    match item.verdict:
        case Stored(record):
            return {"index": index, "status": 202, "id": record.id}
        case Replayed(record):
            return {"index": index, "status": 200, "id": record.id}
        case _:
            return result(index, item, rows, errors)


class Summary(NamedTuple):
    """A bulk answer without its results."""

    status: int
    counts: Json

    def with_results(self, results: Iterable[bytes]) -> bytes:
        """The whole body; `results` are JSON texts already."""
        return b'%b,"results":[%b]}' % (encode(self.counts)[:-1], b",".join(results))


def summary(items: Sequence[ItemResult]) -> Summary:
    """The status and the counts of a bulk answer."""
    kinds = Counter(type(item.verdict) for item in items)
    rejected = kinds[Conflict] + kinds[RejectedItem]
    counts = {"accepted": kinds[Stored], "replayed": kinds[Replayed], "skipped": kinds[Skipped], "rejected": rejected}
    return Summary(bulk_status(rejected, len(items)), counts)


def _brief(record: Record, item: ItemResult) -> Json:
    return {"id": record.id, "state": record.state, "warnings": item.warnings}


def _row(record: Record, item: ItemResult, rows: Rows) -> Row:
    row = rows.show(record)
    row.warnings = item.warnings
    return row


_KEYS = {
    KeySource.ORDER: ("order_id", "this order_id"),
    KeySource.HEADER: ("Idempotency-Key", "this Idempotency-Key"),
    KeySource.NATURAL: ("time", "the same goal, identifiers and time"),
    KeySource.NONE: ("", "this key"),
}
"""The field that a conflict names, and the words for it."""


def _conflict(record: Record, key: KeySource, differences: Sequence[FieldDifference]) -> HttpProblem:
    field, named = _KEYS[key]
    message = (
        f"{record.id} was stored under {named} with other content: {words(differences)}. To correct its value or take "
        "it back, send an adjustment to POST /v1/adjustments; for another conversion use another order_id or "
        "Idempotency-Key"
    )
    return HttpProblem(
        CONFLICT,
        f"{message}.",
        errors=[Problem(field, "conflict", message)],
        members={"conversion_id": record.id, "differences": differences_json(differences)},
    )
