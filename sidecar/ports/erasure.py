"""What erasing a person asks of the store and of delivery."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from sidecar.core.erasure import Erasure, ErasureRequest, Found, Phase, RowsOf
from sidecar.core.instant import UnixMillis
from sidecar.core.waiting import Waiting as Waiting  # what `Outbox` answers with


class Erasures(Protocol):
    """Where erasures are kept, and carried out in slices. Every write is on disk, fsynced, when its call returns."""

    async def add(self, wanted: ErasureRequest, now: UnixMillis) -> Erasure:
        """Keep a new erasure, of everything that was received until now."""

    async def get(self, number: int) -> Erasure | None:
        """One erasure as it stands."""

    async def open(self) -> Sequence[int]:
        """The numbers of those that are not done, the oldest first."""

    async def find(self, job: Erasure) -> Found:
        """The person's rows in the next stretch of the outbox."""

    async def waited_for(self, job: Erasure, after_seq: int) -> Found:
        """The next of the rows that had to be settled first."""

    async def forget_clicks(self, job: Erasure, account: str, visitor_id: str) -> bool:
        """Delete a slice of a visitor's clicks; whether there may be more."""

    async def redact(
        self, job: Erasure, found: Found, retracts: Collection[int], now: UnixMillis
    ) -> Mapping[RowsOf, int]:
        """Redact what is settled, end what was never sent, note what must be settled first; how many rows ended.

        `retracts` are rows that carry a retract of some of them: they are redacted once they are settled.
        """

    async def enter(self, job: Erasure, phase: Phase) -> None:
        """Go on to the next phase. Before `VACUUMING` the erasure forgets whom it was about."""

    async def redact_journal(self, job: Erasure) -> bool:
        """Redact the orders in a stretch of the journal; whether there is more of it."""

    async def vacuum(self) -> bool:
        """Let what was deleted leave the files: whether it did; else call it again in a while."""

    async def finish(self, job: Erasure, now: UnixMillis) -> None:
        """It is done."""


class Retracts(Protocol):
    """Takes back at Microsoft what was uploaded, before its identity is erased here."""

    async def retract_uploaded(self, seqs: Sequence[int]) -> Sequence[int]:
        """Queue a retract for each of these delivered conversions: the numbers of the rows that carry them.

        Each of those rows has its own copy of what identifies the original. Calling it again gives the same rows; one
        that was retracted already needs none. Durable when it returns.
        """
