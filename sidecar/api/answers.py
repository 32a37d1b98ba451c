"""What became of an item, as its answer says it: alone, or as one of many."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any, NamedTuple, assert_never

from sidecar.api.http.problem import CONFLICT, INVALID, BulkErrors, HttpProblem, errors_of, invalid
from sidecar.api.http.reply import Json, text
from sidecar.api.new_rows import NewRows
from sidecar.api.row_json import Rows, number
from sidecar.core.conversion import Conversion, KeySource, plain_decimal
from sidecar.core.difference import FieldDifference, Shown, words
from sidecar.core.instant import UnixSeconds, text_of_seconds
from sidecar.core.intake.conversion import Accepted, Reading, RejectedItem, Rules, Skipped, normalized
from sidecar.core.intake.hashing import Steps
from sidecar.core.intake.user import steps_of
from sidecar.core.problem import Problem, Warning_
from sidecar.core.record import Record
from sidecar.core.unstored import What
from sidecar.ports.intake import Conflict, PutResult, Replayed, Stored

Verdict = Stored | Replayed | Conflict | Skipped | RejectedItem


class ItemResult(NamedTuple):
    """What became of one item, and what was noted on the way."""

    verdict: Verdict
    warnings: tuple[Warning_, ...]
    key: KeySource = KeySource.NONE
    """What the conflict is about, where the verdict is one."""


class HttpAnswer(NamedTuple):
    """A good answer; a bad one is an HttpProblem."""

    status: int
    body: Json


def judged(readings: Iterable[Reading], results: Sequence[PutResult]) -> Iterator[ItemResult]:
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
    """What the trace of the item says, by codes too; None where it is on disk."""
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


def answer(item: ItemResult, rows: Rows) -> HttpAnswer | HttpProblem:
    """The answer of an item that came alone."""
    match item.verdict:
        case Stored(record):
            return HttpAnswer(202, _row(record, item, rows))
        case Replayed(record):
            return HttpAnswer(200, _row(record, item, rows))
        case Skipped(reason):
            return HttpAnswer(200, {"state": "skipped", "reason": reason, "warnings": _shown(item.warnings)})
        case Conflict(record, differences):
            return _conflict(record, item.key, differences)
        case RejectedItem(problems):
            return invalid(problems)
        case _:
            assert_never(item.verdict)


def result(index: int, item: ItemResult, rows: Rows, errors: BulkErrors | None = None) -> Json:
    """The answer of an item as one of many, whose `errors` are listed together."""
    if errors is not None and isinstance(item.verdict, RejectedItem):
        return {"index": index, "status": INVALID.status, **errors.of(item.verdict.problems)}
    match answer(item, rows):
        case HttpAnswer(status, body):
            return {"index": index, "status": status, **body}
        case HttpProblem() as problem:
            listed = errors_of(problem.errors)
            return {"index": index, "status": problem.kind.status, **problem.members, "errors": listed}


def minimal(item: ItemResult, rows: Rows) -> HttpAnswer | HttpProblem:
    """The short answer of an item that came alone; what is no row is answered as always."""
    match item.verdict:
        case Stored(record) | Replayed(record):
            status = 202 if isinstance(item.verdict, Stored) else 200
            return HttpAnswer(status, {"id": record.id, "state": record.state, "warnings": _shown(item.warnings)})
        case _:
            return answer(item, rows)


def minimal_result(index: int, item: ItemResult, rows: Rows, errors: BulkErrors | None = None) -> Json:
    """The short answer of an item as one of many."""
    match item.verdict:
        case Stored(record) | Replayed(record):
            return {"index": index, "status": 202 if isinstance(item.verdict, Stored) else 200, "id": record.id}
        case _:
            return result(index, item, rows, errors)


def result_text(index: int, item: ItemResult, new_rows: NewRows, errors: BulkErrors | None = None) -> str:
    """The same as JSON text."""
    if isinstance(item.verdict, Stored) and (members := new_rows.members(item.verdict.record)) is not None:
        warnings = text(_shown(item.warnings)) if item.warnings else "[]"
        return f'{{"index":{index},"status":202,{members},"warnings":{warnings}}}'
    return text(result(index, item, new_rows.rows, errors))


class Summary(NamedTuple):
    """How an array is answered, but for its results."""

    status: int
    counts: Json

    def with_results(self, results: Iterable[str]) -> bytes:
        """The whole body; `results` as JSON text."""
        return f'{text(self.counts)[:-1]},"results":[{",".join(results)}]}}'.encode()


def summary(items: Sequence[ItemResult]) -> Summary:
    """The answer to an array: 202 when nothing was refused, 422 when everything was, else 207."""
    kinds = Counter(type(item.verdict) for item in items)
    rejected = kinds[Conflict] + kinds[RejectedItem]
    status = 202 if not rejected else 422 if rejected == len(items) else 207
    counts = {"accepted": kinds[Stored], "replayed": kinds[Replayed], "skipped": kinds[Skipped], "rejected": rejected}
    return Summary(status, counts)


def validation(reading: Reading, item: object, rules: Rules, bulk: BulkErrors | None = None) -> Json:
    """What would become of `item`, read as `reading`, if it were sent in earnest; `bulk` is that of an array."""
    problems = reading.problems if isinstance(reading, RejectedItem) else ()
    errors: Json = bulk.of(problems) if bulk and problems else {"errors": errors_of(problems)}
    warnings = _shown(reading.warnings)
    if isinstance(reading, Skipped):
        message = "would not be stored, but answered as skipped"
        warnings.append({"code": reading.reason, "field": "", "message": message})
    return {
        "valid": not problems,
        **errors,
        "warnings": warnings,
        "normalized": _normalized(reading.conversion, item, rules) if isinstance(reading, Accepted) else None,
    }


def _normalized(conversion: Conversion, item: object, rules: Rules) -> Json:
    """What would be stored, and the way there of e-mail and phone: the one answer that shows them, as they came."""
    user = item.get("user") if isinstance(item, dict) else None
    steps = {name: _steps(walked) for name, walked in steps_of(user, rules.default_country).items()}
    return {**normalized(conversion), "steps": steps}


def _steps(walked: Steps | None) -> list[Json] | None:
    return None if walked is None else [{"step": name, "result": result} for name, result in walked]


def _row(record: Record, item: ItemResult, rows: Rows) -> Json:
    shown = rows.show(record)
    shown["warnings"] = _shown(item.warnings)
    return shown


def _shown(warnings: Iterable[Warning_]) -> list[Json]:
    return [asdict(warning) for warning in warnings]


_KEYS = {
    KeySource.ORDER: ("order_id", "this order_id"),
    KeySource.HEADER: ("Idempotency-Key", "this Idempotency-Key"),
    KeySource.NATURAL: ("time", "the same goal, identifiers and time"),
    KeySource.NONE: ("", "this key"),
}
"""The field to name in a conflict, and how to speak of it."""


def _conflict(record: Record, key: KeySource, differences: Sequence[FieldDifference]) -> HttpProblem:
    field, said = _KEYS[key]
    message = (
        f"{record.id} was stored under {said} with other content: {words(differences)}. To correct its value or take "
        "it back, send an adjustment to POST /v1/adjustments; for another conversion use another order_id or "
        "Idempotency-Key"
    )
    return HttpProblem(
        CONFLICT,
        f"{message}.",
        errors=[Problem(field, "conflict", message)],
        members={"conversion_id": record.id, "differences": shown_differences(differences)},
    )


def shown_differences(differences: Iterable[FieldDifference]) -> list[Json]:
    """As JSON: both values of each field, of an identifier only its name."""
    return [_difference(one) for one in differences]


def _difference(one: FieldDifference) -> Json:
    values = {} if one.is_secret else {"stored": _value(one.stored), "given": _value(one.given)}
    return {"field": one.field, **values}


def _value(value: Shown) -> Any:
    return number(plain_decimal(value)) if isinstance(value, Decimal) else value
