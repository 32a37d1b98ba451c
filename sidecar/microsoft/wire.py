"""Encodes conversions and adjustments into a request, and decodes the answer into an outcome of each.

Pure: any bytes decode to an answer. `error_codes` has the meaning of each code.
https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversions
https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversionadjustments
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import assert_never

import msgspec

from sidecar.core.answer import Answer, Lost, RefusedBatch, Taken, Verdict
from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.entry import Dead, Entry, Fault, Hold, Outcome, Retry
from sidecar.core.instant import text_of_seconds
from sidecar.core.states_and_reasons import Reason
from sidecar.microsoft.error_codes import classify_refusal, concerns_request, concerns_row, find_code, row_outcome
from sidecar.microsoft.reply import Error, HttpReply


class _ConversionMembers(msgspec.Struct, kw_only=True, rename="pascal", omit_defaults=True, gc=False):
    """The members of one conversion, in the order in which they are sent; one that is None is left out."""

    conversion_name: str
    conversion_time: str
    microsoft_click_id: str | None = None
    conversion_value: msgspec.Raw | None = None
    conversion_currency_code: str | None = None
    hashed_email_address: str | None = None
    hashed_phone_number: str | None = None
    external_attribution_credit: msgspec.Raw | None = None
    external_attribution_model: str | None = None


class _AdjustmentMembers(msgspec.Struct, kw_only=True, rename="pascal", omit_defaults=True, gc=False):
    """The same of one adjustment: with the members of its conversion as that was sent."""

    adjustment_type: str
    adjustment_time: str
    adjustment_value: msgspec.Raw | None = None
    adjustment_currency_code: str | None = None
    conversion_name: str
    conversion_time: str
    microsoft_click_id: str | None = None
    hashed_email_address: str | None = None
    hashed_phone_number: str | None = None


_JSON = msgspec.json.Encoder()
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


def encode(entries: Sequence[Entry]) -> bytes:
    """The request's body, in ASCII. The same claimed entries always give the same bytes.

    Decimals are written digit by digit, because a float would change some.
    """
    if entries and entries[0].lane.kind is Kind.ADJUSTMENT:
        body = _JSON.encode({"OfflineConversionAdjustments": [_adjustment(entry) for entry in entries]})
    else:
        body = _JSON.encode({"OfflineConversions": [_conversion(entry) for entry in entries]})
    if body.isascii():
        return body
    return _BEYOND_ASCII.sub(lambda found: encode_basestring_ascii(found[0])[1:-1], body.decode()).encode("ascii")


def _conversion(entry: Entry) -> _ConversionMembers:
    """One conversion; times are UTC in whole seconds, as other clients send them.

    A currency is sent only with a value: alone it would relabel the goal's own default value.
    """
    assert entry.goal is not None and entry.sent_time is not None, "the claim sets both"
    return _ConversionMembers(
        conversion_name=entry.goal,
        conversion_time=text_of_seconds(entry.sent_time),
        microsoft_click_id=entry.msclkid,
        conversion_value=_number(entry.value),
        conversion_currency_code=None if entry.value is None else entry.currency,
        hashed_email_address=entry.email_sha256,
        hashed_phone_number=entry.phone_sha256,
        external_attribution_credit=_number(entry.external_credit),
        external_attribution_model=entry.external_model,
    )


_TYPES = {AdjustmentType.RESTATE: "Restate", AdjustmentType.RETRACT: "Retract"}


def _adjustment(entry: Entry) -> _AdjustmentMembers:
    """One adjustment. A restate always has value and currency.

    Microsoft's page calls the currency both required and optional.
    """
    assert entry.type is not None and entry.adjusted_at is not None, "intake sets both"
    assert entry.goal is not None and entry.sent_time is not None, "the claim sets both"
    return _AdjustmentMembers(
        adjustment_type=_TYPES[entry.type],
        adjustment_time=text_of_seconds(entry.adjusted_at),
        adjustment_value=_number(entry.value),
        adjustment_currency_code=entry.currency,
        conversion_name=entry.goal,
        conversion_time=text_of_seconds(entry.sent_time),
        microsoft_click_id=entry.msclkid,
        hashed_email_address=entry.email_sha256,
        hashed_phone_number=entry.phone_sha256,
    )


def _number(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(text)


def decode(status: int, headers: Mapping[str, str], body: bytes, size: int) -> Answer:
    """Decodes the answer to a request of `size` rows. Codes in the body count before the status. Never raises."""
    reply = HttpReply(status, headers, body)
    fault = reply.fault()
    if fault or not reply.ok:
        return _refused(reply, fault + reply.errors("PartialErrors"), size)
    if (unreadable := _unreadable(reply)) is not None:
        return Lost(unreadable, reply.tracking_id)
    return _taken(reply, reply.errors("PartialErrors"), size)


def refusal(reply: HttpReply) -> RefusedBatch | None:
    """The refusal of a call that is no upload; None when it was not refused."""
    fault = reply.fault()
    if reply.ok and not fault:
        return None
    made_up = Fault(f"Http{reply.status}", None, f"HTTP {reply.status} without a readable error")
    faults = [error.fault for error in fault + reply.errors("PartialErrors")] or [made_up]
    return _refusal(reply, faults, {}, maybe_applied=reply.ok)


def refusal_in(reply: HttpReply, errors: Sequence[Error]) -> RefusedBatch:
    """The refusal in an answer with a good status that has these errors and no result."""
    return _refusal(reply, [error.fault for error in errors], {}, maybe_applied=False)


def _unreadable(reply: HttpReply) -> str | None:
    """Why a success does not show the outcome of the rows; None when it does.

    `PartialErrors` may be null or missing. Anything else means another sender, such as a proxy with its own JSON page.
    Such an answer must not count as "all delivered".
    """
    document = reply.document
    if document is None:
        return f"HTTP {reply.status} with a body that is no JSON object ({reply.content_type})"
    if not isinstance(document.get("PartialErrors"), list | None):
        return f"HTTP {reply.status} with unreadable PartialErrors"
    if "PartialErrors" not in document and document.keys() - {"TrackingId"}:
        return f"HTTP {reply.status} with a JSON object that is not the answer to an upload"
    return None


def _taken(reply: HttpReply, errors: Sequence[Error], size: int) -> Answer:
    """Rows without an error were accepted.

    An error that fits no row makes all rows uncertain: it may concern any row or the whole list, and an index beyond
    the end makes the others suspect too. Then no row counts as accepted or refused. The batch is halved and sent again;
    Microsoft ignores a second copy of an accepted row.
    """
    rows, unassigned = _by_row(errors, size)
    if unassigned:
        return _refusal(reply, unassigned, {}, maybe_applied=True)
    if rows and len(rows) == size and all(concerns_request(outcome.fault) for outcome in rows.values()):
        return _refusal(reply, [outcome.fault for outcome in rows.values()], {}, maybe_applied=False)
    return Taken(size, rows, reply.tracking_id)


def _refused(reply: HttpReply, errors: Sequence[Error], size: int) -> Answer:
    """Decodes a refusal of the whole request. Rows that it names with a known row code are settled all the same."""
    made_up = Fault(f"Http{reply.status}", None, f"HTTP {reply.status} without a readable error")
    faults = [error.fault for error in errors] or [made_up]
    rows, _ = _by_row([error for error in errors if error.index is not None and concerns_row(error.fault)], size)
    answer = _refusal(reply, faults, rows, maybe_applied=reply.ok)
    if answer.verdict is not Verdict.POISON:
        return answer
    rows = rows or _single_row(answer.faults[0], size)
    if rows and len(rows) == size:
        return Taken(size, rows, reply.tracking_id)
    return answer


def _single_row(fault: Fault, size: int) -> dict[int, Outcome]:
    """The outcome of an isolated row whose refusal names no row: the code concerns its goal or its time.

    One refusal does not end the row as dead; `core.entry.after_refusal` counts them.
    """
    if size != 1 or not concerns_row(fault):
        return {}
    outcome = row_outcome(fault)
    return {} if isinstance(outcome, Dead) else {0: outcome}


def _refusal(
    reply: HttpReply, faults: Sequence[Fault], rows: Mapping[int, Outcome], *, maybe_applied: bool
) -> RefusedBatch:
    """The refusal that `faults` amount to, in any order."""
    ordered = sorted(faults, key=lambda fault: _decisiveness(fault, reply.status))
    classified, outcome = classify_refusal(ordered[0], reply.status), row_outcome(ordered[0])
    uncertain = maybe_applied or classified.verdict is Verdict.SERVER
    return RefusedBatch(
        classified.verdict,
        tuple(ordered),
        classified.trouble,
        reply.tracking_id,
        reply.retry_after_seconds,
        maybe_applied=uncertain,
        rows={} if uncertain else rows,
        hold=outcome if isinstance(outcome, Hold) and not rows and not uncertain else None,
    )


def _by_row(errors: Sequence[Error], size: int) -> tuple[dict[int, Outcome], list[Fault]]:
    """The outcome of each named row, and the faults that name none. In a request of one row all name that row."""
    named: defaultdict[int, list[Outcome]] = defaultdict(list)
    unassigned = []
    for error in errors:
        index = 0 if size == 1 else error.index
        if index is not None and 0 <= index < size:
            named[index].append(row_outcome(error.fault))
        else:
            unassigned.append(error.fault)
    return {index: min(outcomes, key=_gravity) for index, outcomes in named.items()}, unassigned


def _gravity(outcome: Outcome) -> tuple[int, int, str, str]:
    """Sorts the gravest outcome first: one permanent error is enough to refuse a row for good."""
    match outcome:
        case Dead(fault=fault, ours=ours):
            return (1 if ours else 0, *_identity(fault))
        case Hold(fault=fault, reason=reason):
            return (2 if reason is Reason.GOAL_NOT_FOUND else 3, *_identity(fault))
        case Retry(fault=fault, known=known_):
            return (4 if known_ else 5, *_identity(fault))
        case _:
            assert_never(outcome)


_DECISIVE = (Verdict.TOKEN, Verdict.ACCOUNT, Verdict.THROTTLED, Verdict.POISON, Verdict.SERVER)
"""The order in which verdicts explain a refusal: access comes before rows, a bad row before a server error."""


def _decisiveness(fault: Fault, status: int) -> tuple[bool, int, int, str, str]:
    """Sorts the decisive fault first; a known code before an unknown one."""
    return (find_code(fault) is None, _DECISIVE.index(classify_refusal(fault, status).verdict), *_identity(fault))


def _identity(fault: Fault) -> tuple[int, str, str]:
    return (-1 if fault.error_code is None else fault.error_code, fault.error, fault.message or "")
