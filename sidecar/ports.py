"""What the loops and edges ask of the world, on one screen: an outbox to wait in, a platform to go to, a journal.

Stores and platforms stand behind these; neither knows the other.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sidecar.core.adjustment import Adjustment
from sidecar.core.answer import Answer, Lost, Refused, Verdict
from sidecar.core.attribution import Skip, Wait
from sidecar.core.conversion import Click, Conversion, Kind
from sidecar.core.difference import Difference
from sidecar.core.entry import Entry, Fault, Lane, LongestWaits, State, Step
from sidecar.core.erasure import Erasure, Found, Phase, RowsOf, Wanted
from sidecar.core.goal import Catalogue, Creation, Goal, NewGoal
from sidecar.core.instant import SecondRange, UnixMillis, UnixSeconds
from sidecar.core.match_share import Share
from sidecar.core.problem import Problem
from sidecar.core.receipt import Trace
from sidecar.core.record import Record
from sidecar.core.unstored import Unstored
from sidecar.core.waiting import Waiting as Waiting  # what `Outbox` answers with


class StorageUnavailable(Exception):
    """The outbox cannot take it now; whether it is stored is unknown. `code` is a trouble, or `stopping`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


# --- Intake ----------------------------------------------------------------------------------------------------------


class Arrival(NamedTuple):
    """A conversion as it came in: when, and by which request."""

    conversion: Conversion
    received_at: UnixMillis
    request_id: str


@dataclass(frozen=True, slots=True)
class Stored:
    """It is on disk, fsynced; new, or in place of a row that was dead or skipped."""

    record: Record
    late_click: UnixSeconds | None = None
    """When its click happened, as it was captured, where that is after the conversion."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The same was stored before; the row as it is now."""

    record: Record
    overtaken: bool = False
    """Of an adjustment: a later one of its conversion stands, so that this one says no more how things are."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another conversion with this key is stored already; `differences` are the fields in which it is another one."""

    record: Record
    differences: tuple[Difference, ...] = ()


PutResult = Stored | Replayed | Conflict


@dataclass(frozen=True, slots=True)
class Captured:
    """A click as it came in, and when."""

    click: Click
    captured_at: UnixMillis


@dataclass(frozen=True, slots=True)
class ClickPage:
    """Clicks of a visitor, the last click first; `next_seq` is where the next page starts, None at the end."""

    clicks: tuple[Captured, ...]
    next_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Adjusting:
    """An adjustment as it came in: when, and by which request."""

    adjustment: Adjustment
    received_at: UnixMillis
    request_id: str


@dataclass(frozen=True, slots=True)
class OriginalNotSent:
    """Its conversion is not at Microsoft and will not be: there is nothing to adjust, and nothing was stored."""

    original: Record


@dataclass(frozen=True, slots=True)
class NoOriginal:
    """There is no such conversion."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several conversions fit, and the request does not say which."""

    originals: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class AlreadyRetracted:
    """Its conversion was taken back: there is no value to restate."""

    original: Record


@dataclass(frozen=True, slots=True)
class Unadjustable:
    """It cannot be done with this conversion."""

    problem: Problem


AdjustResult = PutResult | OriginalNotSent | NoOriginal | Ambiguous | AlreadyRetracted | Unadjustable


# --- Delivery --------------------------------------------------------------------------------------------------------


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
    """How many rows of the root, and how many of them were refused while they stood alone."""
    created_at: UnixMillis
    sent_to: str | None = None
    """The account at Microsoft that it was made for, and goes to again."""

    @property
    def kind(self) -> Kind:
        """What its entries are: a batch holds one kind."""
        return self.entries[0].lane.kind


@dataclass(frozen=True, slots=True)
class Aside:
    """A due entry that does not go out now, and the time of the click that was looked at for it, if there was one."""

    seq: int
    choice: Wait | Skip
    clicked_at: UnixSeconds | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows are in each state, exact as of the last commit."""

    pending: int = 0
    delivered: int = 0
    skipped: int = 0
    dead: int = 0
    canceled: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits: when the oldest became due, and when the first gets too old."""

    oldest_due_at: UnixMillis | None
    first_expiry_at: UnixMillis | None


