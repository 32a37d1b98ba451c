"""From an untrusted JSON value to a conversion, or to every problem it has: all fields of a conversion, in one place.

Written with small readers, not as a pydantic model. It must continue after a problem and return warnings beside values.
Plain identifiers must stay out of every error, and each problem has words of our own. With a model each of these is a
detour, and none is quicker (both took about 20 microseconds a conversion).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from msgspec import Struct

from sidecar.core.conversion import Conversion, ExternalAttribution, matched_by
from sidecar.core.instant import UnixMillis, seconds, text_of_seconds
from sidecar.core.intake import fields, shared_fields, user
from sidecar.core.intake.fields import Consent
from sidecar.core.intake.json_object import JsonObject, Shape
from sidecar.core.intake.problem import Allowance, Findings, Problem, Warning_
from sidecar.core.intake.shared_fields import read_account, read_idempotency_key, read_msclkid, read_value

_CREDIT = Shape("external_attribution.", frozenset({"credit", "model"}))

SHAPE = Shape(
    "",
    frozenset(
        {"event", "order_id", "time", "value", "currency", "msclkid", "landing_url", "visitor_id", "user", "consent"}
        | {"account", "external_attribution", "meta"}
    ),
    inner=(user.SHAPE, _CREDIT),
)
"""Every field of a conversion."""

_model = fields.text(200)


@dataclass(frozen=True, slots=True)
class EventRule:
    """The configuration of an event."""

    goal: str
    account: str | None = None
    value: Decimal | None = None
    currency: str | None = None
    goals: Mapping[str, str] = field(default_factory=dict)
    """The goal in accounts where it has another name."""

    def goal_in(self, account: str) -> str:
        """The name of the event's goal in the account."""
        return self.goals.get(account, self.goal)


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """The configuration of reading conversions; the same object as long as it is in force."""

    events: Mapping[str, EventRule]
    accounts: tuple[str, ...]
    consent: Consent = "granted"
    """What a missing field means."""
    default_country: str | None = None

    def goal_of(self, account: str, event: str) -> str | None:
        """Return the goal of an account's event; None where the event is not configured."""
        rule = self.events.get(event)
        return None if rule is None else rule.goal_in(account)


