"""Conversions and adjustments on the wire: entries to a request's bytes, an answer's bytes to what became of them.

Pure and total: any bytes decode to some answer. What a code means stands in `faults`.
https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversions
https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversionadjustments
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import assert_never

from sidecar.core.answer import Answer, Lost, RefusedBatch, Taken, Verdict
from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.entry import Dead, Delivered, Entry, Fault, Hold, Reason, Retry
from sidecar.core.instant import text_of_seconds
from sidecar.microsoft.error_codes import classify_refusal, concerns_request, concerns_row, find_code, row_outcome
from sidecar.microsoft.reply import Error, HttpReply

# --- What is sent ----------------------------------------------------------------------------------------------------


def encode(entries: Sequence[Entry]) -> bytes:
    """The request's body: the same claimed entries give the same bytes, always. What an entry lacks is left out.

    Decimals are written digit for digit as the entry has them; a float in between would change some.
    """
    if entries and entries[0].lane.kind is Kind.ADJUSTMENT:
        return ('{"OfflineConversionAdjustments":[' + ",".join(map(_adjustment, entries)) + "]}").encode("ascii")
    return ('{"OfflineConversions":[' + ",".join(map(_conversion, entries)) + "]}").encode("ascii")


def _conversion(entry: Entry) -> str:
    """One conversion; times are UTC in whole seconds, the form that peers send.

    A currency goes only beside a value: alone it would relabel the goal's own default value.
    """
    assert entry.goal is not None and entry.sent_time is not None, "the claim sets both"
    members = f'{{"ConversionName":{encode_basestring_ascii(entry.goal)}'
    members += f',"ConversionTime":"{text_of_seconds(entry.sent_time)}"'
    members += _string("MicrosoftClickId", entry.msclkid)
    members += _number("ConversionValue", entry.value)
    members += _string("ConversionCurrencyCode", entry.currency if entry.value is not None else None)
    members += _string("HashedEmailAddress", entry.email_sha256)
    members += _string("HashedPhoneNumber", entry.phone_sha256)
    members += _number("ExternalAttributionCredit", entry.external_credit)
    members += _string("ExternalAttributionModel", entry.external_model)
    return members + "}"


_TYPES = {AdjustmentType.RESTATE: "Restate", AdjustmentType.RETRACT: "Retract"}


def _adjustment(entry: Entry) -> str:
    """One adjustment, which names its conversion as that was sent. A restate always has value and currency: of the
    latter Microsoft's page says that it is required, and that it may be missing."""
    assert entry.type is not None and entry.adjusted_at is not None, "intake sets both"
    assert entry.goal is not None and entry.sent_time is not None, "the claim sets both"
    members = f'{{"AdjustmentType":"{_TYPES[entry.type]}"'
    members += f',"AdjustmentTime":"{text_of_seconds(entry.adjusted_at)}"'
    members += _number("AdjustmentValue", entry.value)
    members += _string("AdjustmentCurrencyCode", entry.currency)
    members += f',"ConversionName":{encode_basestring_ascii(entry.goal)}'
    members += f',"ConversionTime":"{text_of_seconds(entry.sent_time)}"'
    members += _string("MicrosoftClickId", entry.msclkid)
    members += _string("HashedEmailAddress", entry.email_sha256)
    members += _string("HashedPhoneNumber", entry.phone_sha256)
    return members + "}"


def _string(name: str, value: str | None) -> str:
    return "" if value is None else f',"{name}":{encode_basestring_ascii(value)}'


def _number(name: str, value: str | None) -> str:
    return "" if value is None else f',"{name}":{value}'


# --- What comes back -------------------------------------------------------------------------------------------------

Named = Dead | Hold | Retry
"""What can become of a row that an answer names."""


def decode(status: int, headers: Mapping[str, str], body: bytes, size: int) -> Answer:
    """What an answer to a request of `size` rows means. Codes in the body say more than the status. Never raises."""
    reply = HttpReply(status, headers, body)
    fault = reply.fault()
    if fault or not reply.ok:
        return _refused(reply, fault + reply.errors("PartialErrors"), size)
    if (unreadable := _unreadable(reply)) is not None:
        return Lost(unreadable, reply.tracking_id)
    return _taken(reply, reply.errors("PartialErrors"), size)


def refusal(reply: HttpReply) -> RefusedBatch | None:
    """Why a call that is no upload was refused as a whole; None when it was not."""
    fault = reply.fault()
    if reply.ok and not fault:
        return None
    made_up = Fault(f"Http{reply.status}", None, f"HTTP {reply.status} without a readable error")
    faults = [error.fault for error in fault + reply.errors("PartialErrors")] or [made_up]
    return _refusal(reply, faults, {}, maybe_applied=reply.ok)