class Retried(NamedTuple):
    """Why some rows of an account wait for their next attempt; `goal` is the one that they are frozen for."""

    account: str
    fault: Fault
    goal: str | None
    is_refused: bool = False
    """Whether a request that carried them was refused as a whole, so that they stand alone in theirs."""


@dataclass(frozen=True, slots=True)
class OpenBatches:
    """The goals of an account's open batches; an empty batch has the goal "".

    `has_astray` says that some row in them was refused each time, and that its event is for another goal by now.
    """

    goals: frozenset[str]
    has_astray: bool


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows a list wants; every field narrows it."""

    order_id: str | None = None
    event: str | None = None
    state: State | None = None
    account: str | None = None
    since: UnixMillis | None = None
    before_seq: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Rows newest first; `next_seq` is where the next page starts, None at the end."""

    records: tuple[Record, ...]
    next_seq: int | None


@dataclass(frozen=True, slots=True)
class ReplayQuery:
    """Which ended rows are to be due again: those of `state` (dead or skipped); every other field narrows it."""

    state: State
    reason: str | None = None
    event: str | None = None
    since: UnixMillis | None = None
    """Received at this instant or later."""


@dataclass(frozen=True, slots=True)
class ReplaySlice:
    """What a slice of ended rows held: how many fitted (of which account), and how many of those were too old."""

    matched: int
    too_old: int
    accounts: Mapping[str, int]
    next_seq: int | None
    """Where the next slice starts; None at the end."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An operator's wish was done; the row as it is now."""

    record: Record


@dataclass(frozen=True, slots=True)
class Unmoved:
    """The row may not be moved so, and is as it was."""

    record: Record


