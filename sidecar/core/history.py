"""What a row went through, as its history has it: attempts that did not deliver it, and what was done to it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.core.instant import UnixMillis


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt that ended without the row being taken; `at` is when its answer was written down.

    Of a row that goes again for months the later ones are gathered in one: `times` in all, the first of them sent or
    answered at `since`, everything else the last one's.
    """

    at: UnixMillis
    number: int
    batch_id: int | None
    tracking_id: str | None = None
    error: str | None = None
    error_code: int | None = None
    times: int = 1
    since: UnixMillis | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """It left a batch of which every request was refused, since its event goes to another goal; `number` as there."""

    at: UnixMillis
    number: int
    batch_id: int | None


@dataclass(frozen=True, slots=True)
class Replaced:
    """The same order came with other content, in place of a row that had ended."""

    at: UnixMillis
    received_at: UnixMillis | None
    request_id: str | None
    state: str | None
    reason: str | None
    value: str | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class Done:
    """What was done to the row (`replayed`, `revived`, `discarded`, `erased` …), and how it stood before."""

    at: UnixMillis
    verb: str
    state: str | None = None
    reason: str | None = None
    settled_at: UnixMillis | None = None
    error: str | None = None
    error_code: int | None = None


Past = Attempted | Released | Replaced | Done

_NO_VERBS = frozenset(("received_at", "settled_at"))


def read_history(items: Iterable[Mapping[str, Any]]) -> tuple[Past, ...]:
    """The history in the order in which it was written; what is not understood is left out."""
    return tuple(past for item in items if (past := _read(item)) is not None)


def _read(item: Mapping[str, Any]) -> Past | None:
    if "replaced_at" in item:
        names = ("replaced_at", "received_at", "request_id", "state", "reason", "value", "currency")
        return Replaced(*map(item.get, names))  # type: ignore[arg-type]
    if "released_at" in item:
        return Released(*map(item.get, ("released_at", "attempt", "batch_id")))  # type: ignore[arg-type]
    if "at" in item:
        attempt = ("at", "attempt", "batch_id", "tracking_id", "error", "error_code", "times", "since")
        return Attempted(*map({"times": 1, **item}.get, attempt))  # type: ignore[arg-type]
    verb = next((name for name in item if name.endswith("_at") and name not in _NO_VERBS), None)
    if verb is None:
        return None
    before = map(item.get, ("state", "reason", "settled_at", "error", "error_code"))
    return Done(item[verb], verb.removesuffix("_at"), *before)
