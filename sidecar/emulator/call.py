"""A request and its answer as plain values: every operation is a function from one to the other."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from sqlite3 import Connection
from typing import Any, Protocol

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class BatchError:
    """The error of one row."""

    index: int
    code: int
    symbol: str
    message: str


class PlannedErrors(Protocol):
    """Scripted errors for rows that may be valid."""

    @property
    def is_descending(self) -> bool:
        """Whether the answer lists the last row's errors first."""

    def errors_of(self, index: int, goal: str) -> list[BatchError]:
        """The errors of the row at `index`, which names that goal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as it arrived."""

    operation: str
    """Such as `OfflineConversions/Apply`, `token` or `authorize`."""
    at: int
    """When, in Unix milliseconds, by the emulator's clock."""
    tracking_id: str
    base_url: str
    """`https://host:port` as the caller wrote it."""
    tenant: str = "common"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    planned: PlannedErrors | None = None
    """Scripted errors for some of the rows."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows were received, accepted and refused."""

    rows: int = 0
    taken: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer. `summary` is for the ledger: `ok`, or the symbol of the error."""

    status: int
    body: bytes
    summary: str = "ok"
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    tally: Tally = Tally()


Operation = Callable[[Connection, Call], Answer]


def answer_json(body: object, status: int = 200, summary: str = "ok", tally: Tally | None = None) -> Answer:
    """`body` as JSON. Decimals become numbers."""
    return Answer(status, json.dumps(body, default=_number).encode(), summary, tally=tally or Tally())


def _number(value: object) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