class Outbox(Protocol):
    """Where conversions wait. Every write is on disk, fsynced, when its call returns."""

    @property
    def lanes(self) -> Sequence[Lane]:
        """Every lane that ever held a row."""

    @property
    def counts(self) -> Counts:
        """Rows by state."""

    async def open_lanes(self, lanes: Sequence[tuple[str, str]]) -> None:
        """Make sure that each (account, event) has its lane."""

    async def put(self, arrivals: Sequence[Arrival]) -> list[PutResult]:
        """Store what is new, find what is known; one transaction for all of them."""

    async def adjust(self, adjustings: Sequence[Adjusting]) -> list[AdjustResult]:
        """Carry out what can be done at once, store what has to go to Microsoft; one transaction for all of them."""

    async def adjustments(self, seq: int) -> Sequence[Record]:
        """Every adjustment of the conversion with that number, oldest first."""

    async def due(
        self, lanes: Sequence[Lane], now: UnixMillis, limit: int, held: Collection[str] = (), ids: str | None = None
    ) -> list[Entry]:
        """Up to `limit` entries that may be claimed, each lane getting its share.

        None that keeps a goal in `held`, or another account at Microsoft than `ids`.
        """

    async def set_aside(self, asides: Sequence[Aside], now: UnixMillis) -> Mapping[int, State]:
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
        Left out are those that are no longer free, were replaced, or whose visitor clicked since they were looked at;
        one that was restated goes with its new value. An identity keeps its second from other conversions; adjustments
        have none.
        """

    async def throttled(self, now: UnixMillis) -> Mapping[str, UnixMillis]:
        """Until when Microsoft told accounts to wait, as it was noted by itself or with their open batches."""

    async def know_ids(self, accounts: Mapping[str, str]) -> None:
        """Which account each is at Microsoft: what was sent before anybody noted where went there."""

    async def open_batches(self, account: str, goals: Mapping[str, str], ids: str = "") -> OpenBatches:
        """What the account's batches without an answer are for.

        `goals` is the goal of each event now, `ids` which account it is at Microsoft now.
        """

    async def release_astray(self, account: str, goals: Mapping[str, str], now: UnixMillis, ids: str = "") -> int:
        """Let rows of open batches go that were refused each time and belong to another goal or account by now.

        How many; they are due again as if they had never been claimed.
        """

    async def waiting_elsewhere(self, account: str, ids: str) -> Mapping[str, Waiting]:
        """Rows that may be at another account of Microsoft's than `ids`, by that account: they wait for its return."""

    async def waiting_by_goal(self, account: str) -> Mapping[str, Waiting]:
        """By goal the account's rows that keep it: those of its open batches, and those that wait by themselves."""

    async def has_open(self, account: str, now: UnixMillis, held: Collection[str] = (), ids: str | None = None) -> bool:
        """Whether a batch waits to be claimed again: of no goal in `held`, for the account `ids` at Microsoft."""

    async def claim_open(
        self,
        account: str,
        now: UnixMillis,
        until: UnixMillis,
        held: Collection[str] = (),
        ids: str | None = None,
    ) -> Claim | None:
        """Take again the batch of the account that has been due longest, if there is such a one as for `has_open`."""

    async def keep_waiting(self, account: str, until: UnixMillis) -> None:
        """Note that Microsoft told the account to wait, for `throttled` after a restart."""

    async def settle(self, claim: Claim, exceptions: Mapping[int, Step], note: "Note", now: UnixMillis) -> bool:
        """Write a batch's outcome: delivered, but for `exceptions` by seq. False when the claim has passed."""

    async def postpone(
        self, claim: Claim, due_at: UnixMillis, note: "Note", *, maybe_sent: bool, alone: bool = False
    ) -> bool:
        """Keep the batch as it is and claim it again at `due_at`. False when the claim has passed.

        `maybe_sent` says that the request may have been applied, `alone` that its only row was refused as such.
        """

    async def halve(self, claim: Claim, note: "Note", now: UnixMillis, *, maybe_sent: bool = False) -> bool:
        """Make two batches of one, both due now, `maybe_sent` as for `postpone`. False when the claim has passed."""

    async def set_back(self, now: UnixMillis, limit: int, waits: LongestWaits | None = None) -> bool:
        """The clock may have been ahead before `now`: look again at up to `limit` rows that are due too late for it.

        Those that would wait longer than `waits` allows for their reason. Whether that was all; else call it again.
        """

    async def expire(self, now: UnixMillis, limit: int) -> list[Record]:
        """End up to `limit` pending rows that are too old, unless a request that carries them is on its way."""

    async def backlog(self) -> Backlog:
        """What waits, for the health page."""

    async def waiting(self, lanes: Sequence[Lane]) -> Waiting:
        """What waits in these lanes and is in no open batch, counted up to a bound."""

    async def at_stake(self, lanes: Sequence[Lane]) -> Waiting:
        """What waits in these lanes, in open batches too, with what it is worth; counted up to a smaller bound."""

    async def retried(self, lanes: Sequence[Lane], now: UnixMillis) -> Sequence[Retried]:
        """Errors for which rows of these lanes wait to be sent again, each once; a few rows of each lane are asked."""

    async def get(self, seq: int) -> Record | None:
        """One row."""

    async def find(self, query: Query) -> Page:
        """A page of rows. It may be short, even empty, while `next_seq` tells that there is more to look through."""

    async def replay(self, seq: int, now: UnixMillis) -> Moved | Unmoved | None:
        """Make a dead or skipped row due again, unless it is too old; None when there is no such row."""

    async def replay_slice(
        self, query: ReplayQuery, after_seq: int, limit: int, now: UnixMillis, *, dry_run: bool
    ) -> ReplaySlice:
        """Make due again what fits among the next `limit` rows of that state; with `dry_run` only say what would be.

        StorageUnavailable when the outbox has no room for them.
        """

    async def discard(self, seq: int, now: UnixMillis, ids: str | None = None) -> Moved | Unmoved | None:
        """End a dead or pending row as canceled, unless it may have been sent; None when there is no such row.

        A waiting row may be given up that went to another account at Microsoft than `ids`.
        """

    async def prune(self, before: UnixMillis, after_seq: int, limit: int) -> int | None:
        """Delete old settled rows among the `limit` after `after_seq`; where to go on, None at the end."""

    async def probe(self) -> None:
        """Write something small; raises StorageUnavailable when that does not work."""


