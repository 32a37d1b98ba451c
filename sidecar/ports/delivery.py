"""What delivery asks of the store: batches to send, and where their outcomes are written."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from sidecar.core.adaptive_rate import HalvedRate
from sidecar.core.answer import RefusedBatch, Verdict
from sidecar.core.attribution import Deferral
from sidecar.core.conversion import Kind
from sidecar.core.entry import Entry, Lane, Step
from sidecar.core.instant import SecondRange, UnixMillis, UnixSeconds
from sidecar.core.match_share import Share
from sidecar.core.states_and_reasons import State


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of one batch. `token` fences its settlement: a later claim of the same batch has another."""

    batch_id: int
    token: int
    account: str
    entries: tuple[Entry, ...]
    resend: bool
    """Whether the batch was claimed before, so that the very same bytes are sent again."""
    root: int
    """The original batch that it was halved from; its own id if it was not halved."""
    root_rows: int
    root_poisoned: int
    """How many rows of the root, and how many of them were refused while isolated."""
    created_at: UnixMillis
    sent_to: str | None = None
    """The account at Microsoft that the batch is for."""

    @property
    def kind(self) -> Kind:
        """The kind of its entries: a batch holds one kind."""
        return self.entries[0].lane.kind

    @property
    def goal(self) -> str:
        """The goal that its entries go to: a batch holds rows of one goal."""
        return self.entries[0].goal or ""


@dataclass(frozen=True, slots=True)
class OpenBatches:
    """The goals of an account's open batches; an empty batch has the goal "".

    `has_astray`: some row in them was always refused, and its event is mapped to another goal now.
    """

    goals: frozenset[str]
    has_astray: bool


@dataclass(frozen=True, slots=True)
class Note:
    """The answer to a batch, for its row in the outbox; the error is that of the request as a whole."""

    answer: str
    tracking_id: str | None = None
    error: str | None = None
    error_code: int | None = None
    message: str | None = None
    at: UnixMillis | None = None
    """When it was received."""

    @classmethod
    def refused(cls, answer: RefusedBatch, at: UnixMillis) -> Self:
        """Return the note of a batch that was refused as a whole."""
        fault = answer.faults[0]
        words = fault.error, fault.error_code, fault.message
        return cls(refusal(answer.verdict), answer.tracking_id, *words, at=at)


def refusal(verdict: Verdict) -> str:
    """Return the `answer` of a batch that was refused as a whole."""
    return f"refused: {verdict.value}"


class Delivery(Protocol):
    """Claims batches and settles them. Every write is on disk, fsynced, when its call returns."""

    async def due(
        self, lanes: Sequence[Lane], now: UnixMillis, limit: int, held: Collection[str] = (), ids: str | None = None
    ) -> list[Entry]:
        """Return up to `limit` entries that may be claimed, with a share for each lane.

        Entries frozen for a goal in `held`, or for another account at Microsoft than `ids`, are left out.
        """

    async def defer(self, deferrals: Sequence[Deferral], now: UnixMillis) -> Mapping[int, State]:
        """Let due entries without a click wait or end. Returns the new state of each entry that changed, by seq.

        An entry whose visitor got a later click meanwhile stays due.
        """

    async def used_seconds(self, wanted: Mapping[int, Sequence[SecondRange]]) -> dict[int, set[UnixSeconds]]:
        """Return, for each identity, the seconds in the given ranges that claimed conversions use."""

    async def claim(
        self,
        account: str,
        entries: Sequence[Entry],
        identities: Sequence[int | None],
        now: UnixMillis,
        until: UnixMillis,
        ids: str | None = None,
    ) -> Claim | None:
        """Claim these entries as a new batch for the account `ids` at Microsoft, and freeze what will be sent.

        None when none was left.
        Left out are those that are no longer free, or whose row was replaced or restated, or whose visitor clicked,
        since they were read: they stay due. An identity keeps its second from other conversions; adjustments have none.
        """

    async def throttled(self, now: UnixMillis) -> Mapping[str, UnixMillis]:
        """Return until when Microsoft asked accounts to wait, from `record_throttle` and from open batches."""

    async def know_ids(self, accounts: Mapping[str, str]) -> None:
        """Store which account each is at Microsoft, for batches that were sent before that was stored."""

    async def open_batches(self, account: str, goals: Mapping[str, str], ids: str = "") -> OpenBatches:
        """Return the goals of the account's batches without an answer.

        `goals` is the goal of each event now, `ids` which account it is at Microsoft now.
        """

    async def release_astray(self, account: str, goals: Mapping[str, str], now: UnixMillis, ids: str = "") -> int:
        """Release rows of open batches that were always refused and belong to another goal or account now.

        Returns how many; they are due again as if they had never been claimed.
        """

    async def has_resend(
        self, account: str, now: UnixMillis, held: Collection[str] = (), ids: str | None = None
    ) -> bool:
        """Return whether a batch for the account `ids`, of no goal in `held`, is due to be claimed again."""

    async def claim_resend(
        self,
        account: str,
        now: UnixMillis,
        until: UnixMillis,
        held: Collection[str] = (),
        ids: str | None = None,
    ) -> Claim | None:
        """Claim again the batch that has been due longest among those of `has_resend`; None if there is none."""

    async def record_throttle(self, account: str, until: UnixMillis) -> None:
        """Store that Microsoft asked the account to wait, for `throttled` after a restart."""

    async def record_rates(self, rates: Mapping[str, HalvedRate]) -> None:
        """Store the rates of these accounts, which were halved, for `halved_rates` after a restart."""

    async def halved_rates(self) -> Mapping[str, HalvedRate]:
        """Return by account the last rate of `record_rates`."""

    async def settle(self, claim: Claim, exceptions: Mapping[int, Step], note: "Note", now: UnixMillis) -> bool:
        """Settle a batch as delivered, except for `exceptions` by seq. False if the claim is no longer valid."""

    async def postpone(
        self, claim: Claim, due_at: UnixMillis, note: "Note", *, maybe_sent: bool, isolated: bool = False
    ) -> bool:
        """Let the unchanged batch be claimed again at `due_at`. False if the claim is no longer valid.

        `maybe_sent`: the request may have been applied. `isolated`: its only row was refused.
        """

    async def halve(self, claim: Claim, note: "Note", now: UnixMillis, *, maybe_sent: bool = False) -> bool:
        """Split the batch into two that are due now; `maybe_sent` and the result as for `postpone`."""


class StoredMatchShares(Protocol):
    """Stores by what the last conversions of each goal could be matched."""

    async def load(self) -> Mapping[str, Share]:
        """Return the shares by goal, the sums of all replicas."""

    async def add(self, counted: Mapping[str, Share]) -> Mapping[str, Share]:
        """Add by goal what was counted, and return all shares with it."""

    async def retain(self, goals: Collection[str]) -> None:
        """Forget every goal that is not among these."""
