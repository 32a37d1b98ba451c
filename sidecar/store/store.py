"""What an open store gives: the ports over it, and the task that writes. Which database it is stays inside."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.ports.alerts import StoredAlerts
from sidecar.ports.delivery import StoredMatchShares
from sidecar.ports.erasure import Erasures
from sidecar.ports.intake import Clicks
from sidecar.ports.journal import Journal
from sidecar.ports.leases import Leases
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Counts, Tallies, Traces, UnstoredItems
from sidecar.ports.reports import StoredVerdicts
from sidecar.ports.upkeep import Goals, Pauses, Secrets

ADJUSTMENT_DELAY_MILLIS = 6 * 3_600_000
"""How long after its conversion an adjustment goes out, unless configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """How full a store may get, how long adjustments wait, and who hears of each commit."""

    max_pending: int = 10_000_000
    min_free_bytes: int = 0
    adjustment_delay_millis: int = ADJUSTMENT_DELAY_MILLIS
    on_group: Callable[[int, float], None] = lambda rows, seconds: None
    """Called with the rows and the duration of each transaction of intake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """An open store. Its writes need `run` to be running."""

    outbox: Outbox
    clicks: Clicks
    goals: Goals
    journal: Journal
    pauses: Pauses
    secrets: Secrets
    traces: Traces
    erasures: Erasures
    unstored: UnstoredItems
    shares: StoredMatchShares
    tallies: Tallies
    alerts: StoredAlerts
    verdicts: StoredVerdicts
    leases: Leases
    run: Callable[[], Coroutine[Any, Any, None]]
    """Writes until `stop` was called and nothing waits; StorageBroken when the data cannot be trusted any more."""
    stop: Callable[[], None]
    give_up: Callable[[], None] = lambda: None
    """Ends all calls to a server that does not answer, and refuses later ones: for a stop that has to end."""
    check: Callable[[], Coroutine[Any, Any, None]]
    """Checks what was too large to be checked at the opening; damage ends `run`."""


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """A backup that was made: its size, and the rows in it."""

    size_bytes: int
    rows: Counts


@dataclass(frozen=True, slots=True)
class OutboxGlance:
    """What a look at an outbox showed. `schema` is None where it does not exist yet."""

    schema: int | None = None
    environment: str | None = None
    size_bytes: int = 0
    sealed: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The stored secrets by name, as they lie in the database."""
    replicas: int = 0
    """How many are alive over a database on a server."""
