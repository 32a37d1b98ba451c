"""A report as JSON. Cause and remedy of a check come from the catalogue of troubles, where one describes it."""

from typing import Any

from sidecar.core.doctor.check import Checked, Diagnosed, Unchecked
from sidecar.troubles import CATALOGUE

Json = dict[str, Any]


def report_json(found: Diagnosed) -> Json:
    """The report as `GET /v1/doctor` answers it; members without a value are left out."""
    return {
        "status": found.status,
        "checks": [_check(check) for check in found.checks],
        "not_checked": [_unchecked(each) for each in found.unchecked],
    }


def _check(check: Checked) -> Json:
    trouble = CATALOGUE.get(check.trouble or "")
    return _given(
        name=check.name,
        account=check.account,
        goal=check.goal,
        status=check.status,
        message=check.message,
        cause=check.cause or (trouble and trouble.cause),
        fix=_about(check, check.fix or (trouble.solution if trouble else None)),
    )


def _unchecked(each: Unchecked) -> Json:
    return _given(name=each.name, account=each.account, goal=each.goal, message=each.message)


def _given(**members: Any) -> Json:
    return {name: value for name, value in members.items() if value is not None}


def _about(check: Checked, text: str | None) -> str | None:
    """The text with the account and the event that it is about in place of `<account>` and `<event>`."""
    for place, name in (("<account>", check.account), ("<name>", check.account), ("<event>", check.event)):
        text = text.replace(place, name) if text and name else text
    return text
