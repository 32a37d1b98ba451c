"""Traces of items that were not stored: skipped, refused or in conflict. Nothing in them identifies a person.

They hold a digest of the order id, so that only the id itself finds them.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from sidecar.core.conversion import Kind
from sidecar.core.instant import DAY_SECONDS, UnixMillis, text_of_millis
from sidecar.core.intake import shared_fields
from sidecar.core.intake.problem import Refusal

MOST_CODES = 8
"""Codes of one item that are stored; the answer had all of them."""

KEPT_TRACES = 100_000

KEPT_MILLIS = 30 * DAY_SECONDS * 1_000

SHOWN_TRACES = 20
"""The newest of an order that are shown."""

_NAME = re.compile(r"\w[\w .:-]{0,63}")
"""The names of events and accounts that are stored: no e-mail address, no address of a page."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9][\w.:-]{0,63}", re.ASCII)


class What(StrEnum):
    """Why an item was not stored."""

    SKIPPED = "skipped"  # by rule: consent_denied, no_identifier
    REFUSED = "refused"  # 422, or an adjustment of an unknown order
    CONFLICT = "conflict"  # 409


class Unstored(NamedTuple):
    """An item with an order id that was not stored; `times` is how often, the last at `time`."""

    order: str
    """See `order_digest`."""
    kind: Kind
    what: What
    codes: tuple[str, ...]
    event: str | None
    account: str | None
    request_id: str | None
    """The last request that brought it."""
    time: UnixMillis
    first_at: UnixMillis
    times: int = 1

    @property
    def same(self) -> tuple[Any, ...]:
        """What makes another item the same again."""
        return self[:_REQUEST]

    def with_older(self, older: "Unstored") -> "Unstored":
        """This one and the same of before, as one."""
        return self._replace(first_at=min(self.first_at, older.first_at), times=self.times + older.times)


_REQUEST = Unstored._fields.index("request_id")


def order_digest(order_id: str) -> str:
    """What an order's traces are found by; 128 bits, so that no two orders are taken for one another."""
    return hashlib.blake2b(order_id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def unstored(
    item: object, what: What, codes: Iterable[str], now: UnixMillis, request_id: str, kind: Kind = Kind.CONVERSION
) -> Unstored | None:
    """The trace that `item` of a request leaves; None where it has no order id that any row could have."""
    if not isinstance(item, dict) or (order_id := _order_id(item.get("order_id"))) is None:
        return None
    return Unstored(
        order_digest(order_id),
        kind,
        what,
        tuple(dict.fromkeys(codes))[:MOST_CODES],
        _matching(_NAME, item.get("event")),
        _matching(_NAME, item.get("account")),
        _matching(_REQUEST_ID, request_id),
        now,
        now,
    )


def merged(traces: Iterable[Unstored]) -> list[Unstored]:
    """The newest of them, with repeated ones merged, newest first."""
    found: dict[tuple[Any, ...], Unstored] = {}
    for one in traces:
        known = found.get(one.same)
        older, newer = sorted((one, known or one), key=lambda each: each.time)
        found[one.same] = one if known is None else newer.with_older(older)
    return sorted(found.values(), key=lambda one: one.time, reverse=True)[:SHOWN_TRACES]


def in_words(one: Unstored) -> str:
    """`purchase of account main was refused (currency_required) at 2026-11-23T14:30:45Z, for the third time` or so."""
    thing = one.event or one.kind.value
    if one.kind is Kind.ADJUSTMENT:
        thing = f"an adjustment of {one.event}" if one.event else "an adjustment"
    account = f" of account {one.account}" if one.account else ""
    codes = f" ({', '.join(one.codes)})" if one.codes else ""
    request = f", request {one.request_id}" if one.request_id else ""
    times = f", {one.times} times since {text_of_millis(one.first_at)}" if one.times > 1 else ""
    return f"{thing}{account} {_WHAT[one.what]}{codes} at {text_of_millis(one.time)}{request}{times}"


_WHAT = {What.SKIPPED: "was skipped", What.REFUSED: "was refused", What.CONFLICT: "was in conflict with what is stored"}


def all_in_words(traces: Sequence[Unstored]) -> str:
    """One sentence about all of them; empty where there are none."""
    return f"It came and was not stored: {'; '.join(map(in_words, traces))}." if traces else ""


def _order_id(given: object) -> str | None:
    try:
        return None if given is None else shared_fields.order_id(given)
    except Refusal:
        return None


def _matching(pattern: re.Pattern[str], given: object) -> str | None:
    return given if isinstance(given, str) and len(given) <= 64 and pattern.fullmatch(given) else None
