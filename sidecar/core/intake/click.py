"""From an untrusted JSON value to a click of a visitor, to the reason why there is none, or to every problem it has."""

from dataclasses import dataclass

from sidecar.core.conversion import Click
from sidecar.core.instant import UnixMillis, seconds
from sidecar.core.intake import fields
from sidecar.core.intake.fields import Consent
from sidecar.core.intake.json_object import JsonObject, Shape
from sidecar.core.intake.problem import Allowance, Findings, Problem, Warning_
from sidecar.core.intake.shared_fields import read_account, read_msclkid

SHAPE = Shape("", frozenset({"visitor_id", "url", "msclkid", "time", "account", "consent"}))
"""Every field of a click."""


@dataclass(frozen=True, slots=True)
class CaptureRules:
    """The configuration of capturing clicks."""

    accounts: tuple[str, ...]
    consent: Consent = "granted"
    """What a missing field means."""


@dataclass(frozen=True, slots=True)
class Clicked:
    """Valid, to be stored."""

    click: Click
    warnings: tuple[Warning_, ...] = ()


@dataclass(frozen=True, slots=True)
class NotCaptured:
    """Well formed, but there is nothing to store: `reason` is `consent_denied` or `no_msclkid`."""

    reason: str
    warnings: tuple[Warning_, ...] = ()


@dataclass(frozen=True, slots=True)
class RejectedClick:
    """Not valid: all of its problems, at least one."""

    problems: tuple[Problem, ...]


Capture = Clicked | NotCaptured | RejectedClick


def read_click(item: object, *, now: UnixMillis, rules: CaptureRules, allowance: Allowance | None = None) -> Capture:
    """Read one item of a request, as `json_text.parse` returns it. The URL is searched and not stored."""
    findings = Findings(allowance)
    if not isinstance(item, dict):
        findings.refuse("", "not_an_object", "must be an object")
        return RejectedClick(findings.listed)
    members = JsonObject(item, SHAPE, findings)
    consent = members.take("consent", fields.consent) or rules.consent
    visitor_id = members.require("visitor_id", fields.visitor_id) or ""
    time = members.take("time", lambda value: fields.instant(value, now, "click"))
    account = read_account(members, None, rules.accounts, "is required: there are several")
    if members.get("msclkid") is None and members.get("url") is None:
        members.refuse("url", "required", "is required: the address where the visitor landed, or msclkid itself")
    msclkid = read_msclkid(members, "url")
    warnings = tuple(findings.warnings)
    if findings.problems:
        return RejectedClick(findings.listed)
    if consent == "denied":
        return NotCaptured("consent_denied", warnings)
    if msclkid is None:
        return NotCaptured("no_msclkid", warnings)
    clicked_at = seconds(now) if time is None else time
    return Clicked(Click(account=account, visitor_id=visitor_id, msclkid=msclkid, clicked_at=clicked_at), warnings)
