"""An answer of Microsoft's REST API: reads its document, errors and tracking id from the bytes.

Accepts any bytes (HTML, rubbish, none) and never raises. `error_codes` and `wire` interpret the errors.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from sidecar.core.entry import Fault
from sidecar.core.instant import UnixMillis
from sidecar.microsoft.error_codes import symbol_of
from sidecar.microsoft.json_values import line_of

RETRY_AFTER_LEAST_SECONDS = 1.0
RETRY_AFTER_MOST_SECONDS = 900.0
MESSAGE_CHARACTERS = 500
SYMBOL_CHARACTERS = 100

FAULT_LISTS = ("Errors", "OperationErrors", "BatchErrors", "EditorialErrors")
"""The lists of errors in the kinds of faults.

https://learn.microsoft.com/advertising/campaign-management-service/adapifaultdetail and its siblings
"""


@dataclass(frozen=True, slots=True)
class Error:
    """One error of an answer. `index` is the row that it names, counted from 0; None where it names none."""

    fault: Fault
    index: int | None


@dataclass(frozen=True)
class HttpReply:
    """An answer: HTTP status, headers in any case, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is a success."""
        return 200 <= self.status < 300

    @cached_property
    def document(self) -> dict[str, Any] | None:
        """The body's JSON object, out of its wrapper `ApplicationFault` if it has one; None when there is none.

        The content type is ignored: gateways get it wrong.
        """
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):  # not JSON, not UTF-8, a huge number; nested too deep
            return None
        if not isinstance(document, dict):
            return None
        wrapped = document.get("ApplicationFault")
        return {"Type": "ApplicationFault", **wrapped} if isinstance(wrapped, dict) else document

    @property
    def tracking_id(self) -> str | None:
        """The id by which Microsoft's support finds a call: in a header of each answer, in the body of faults."""
        in_body = (self.document or {}).get("TrackingId")
        return line_of(self._header("trackingid"), SYMBOL_CHARACTERS) or line_of(in_body, SYMBOL_CHARACTERS)

    @property
    def retry_after_seconds(self) -> float | None:
        """The wait that `Retry-After` asks for, within 1 s and 15 min; a date counts from the answer's own `Date`."""
        text = (self._header("retry-after") or "").strip()
        if re.fullmatch(r"[0-9]+", text):
            asked = float(text[:9])
        else:
            until, since = _date(text), _date(self._header("date") or "")
            if until is None or since is None:
                return None
            asked = (until - since).total_seconds()
        return min(max(asked, RETRY_AFTER_LEAST_SECONDS), RETRY_AFTER_MOST_SECONDS)

    @property
    def answered_at(self) -> UnixMillis | None:
        """The time of the answer by its own `Date`; None where that cannot be read."""
        date = _date(self._header("date") or "")
        return None if date is None else UnixMillis(int(date.timestamp() * 1000))

    @property
    def content_type(self) -> str:
        """The media type, for messages about an answer that is not JSON."""
        return (line_of(self._header("content-type"), SYMBOL_CHARACTERS) or "no content type").split(";")[0]

    def errors(self, *lists: str) -> list[Error]:
        """The errors in these lists of the document, in their order and without nulls."""
        return [error for name in lists for error in _errors((self.document or {}).get(name))]

    def fault(self) -> list[Error]:
        """The errors of a fault of any kind; empty when the body is no fault, or a fault without errors."""
        document = self.document or {}
        listed = self.errors(*FAULT_LISTS)
        return listed or ([_error(document)] if _is_bare(document) else [])

    def _header(self, name: str) -> str | None:
        return next((value for key, value in self.headers.items() if key.lower() == name), None)


def _errors(listed: object) -> Iterator[Error]:
    for item in listed if isinstance(listed, list) else [listed]:
        if item is not None:
            yield _error(item)


def _is_bare(document: Mapping[str, Any]) -> bool:
    """Whether the document is one error by itself, as the AdCenter faults are."""
    named = "ErrorCode" in document or "Code" in document or str(document.get("Type")).startswith("AdCenter")
    return named and "PartialErrors" not in document


def _error(item: object) -> Error:
    """The error in one entry of a list. An entry that is no object counts as an unknown error."""
    fields = item if isinstance(item, dict) else {"Message": item}
    given = fields.get("ErrorCode") or (fields.get("Type") if str(fields.get("Type")).startswith("AdCenter") else None)
    number = _whole(given) if fields.get("Code") is None else _whole(fields["Code"])
    symbol = re.sub(r"\W", "", line_of(given, SYMBOL_CHARACTERS) or "", flags=re.ASCII)
    if not symbol or symbol.isdigit():
        symbol = "Unnamed" if number is None else symbol_of(number) or f"Code{number}"
    return Error(Fault(symbol, number, _message(fields)), _whole(fields.get("Index")))


def _message(fields: Mapping[str, Any]) -> str | None:
    """Microsoft's sentence, with its details; faults use either spelling."""
    sentence = line_of(fields.get("Message") or fields.get("ErrorMessage"), MESSAGE_CHARACTERS)
    details = line_of(fields.get("Details") or fields.get("Detail"), MESSAGE_CHARACTERS)
    if sentence and details:
        return f"{sentence} ({details})"[:MESSAGE_CHARACTERS]
    return sentence or details


def _whole(value: object) -> int | None:
    """A whole number of at most 9 digits, written as number or as text; larger ones would not fit a column."""
    if not isinstance(value, int | float | str):
        return None
    match = re.fullmatch(r"(-?[0-9]{1,9})(\.0+)?", str(value).strip())
    return int(match[1]) if match else None


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