class MatchShares(Protocol):
    """What each goal's last conversions could be matched by, over restarts."""

    async def load(self) -> Mapping[str, Share]:
        """By goal, as it was last kept."""

    async def save(self, shares: Mapping[str, Share]) -> None:
        """Keep these in place of those before."""


class Clicks(Protocol):
    """Clicks of visitors. Every write is on disk, fsynced, when its call returns."""

    async def capture(self, captures: Sequence[Captured]) -> Mapping[str, int]:
        """Keep these clicks, of each its earliest time; how many rows of each account are due again with them."""

    async def seen(self, entries: Sequence[Entry]) -> Mapping[int, Click]:
        """By seq, for each entry whose visitor has one: its own click if it names one, else the last one before it."""

    async def of_visitor(
        self, visitor_id: str, accounts: Sequence[str], before_seq: int | None, limit: int
    ) -> ClickPage:
        """What is kept of a visitor in these accounts: `limit` clicks, behind the one numbered `before_seq`."""

    async def prune(self, before: UnixSeconds, after_seq: int, limit: int) -> int | None:
        """Forget clicks from before `before` among the `limit` after `after_seq`; where to go on, None at the end."""


class Erasures(Protocol):
    """Where erasures are kept, and carried out in slices. Every write is on disk, fsynced, when its call returns."""

    async def add(self, wanted: Wanted, now: UnixMillis) -> Erasure:
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

    async def blank(
        self, job: Erasure, found: Found, retracts: Collection[int], now: UnixMillis
    ) -> Mapping[RowsOf, int]:
        """Blank what is settled, end what was never sent, note what must be settled first; how many rows ended.

        `retracts` are rows that carry a retract of some of them: they are blanked once they are settled.
        """

    async def enter(self, job: Erasure, phase: Phase) -> None:
        """Go on to the next phase. Before `WIPING` the erasure forgets whom it was about."""

    async def blank_journal(self, job: Erasure) -> bool:
        """Blank the orders in a stretch of the journal; whether there is more of it."""

    async def wipe(self) -> bool:
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


class Traces(Protocol):
    """All that is stored of single rows, for their receipts."""

    async def of(self, seq: int) -> Trace | None:
        """The row's trace; None when there is no such row."""


class UnstoredItems(Protocol):
    """Where traces of items lie that were not stored: the newest so many, and none that is too old."""

    async def append(self, traces: Sequence[Unstored]) -> None:
        """Keep these, in this order; one that is there already counts up and is the newest again."""

    async def of_order(self, order_id: str) -> Sequence[Unstored]:
        """The newest of an order, newest first."""

    async def prune(self, before: UnixMillis) -> int:
        """Delete a slice of what is older than `before`; how many were deleted, 0 at the end."""


@dataclass(frozen=True, slots=True)
class Note:
    """What a batch's answer was, for its row in the outbox; the error is that of the request as a whole."""

    answer: str
    tracking_id: str | None = None
    error: str | None = None
    error_code: int | None = None
    message: str | None = None
    at: UnixMillis | None = None
    """When it came."""


def refusal(verdict: Verdict) -> str:
    """How a note says that the batch was refused as a whole."""
    return f"refused: {verdict.value}"


