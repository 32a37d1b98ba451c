"""From an untrusted JSON value to an adjustment, or to every problem it has.

The conversion that it names is looked up elsewhere.
"""

from dataclasses import dataclass
from decimal import Decimal

from sidecar.core.adjustment import BEFORE_ORIGINAL, Adjustment, ById, ByOrder, Foreign, Target
from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.instant import UnixMillis, UnixSeconds, seconds
from sidecar.core.intake import fields, shared_fields, user
from sidecar.core.intake.conversion import RejectedItem, Rules, account_of
from sidecar.core.intake.json_object import JsonObject, Shape
from sidecar.core.intake.problem import Allowance, Findings, Refusal, Warning_
from sidecar.core.intake.shared_fields import read_idempotency_key, read_value
from sidecar.core.record import seq_of

ORIGINAL = Shape("original.", frozenset({"event", "account", "time", "msclkid", "user"}), inner=(user.SHAPE,))
"""What identifies a conversion that was uploaded elsewhere."""

SHAPE = Shape(
    "",
    frozenset({"order_id", "conversion_id", "original", "event", "type", "value", "currency", "time"}),
    inner=(ORIGINAL,),
)
"""Every field of an adjustment."""


@dataclass(frozen=True, slots=True)
class AcceptedAdjustment:
    """Well formed."""

    adjustment: Adjustment
    warnings: tuple[Warning_, ...] = ()


Reading = AcceptedAdjustment | RejectedItem


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
    key = read_idempotency_key(idempotency_key, findings)
    type_ = members.require("type", _type)
    value, currency = _money(members, type_)
    target = _target(members, now, rules)
    time = members.take("time", lambda given: fields.instant(given, now, "adjustment"))
    _check_foreign(members, target, type_, currency, time)
    warnings = tuple(findings.warnings)
    if findings.problems or type_ is None or target is None:
        return RejectedItem(findings.listed, warnings)
    wanted = Adjustment(
        type=type_,
        target=target,
        value=value,
        currency=currency,
        time=seconds(now) if time is None else time,
        time_given=time is not None,
        idempotency_key=key,
    )
    return AcceptedAdjustment(wanted, warnings)


_TYPES = {type_.value: type_ for type_ in AdjustmentType}


def _type(value: object) -> AdjustmentType:
    type_ = _TYPES.get(fields.string(value))
    if type_ is None:
        raise Refusal("unknown_type", "must be restate (another value) or retract (take it back)")
    return type_


def _new_total(value: object) -> Decimal:
    """As the value of a conversion; a negative one is meant as a difference."""
    try:
        return fields.amount(value)
    except Refusal as refusal:
        if refusal.code != "negative":
            raise
        message = "must not be negative: it is the new total, not the difference; a retract takes all of it back"
        raise Refusal("negative", message) from None


def _money(members: JsonObject, type_: AdjustmentType | None) -> tuple[Decimal | None, str | None]:
    """A restate needs a value; a retract must have neither value nor currency."""
    value = read_value(members, _new_total)
    currency = members.take("currency", fields.currency)
    if type_ is AdjustmentType.RESTATE and members.get("value") is None:
        members.refuse("value", "value_required", "is required: a restate says what the new total is")
    if type_ is AdjustmentType.RETRACT:
        for name in ("value", "currency"):
            if members.get(name) is not None:
                members.refuse(name, "not_with_retract", "must be absent: a retract takes the whole conversion back")
    return value, currency


def _target(members: JsonObject, now: UnixMillis, rules: Rules) -> Target | None:
    """The one conversion that is named, in one of three ways."""
    order_id = members.take("order_id", shared_fields.order_id)
    seq = members.take("conversion_id", _conversion_id)
    foreign = members.inside("original", ORIGINAL)
    event = members.take("event", fields.text(200))
    given = [name for name in ("order_id", "conversion_id", "original") if members.get(name) is not None]
    if len(given) > 1:
        members.refuse(given[1], "one_original", "goes alone: name the conversion in one way only")
    if not given:
        members.refuse("order_id", "required", "is required, or conversion_id, or original for one uploaded elsewhere")
    if foreign is not None:
        if event is not None:
            members.refuse("event", "one_original", "belongs inside original here")
        return _foreign(foreign, now, rules)
    if order_id is not None:
        return ByOrder(order_id, event)
    return None if seq is None else ById(seq, event)


def _conversion_id(value: object) -> int:
    seq = seq_of(Kind.CONVERSION, fields.string(value).strip())
    if seq is None:
        raise Refusal("invalid_id", "must be the id of a conversion, such as conv_17")
    return seq


def _foreign(members: JsonObject, now: UnixMillis, rules: Rules) -> Foreign:
    """What the conversion was uploaded with; defaults only where the configuration has them for conversions too."""
    event = members.require("event", fields.one_of(rules.events, "unknown_event", "events")) or ""
    rule = rules.events.get(event)
    time = members.require("time", lambda given: fields.instant(given, now))
    person = user.read_user(members.inside("user", user.SHAPE), rules.default_country)
    msclkid = members.take("msclkid", fields.click_id)
    if members.get("msclkid") is None and not (person.email_sha256 or person.phone_sha256):
        members.refuse("msclkid", "identifier_required", "is required, or user: what the conversion was uploaded with")
    return Foreign(
        account=account_of(members, rule, rules.accounts),
        event=event,
        time=seconds(now) if time is None else time,
        msclkid=msclkid,
        email_sha256=person.email_sha256,
        phone_sha256=person.phone_sha256,
        currency=rule.currency if rule else None,
    )


def _check_foreign(
    members: JsonObject,
    target: Target | None,
    type_: AdjustmentType | None,
    currency: str | None,
    time: UnixSeconds | None,
) -> None:
    """What needs no look into the outbox, since there is no row to compare with."""
    if not isinstance(target, Foreign):
        return
    if time is not None and time < target.time:
        members.refuse("time", BEFORE_ORIGINAL.code, BEFORE_ORIGINAL.message)
    if type_ is AdjustmentType.RESTATE and members.get("currency") is None and not (currency or target.currency):
        members.refuse("currency", "currency_required", "is required: the event has no currency")