def refusal_in(reply: HttpReply, errors: Sequence[Error]) -> RefusedBatch:
    """The refusal that these errors of an answer amount to that brought nothing else, though its status is good."""
    return _refusal(reply, [error.fault for error in errors], {}, maybe_applied=False)


def _unreadable(reply: HttpReply) -> str | None:
    """Why a success does not tell what became of the rows; None when it does.

    `PartialErrors` may be null or missing. Where something else stands in its place the answer is another's, say a
    proxy's with a JSON page of its own, and must not pass for "all delivered".
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

    An error that cannot be given to a row makes the fate of all rows doubtful: any may be meant, or the whole list, and
    an index beyond the end says that the others may be counted oddly too. Then none counts as accepted and none as
    refused; halves tell more, and Microsoft ignores a second copy of what it has taken.
    """
    rows, loose = _by_row(errors, size)
    if loose:
        return _refusal(reply, loose, {}, maybe_applied=True)
    if rows and len(rows) == size and all(concerns_request(outcome.fault) for outcome in rows.values()):
        return _refusal(reply, [outcome.fault for outcome in rows.values()], {}, maybe_applied=False)
    return Taken(tuple(rows.get(index, Delivered()) for index in range(size)), reply.tracking_id)


def _refused(reply: HttpReply, errors: Sequence[Error], size: int) -> Answer:
    """The request was refused as a whole. Rows that it names with a known code of rows are decided all the same."""
    made_up = Fault(f"Http{reply.status}", None, f"HTTP {reply.status} without a readable error")
    faults = [error.fault for error in errors] or [made_up]
    rows, _ = _by_row([error for error in errors if error.index is not None and concerns_row(error.fault)], size)
    answer = _refusal(reply, faults, rows, maybe_applied=reply.ok)
    if answer.verdict is not Verdict.POISON:
        return answer
    rows = rows or _alone(answer.faults[0], size)
    if rows and len(rows) == size:
        return Taken(tuple(rows[index] for index in range(size)), reply.tracking_id)
    return answer


def _alone(fault: Fault, size: int) -> dict[int, Named]:
    """What a refusal that names no row says of one that stood alone: its goal or its time must be meant.

    But that such a row should die takes more than one refusal; `core.entry.after_refusal` counts them.
    """
    if size != 1 or not concerns_row(fault):
        return {}
    outcome = row_outcome(fault)
    return {} if isinstance(outcome, Dead) else {0: outcome}


def _refusal(
    reply: HttpReply, faults: Sequence[Fault], rows: Mapping[int, Named], *, maybe_applied: bool
) -> RefusedBatch:
    """The refusal that `faults` amount to; the order in which Microsoft lists them changes nothing."""
    ordered = sorted(faults, key=lambda fault: _decisiveness(fault, reply.status))
    classified, outcome = classify_refusal(ordered[0], reply.status), row_outcome(ordered[0])
    doubtful = maybe_applied or classified.verdict is Verdict.SERVER
    return RefusedBatch(
        classified.verdict,
        tuple(ordered),
        classified.trouble,
        reply.tracking_id,
        reply.retry_after_seconds,
        maybe_applied=doubtful,
        rows={} if doubtful else rows,
        hold=outcome if isinstance(outcome, Hold) and not rows and not doubtful else None,
    )


def _by_row(errors: Sequence[Error], size: int) -> tuple[dict[int, Named], list[Fault]]:
    """The outcome of each row that is named, and the faults that name none. One row alone is always meant."""
    named: defaultdict[int, list[Named]] = defaultdict(list)
    loose = []
    for error in errors:
        index = 0 if size == 1 else error.index
        if index is not None and 0 <= index < size:
            named[index].append(row_outcome(error.fault))
        else:
            loose.append(error.fault)
    return {index: min(outcomes, key=_gravity) for index, outcomes in named.items()}, loose


def _gravity(outcome: Named) -> tuple[int, int, str, str]:
    """Smallest is gravest: a row with one permanent error can never be taken, whatever else is wrong with it."""
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
"""What explains a refusal before what: nobody looks at rows behind a closed door, a bad row beats a vague excuse."""


def _decisiveness(fault: Fault, status: int) -> tuple[bool, int, int, str, str]:
    """Smallest decides; a known code before an unknown one."""
    return (find_code(fault) is None, _DECISIVE.index(classify_refusal(fault, status).verdict), *_identity(fault))


def _identity(fault: Fault) -> tuple[int, str, str]:
    return (-1 if fault.error_code is None else fault.error_code, fault.error, fault.message or "")