class NotConnected(Exception):
    """There is no access token now. `code` is a trouble of the catalogue, `retry_at` when Microsoft is asked again."""

    def __init__(self, code: str, message: str, retry_at: UnixMillis | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_at = retry_at


class Platform(Protocol):
    """Where conversions go."""

    def knows(self, account: str) -> bool:
        """Whether the account is configured; its rows wait while it is not."""

    async def permit(self, account: str) -> None:
        """Wait until there is a token and the account's pace allows one more call. NotConnected when there is none."""

    def identity(self, account: str) -> str | None:
        """Which account it is there; None once it left the configuration."""

    async def upload(self, account: str, entries: Sequence[Entry]) -> Answer:
        """Send one batch. NotConnected when there is no token to send it with."""

    def sharing(self, account: str) -> Sequence[str]:
        """The accounts that share this one's limit, this one included."""

    def throttled(self, account: str) -> None:
        """Microsoft said "too many": all that share the limit come back slower."""

    def answered(self, account: str) -> None:
        """A clean answer: climb back."""


# --- Pauses ----------------------------------------------------------------------------------------------------------


class Pauses(Protocol):
    """Which accounts an operator has paused. Every write is on disk, fsynced, when its call returns."""

    async def all(self) -> Mapping[str, UnixMillis]:
        """The paused ones, and since when."""

    async def put(self, account: str, since: UnixMillis) -> None:
        """It is paused from now on; a pause that stands keeps its beginning."""

    async def remove(self, account: str) -> None:
        """It is paused no more."""


# --- Goals -----------------------------------------------------------------------------------------------------------


class GoalPlatform(Protocol):
    """Where goals are. Each call takes its place in the account's pace; NotConnected when there is no token."""

    def identity(self, account: str) -> str | None:
        """Which account it is there: another one's goals say nothing of it. None once it left the configuration."""

    async def goals(self, account: str) -> Sequence[Goal] | Refused | Lost:
        """Every goal that the account can see."""

    async def auto_tagging(self, account: str) -> bool | Refused | Lost | None:
        """Whether click ids are added to landing addresses; None where nobody says."""

    async def create(self, account: str, new: Sequence[NewGoal]) -> Sequence[Creation | Refused | Lost]:
        """Create these goals: what became of each, in order; one that is refused stops no other. They cannot be
        deleted."""

    def sharing(self, account: str) -> Sequence[str]:
        """As `Platform.sharing`."""

    def throttled(self, account: str) -> None:
        """As `Platform.throttled`."""


class Goals(Protocol):
    """Where the catalogues are kept, so that a restart does not take old goals for new ones."""

    async def load(self) -> Sequence[Catalogue]:
        """The catalogue of each account, as it was last saved."""

    async def save(self, catalogue: Catalogue) -> None:
        """Keep an account's catalogue in place of the one before; durably."""


# --- Journal ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One fact that an operator may want to read later."""

    time: UnixMillis
    level: str
    name: str
    message: str
    account: str | None = None
    conversion_id: str | None = None
    order_id: str | None = None
    batch_id: int | None = None
    tracking_id: str | None = None
    error: str | None = None
    fix: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A fact in the journal, with its number there; numbers rise in the order in which facts were kept."""

    seq: int
    entry: JournalEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalQuery:
    """Which facts are wanted; every field narrows it. `level` is the lowest, `until` is not included."""

    level: str | None = None
    name: str | None = None
    account: str | None = None
    order_id: str | None = None
    conversion_id: str | None = None
    since: UnixMillis | None = None
    until: UnixMillis | None = None
    before_seq: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class JournalPage:
    """Facts of a page; `next_seq` is where the next page starts, None at the end."""

    items: tuple[Kept, ...]
    next_seq: int | None


class Journal(Protocol):
    """Where what happened is kept."""

    async def append(self, entries: Sequence[JournalEntry]) -> Sequence[Kept]:
        """Keep these facts, in this order."""

    async def read(self, query: JournalQuery) -> JournalPage:
        """A page, newest first. It may be short, even empty, while `next_seq` tells that there is more."""

    async def read_on(self, query: JournalQuery, after_seq: int) -> JournalPage:
        """A page of what was kept after `after_seq`, oldest first; the next one goes on after its `next_seq`."""

    async def prune(self, before: UnixMillis, max_bytes: int) -> int:
        """Delete a slice of what is older than `before`, or beyond `max_bytes`; how many were deleted, 0 at the end."""


class LostKey(Exception):
    """A value is there that cannot be used: another key sealed it, or it was damaged; the text says what to do."""


class Secrets(Protocol):
    """Small sealed values: tokens and generated keys."""

    async def get(self, name: str) -> str | None:
        """The stored value."""

    async def put(self, name: str, value: str) -> None:
        """Store a value, durably; a sealed one leaves nothing of a plain one before it."""
