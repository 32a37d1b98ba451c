"""Reads the query string and headers of GET /logs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.api.http.problem import invalid
from sidecar.api.request import query as parameters
from sidecar.core.did_you_mean import did_you_mean
from sidecar.core.intake.problem import Problem, Refusal, listed
from sidecar.ports.journal import JournalQuery
from sidecar.telemetry.event_names import LEVELS, NAMES
from sidecar.telemetry.redact import holds_email


@dataclass(frozen=True, slots=True)
class LogRequest:
    """Which entries, whether to follow new ones, and after which number an earlier stream ended."""

    query: JournalQuery
    follow: bool
    resume_after: int | None


def read_request(given: Iterable[tuple[str, str]], last_event_id: str | None) -> LogRequest:
    """What the query string and the Last-Event-ID header ask for; HttpProblem with everything wrong with them."""
    found = parameters.read(given, _READERS)
    follow = found.pop("follow", False)
    if follow and "cursor" in found:
        raise invalid([Problem("cursor", "not_with_follow", "a watch has no pages: leave out cursor or follow")])
    query = JournalQuery(before_seq=found.pop("cursor", None), **found)
    if not follow or not last_event_id:
        return LogRequest(query, follow, None)
    if not re.fullmatch(r"[0-9]{1,18}", last_event_id, re.ASCII):
        raise invalid([Problem("Last-Event-ID", "invalid_id", "must be the id of an event of this stream")])
    return LogRequest(query, follow, int(last_event_id))


def _level(given: str) -> str:
    if given not in LEVELS:
        raise Refusal("unknown_level", f"must be one of {listed(LEVELS)}: the lowest that is wanted")
    return given


def _name(given: str) -> str:
    if given in NAMES:
        return given
    close = did_you_mean(given, NAMES)
    hint = f"did you mean {close}?" if close else "docs/operating.md lists the names"
    raise Refusal("unknown_name", f"nothing is logged under this name; {hint}")


def _order_id(given: str) -> str:
    """Entries are stored with e-mail addresses masked, so an order id that holds one would find nothing."""
    order_id = parameters.text(given)
    if holds_email(order_id):
        message = "holds an e-mail address, which the journal masks: look by conversion_id, from GET /v1/conversions"
        raise Refusal("masked_order_id", message)
    return order_id


def _follow(given: str) -> bool:
    if given not in ("0", "1"):
        raise Refusal("invalid_follow", "must be 1 to watch what comes, or 0")
    return given == "1"


FILTERS = ("level", "name", "account", "order_id", "conversion_id", "since", "until")
"""The parameters that say which entries are wanted; the others say how they are read."""

_READERS: parameters.Readers = {
    "level": _level,
    "name": _name,
    "account": parameters.text,
    "order_id": _order_id,
    "conversion_id": parameters.text,
    "since": parameters.instant,
    "until": parameters.instant,
    "limit": parameters.limit,
    "cursor": parameters.cursor,
    "follow": _follow,
}
"""Every parameter, in the words of the contract."""
