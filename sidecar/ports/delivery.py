"""What delivery asks of the store: batches to send, and where their outcomes are written."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from sidecar.core.answer import RefusedBatch, Verdict
from sidecar.core.attribution import Deferral
from sidecar.core.conversion import Kind
from sidecar.core.entry import Entry, Lane, State, Step
from sidecar.core.instant import SecondRange, UnixMillis, UnixSeconds
from sidecar.core.match_share import Share
from sidecar.core.waiting import Waiting as Waiting  # what `Outbox` answers with


@dataclass(frozen=True, slots=True)
class Claim:
    """One taking of one batch. `token` fences its settlement: a later claim of the same batch has another."""

    batch_id: int
    token: int
    account: str
    entries: tuple[Entry, ...]
    resend: bool
    """The batch was claimed before: the very same bytes go again."""
    root: int
    """The batch it was halved from, at the top; its own id when it was not."""
    root_rows: int
    root_poisoned: int
    """How many rows of the root, and how many of them were refused while isolated."""
    created_at: UnixMillis
    sent_to: str | None = None
    """The account at Microsoft that it was made for, and goes to again."""

    @property
    def kind(self) -> Kind:
        """What its entries are: a batch holds one kind."""
        return self.entries[0].lane.kind


@dataclass(frozen=True, slots=True)
class OpenBatches:
    """The goals of an account's open batches; an empty batch has the goal "".

    `has_astray`: some row in them was refused each time, and its event is mapped to another goal by now.
    """

    goals: frozenset[str]
    has_astray: bool


@dataclass(frozen=True, slots=True)
class Note:
    """What a batch's answer was, for its row in the outbox; the error is that of the request as a whole."""

    answer: str
    tracking_id: str | None = None
    error: str | None = None
    error_code: int | None = None
    message: str | None = None
    at: UnixMillis | None = None
    """When it was received."""

    @classmethod
    def refused(cls, answer: RefusedBatch, at: UnixMillis) -> Self:
        """That of a batch refused as a whole."""
        fault = answer.faults[0]
        words = fault.error, fault.error_code, fault.message
        return cls(refusal(answer.verdict), answer.tracking_id, *words, at=at)


def refusal(verdict: Verdict) -> str:
    """The answer in the note of a batch that was refused as a whole."""
    return f"refused: {verdict.value}"


class Delivery(Protocol):
    """Hands out batches and takes their outcomes. Every write is on disk, fsynced, when its call returns."""

    async def due(
        self, lanes: Sequence[Lane], now: UnixMillis, limit: int, held: Collection[str] = (), ids: str | None = None
    ) -> list[Entry]:
        """Up to `limit` entries that may be claimed, each lane getting its share.

        None that keeps a goal in `held`, or another account at Microsoft than `ids`.
        """

    async def defer(self, deferrals: Sequence[Deferral], now: UnixMillis) -> Mapping[int, State]:
        """Write down which due entries wait or end for want of a click; the state of each that was moved, by seq.

        One whose visitor got a later click meanwhile stays as it is, due.
        """

    async def used_seconds(self, wanted: Mapping[int, Sequence[SecondRange]]) -> dict[int, set[UnixSeconds]]:
        """For each identity the seconds in the given ranges that its claimed conversions have."""

    async def claim(
        self,
        account: str,
        entries: Sequence[Entry],
        identities: Sequence[int | None],
        now: UnixMillis,
        until: UnixMillis,
        ids: str | None = None,
    ) -> Claim | None:
        """Take these entries as a new batch for the account `ids` at Microsoft, and freeze in them what will be sent.

        None when none was left.
        Left out are those that are no longer free, were replaced, or whose visitor clicked since they were read;
        one that was restated goes with its new value. An identity keeps its second from other conversions; adjustments
        have none.
        """

    async def throttled(self, now: UnixMillis) -> Mapping[str, UnixMillis]:
        """Until when Microsoft asked accounts to wait, as noted by itself or with their open batches."""

    async def know_ids(self, accounts: Mapping[str, str]) -> None:
        """Note which account each is at Microsoft, for batches that were sent before that was stored."""

    async def open_batches(self, account: str, goals: Mapping[str, str], ids: str = "") -> OpenBatches:
        """What the account's batches without an answer are for.

        `goals` is the goal of each event now, `ids` which account it is at Microsoft now.
        """

    async def release_astray(self, account: str, goals: Mapping[str, str], now: UnixMillis, ids: str = "") -> int:
        """Let rows of open batches go that were refused each time and belong to another goal or account by now.

        How many; they are due again as if they had never been claimed.
        """

    async def has_resend(
        self, account: str, now: UnixMillis, held: Collection[str] = (), ids: str | None = None
    ) -> bool:
        """Whether a batch waits to be claimed again: of no goal in `held`, for the account `ids` at Microsoft."""

    async def claim_resend(
        self,
        account: str,
        now: UnixMillis,
        until: UnixMillis,
        held: Collection[str] = (),
        ids: str | None = None,
    ) -> Claim | None:
        """Take again the batch of the account that has been due longest, if there is such a one as for `has_resend`."""

    async def record_throttle(self, account: str, until: UnixMillis) -> None:
        """Note that Microsoft asked the account to wait, for `throttled` after a restart."""

    async def settle(self, claim: Claim, exceptions: Mapping[int, Step], note: "Note", now: UnixMillis) -> bool:
        """Write a batch's outcome: delivered, but for `exceptions` by seq. False when the claim has passed."""

    async def postpone(
        self, claim: Claim, due_at: UnixMillis, note: "Note", *, maybe_sent: bool, isolated: bool = False
    ) -> bool:
        """Keep the batch as it is and claim it again at `due_at`. False when the claim has passed.

        `maybe_sent`: the request may have been applied. `isolated`: its only row was refused.
        """

    async def halve(self, claim: Claim, note: "Note", now: UnixMillis, *, maybe_sent: bool = False) -> bool:
        """Make two batches of one, both due now, `maybe_sent` as for `postpone`. False when the claim has passed."""


class StoredMatchShares(Protocol):
    """What each goal's last conversions could be matched by, over restarts."""

    async def load(self) -> Mapping[str, Share]:
        """By goal, as last saved."""

    async def save(self, shares: Mapping[str, Share]) -> None:
        """Replace what was saved before."""
