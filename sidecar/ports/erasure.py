"""What erasing a person asks of the store."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from sidecar.core.erasure import Erasure, ErasureRequest, Found, Phase, RowsOf
from sidecar.core.instant import UnixMillis


class Erasures(Protocol):
    """Stores erasures and carries them out in slices. Every write is on disk, fsynced, when its call returns."""

    async def add(self, wanted: ErasureRequest, now: UnixMillis) -> Erasure:
        """Store a new erasure of everything that was received until now."""

    async def get(self, number: int) -> Erasure | None:
        """Return an erasure as it is now."""

    async def open(self) -> Sequence[int]:
        """Return the numbers of the erasures that are not done, oldest first."""

    async def find(self, job: Erasure) -> Found:
        """Return the person's rows in the next slice of the outbox."""

    async def waited_for(self, job: Erasure, after_seq: int) -> Found:
        """Return the next of the rows that must be settled first."""

    async def forget_clicks(self, job: Erasure, account: str, visitor_id: str) -> bool:
        """Delete a slice of a visitor's clicks. Returns whether there may be more."""

    async def redact(
        self, job: Erasure, found: Found, retracts: Collection[int], now: UnixMillis
    ) -> Mapping[RowsOf, int]:
        """Redact settled rows, end unsent ones, note those to settle first. Returns how many rows ended.

        `retracts` are rows that carry a retract of some of them: they are redacted once they are settled.
        """

    async def enter(self, job: Erasure, phase: Phase) -> None:
        """Enter the next phase. Before `VACUUMING` the erasure forgets whom it was about."""

    async def redact_journal(self, job: Erasure) -> bool:
        """Redact the orders in a slice of the journal. Returns whether there is more of it."""

    async def vacuum(self) -> bool:
        """Remove deleted data from the files. Returns whether that was possible; if not, call it again later."""

    async def finish(self, job: Erasure, now: UnixMillis) -> None:
        """Mark the erasure as done."""
