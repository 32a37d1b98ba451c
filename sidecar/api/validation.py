"""The answer of POST /v1/validate: what would be stored of an item, and everything that is wrong with it."""

from sidecar.api.http.problem import BulkErrors
from sidecar.api.http.reply import Json
from sidecar.core.conversion import Conversion
from sidecar.core.intake.conversion import Accepted, Reading, RejectedItem, Rules, Skipped, normalized
from sidecar.core.intake.problem import Warning_
from sidecar.core.intake.user import steps_of


def validation(reading: Reading, item: object, rules: Rules, bulk: BulkErrors | None = None) -> Json:
    """What would become of `item`, read as `reading`; `bulk` lists the errors of a bulk request."""
    problems = reading.problems if isinstance(reading, RejectedItem) else ()
    errors: Json = bulk.of(problems) if bulk and problems else {"errors": problems}
    warnings = reading.warnings
    if isinstance(reading, Skipped):
        warnings += (Warning_(reading.reason, "", "would not be stored, but answered as skipped"),)
    return {
        "valid": not problems,
        **errors,
        "warnings": warnings,
        "normalized": _normalized(reading.conversion, item, rules) if isinstance(reading, Accepted) else None,
    }


def _normalized(conversion: Conversion, item: object, rules: Rules) -> Json:
    """What would be stored, with the steps of e-mail and phone: the one answer that shows them in plain."""
    user = item.get("user") if isinstance(item, dict) else None
    steps = {
        name: found and [{"step": step, "result": result} for step, result in found]
        for name, found in steps_of(user, rules.default_country).items()
    }
    return {**normalized(conversion), "steps": steps}