class Accepted(Struct, frozen=True, gc=False):
    """Valid, to be stored."""

    conversion: Conversion
    warnings: tuple[Warning_, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """Well formed, but not to be stored: `reason` is `consent_denied` or `no_identifier`."""

    reason: str
    event: str
    warnings: tuple[Warning_, ...] = ()
    goal: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class RejectedItem:
    """Not valid: all of its problems, at least one."""

    problems: tuple[Problem, ...]
    warnings: tuple[Warning_, ...] = ()


Reading = Accepted | Skipped | RejectedItem


def read(
    item: object,
    *,
    now: UnixMillis,
    rules: Rules,
    idempotency_key: str | None = None,
    allowance: Allowance | None = None,
) -> Reading:
    """Read one item of a request, as `json_text.parse` returns it; `idempotency_key` is the header, None without one.

    `allowance` is that of the whole request.
    """
    findings = Findings(allowance)
    if not isinstance(item, dict):
        findings.refuse("", "not_an_object", "must be an object")
        return RejectedItem(findings.listed)
    members = JsonObject(item, SHAPE, findings)
    header = read_idempotency_key(idempotency_key, findings)
    consent = members.take("consent", fields.consent) or rules.consent
    conversion = _conversion(members, header, now, rules)
    return _judged(conversion, consent, findings)


def _judged(conversion: Conversion, consent: Consent, findings: Findings) -> Reading:
    """A denied consent comes before everything but problems: the caller must fix those in any case."""
    if findings.problems:
        return RejectedItem(findings.listed, tuple(findings.warnings))
    if consent == "denied":
        return Skipped("consent_denied", conversion.event, tuple(findings.warnings))
    if not matched_by(conversion):
        return Skipped("no_identifier", conversion.event, tuple(findings.warnings), conversion.goal)
    if not (conversion.order_id or conversion.idempotency_key or conversion.time_given):
        message = "nothing tells a repeat from a new conversion: give order_id, an Idempotency-Key or time"
        findings.warn("not_repeatable", "order_id", message)
    return Accepted(conversion, tuple(findings.warnings))


def _conversion(members: JsonObject, header: str | None, now: UnixMillis, rules: Rules) -> Conversion:
    """The conversion as far as it could be read; where a problem was found it is dropped."""
    event = members.require("event", _event_reader(rules)) or ""
    rule = rules.events.get(event)
    order_id = members.take("order_id", shared_fields.order_id)
    time = members.take("time", lambda value: fields.instant(value, now))
    given_value = read_value(members)
    given_currency = members.take("currency", fields.currency)
    value, currency = _money(members, given_value, given_currency, rule)
    person = user.read_user(members.inside("user", user.SHAPE), rules.default_country)
    account = account_of(members, rule, rules.accounts)
    goal = "" if rule is None else rule.goal_in(account) if rule.goals else rule.goal
    msclkid = read_msclkid(members, "landing_url")
    visitor_id = members.take("visitor_id", fields.visitor_id)
    external_attribution = _external_attribution(members.inside("external_attribution", _CREDIT))
    meta = members.take("meta", fields.meta)
    return Conversion(  # in the order of its fields: by their names it takes 0.8 us longer, of 13 for all of this
        account,
        event,
        goal,
        seconds(now) if time is None else time,
        time is not None,
        order_id,
        None if order_id else header,
        value,
        currency,
        msclkid,
        visitor_id,
        person.email_sha256,
        person.phone_sha256,
        external_attribution,
        meta,
        given_value,
        given_currency,
    )


@lru_cache(maxsize=8)
def _event_reader(rules: Rules) -> Callable[[object], str]:
    """Made once for all the items that are read by these rules."""
    return fields.one_of(rules.events, "unknown_event", "events")


def account_of(members: JsonObject, rule: EventRule | None, accounts: tuple[str, ...]) -> str:
    """The account that is named, else the event's, else the only one."""
    if rule is None:
        return read_account(members, None, accounts, missing="")
    return read_account(members, rule.account, accounts, "is required: there are several, and the event names none")


def _money(
    members: JsonObject, value: Decimal | None, currency: str | None, rule: EventRule | None
) -> tuple[Decimal | None, str | None]:
    """Value and currency with the event's defaults."""
    if rule is None:
        return value, currency
    value = rule.value if value is None else value
    currency = currency or rule.currency
    if value is not None and currency is None and members.get("currency") is None:
        members.refuse("currency", "currency_required", "is required: there is a value, and the event has no currency")
    return value, currency


def _external_attribution(members: JsonObject | None) -> ExternalAttribution | None:
    if members is None:
        return None
    credit = members.require("credit", fields.credit)
    model = members.require("model", _model)
    return ExternalAttribution(credit, model) if credit is not None and model else None


def normalized(conversion: Conversion) -> dict[str, Any]:
    """What would be stored, for `/v1/validate`: with the whole hashes, so that they can be compared."""
    external = conversion.external_attribution
    return {
        "account": conversion.account,
        "event": conversion.event,
        "goal": conversion.goal,
        "order_id": conversion.order_id,
        "time": text_of_seconds(conversion.time),
        "value": _shown(conversion.value),
        "currency": conversion.currency,
        "msclkid": conversion.msclkid,
        "visitor_id": conversion.visitor_id,
        "email_sha256": conversion.email_sha256,
        "phone_sha256": conversion.phone_sha256,
        "external_attribution": {"credit": _shown(external.credit), "model": external.model} if external else None,
        "matched_by": list(matched_by(conversion)),
    }


def _shown(number: Decimal | None) -> int | float | None:
    """As a JSON number. With at most 15 digits, which values have, a double shows exactly what was read."""
    if number is None:
        return None
    return int(number) if number == number.to_integral_value() else float(number)
