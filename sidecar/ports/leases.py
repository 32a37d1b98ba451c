"""What replicas over one store ask of it: who does what, and what others changed.

The store's clock alone decides until when a replica is alive. One that finds its lease over has lost everything that it
held, and others may have it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sidecar.core.instant import UnixMillis

UPKEEP = "upkeep"
"""Held by the one replica that does what must be done once."""

TOKEN = "token"  # noqa: S105 - a name
"""Held by the one replica that refreshes the access token."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a replica holds after a heartbeat."""

    accounts: frozenset[str]
    duties: frozenset[str] = frozenset()
    """Which of UPKEEP and TOKEN."""
    surplus: frozenset[str] = frozenset()
    """The accounts that it should give back, once nothing of them is on its way."""
    replicas: int = 1
    """How many replicas are alive, this one included."""
    began_again: bool = False
    """Whether its lease was over: what it held before is gone, also where it holds the same again."""


@dataclass(frozen=True, slots=True)
class ReplicaStanding:
    """One replica among those that are alive, as `/healthz` shows it."""

    replicas: int
    """How many are alive, this one included."""
    accounts: int
    """How many accounts this one carries now."""
    duties: Sequence[str]
    """Which of TOKEN and UPKEEP it has, in the order of the alphabet."""


@dataclass(frozen=True, slots=True)
class News:
    """What other replicas did."""

    is_moved: bool = False
    """Whether one gave back, took or died since the last heartbeat, so that the next one is worth it now."""
    changes: frozenset[str] = frozenset()
    """What was announced since the last look; also by this replica itself, and some of it twice."""
    at: UnixMillis | None = field(default=None, compare=False)
    """When that was by the store's clock; None where the store has none of its own."""


class Leases(Protocol):
    """Shares the accounts out among the replicas over one store."""

    @property
    def is_shared(self) -> bool:
        """Whether there may be other replicas; where not, all else here holds everything and costs nothing."""

    @property
    def lease_seconds(self) -> float:
        """How long a replica is alive after a heartbeat."""

    async def beat(self, accounts: Sequence[str], giving: Collection[str] = ()) -> Held:
        """Stay alive for another lease, take what is free and due to this replica, and return all that it holds.

        Batches of an account that it takes, which were leased, are due again: their requests may have been applied.
        """

    async def look(self) -> News:
        """Return what other replicas did since the last look; cheap enough for each second."""

    async def announce(self, changes: Collection[str]) -> None:
        """Tell the other replicas that these were changed: the next look of each returns them."""

    async def due_accounts(self) -> Collection[str]:
        """Return the accounts that have something due, others' too; cheap enough for every few seconds."""

    async def publish(self, standing: str) -> None:
        """Let the other replicas see this text, as long as this one is alive."""

    async def published(self) -> Mapping[str, str]:
        """Return what each other live replica has published last, by its id."""

    async def release(self, accounts: Collection[str]) -> None:
        """Give these accounts back."""

    async def leave(self) -> None:
        """Give everything back, at a stop."""
