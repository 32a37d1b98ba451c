"""A small model of the store: what it should say, kept in dictionaries. Written from the contract, not from the SQL.

Rows and batches are here; what adjustments do is in `adjustment_model`, what an erasure does in `erasure_model`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from sidecar.core.attribution import Deferral, Skip
from sidecar.core.conversion import AdjustmentType, Click, Conversion, Kind, plain_decimal
from sidecar.core.entry import Entry, Requeue, Settled, Step
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, UnixSeconds, millis, seconds
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.delivery import Claim
from sidecar.ports.intake import Captured, Conflict, Replayed, Stored
from sidecar.ports.queries import Backlog, Counts, Query
from sidecar.ports.upkeep import ReplayQuery

Lane = tuple[str, str, Kind]
WITHOUT_CLICK = frozenset((Reason.AWAITING_CLICK, Reason.NO_CLICK, Reason.OUTSIDE_WINDOW))
REPLACEABLE = frozenset((State.DEAD, State.SKIPPED))
A_DAY_MILLIS = 86_400_000


@dataclass(kw_only=True)
class Row:
    """What the model knows of a row."""

    seq: int
    kind: Kind
    account: str
    event: str
    key: tuple[str, ...] | None
    content: tuple[Any, ...] | None
    """What the caller gave; None once it was erased."""
    time: int
    time_given: bool
    received_at: int
    first_received_at: int
    due_at: int
    reason: str | None
    order_id: str | None
    value: str | None
    currency: str | None
    msclkid: str | None = None
    visitor_id: str | None = None
    email: str | None = None
    phone: str | None = None
    meta: str | None = None
    is_found_by_clicks: bool = True
    state: State = State.PENDING
    batch: int | None = None
    claimed: bool = False
    attempt: int = 0
    retries: int = 0
    refusals: int = 0
    again: bool = False
    maybe_sent: bool = False
    goal: str | None = None
    sent_time: int | None = None
    identity: int | None = None
    click: str | None = None
    """What it is sent with, empty for none; None while that is not frozen."""
    clicked_at: int | None = None
    settled_at: int | None = None
    error: str | None = None
    type: AdjustmentType | None = None
    original: int | None = None
    adjusted_at: int | None = None
    replaced_at: int = 0
    """When it took the place of another content."""

    @property
    def lane(self) -> Lane:
        return (self.account, self.event, self.kind)

    @property
    def is_free(self) -> bool:
        """Whether it may be claimed, once it is due."""
        return self.state is State.PENDING and not self.claimed

    @property
    def shown_click(self) -> str | None:
        return (self.msclkid if self.click is None else self.click) or None

    def end(self, state: State, reason: str | None, at: int) -> None:
        self.state, self.reason, self.settled_at, self.claimed = state, reason, at, False

    def thaw(self) -> None:
        """Nothing of it is at Microsoft: it may be sent otherwise."""
        self.goal = self.sent_time = self.identity = self.click = self.clicked_at = None


@dataclass
class Batch:
    """What the model knows of an open batch."""

    account: str
    claim: Claim | None
    """Who took it last; None if it was not taken since it was made or its process died."""
    due_at: int
    leased: bool
    root: int
    created_at: int
    sent_at: int
    answer: str | None = None


@dataclass
class KeptClick:
    """A click of a visitor."""

    seq: int
    clicked_at: int
    captured_at: int


@dataclass
class Model:
    """A store in memory: rows, open batches and clicks."""

    rows: dict[int, Row] = field(default_factory=dict)
    batches: dict[int, Batch] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    """How many rows each batch began with."""
    clicks: dict[tuple[str, str, str], KeptClick] = field(default_factory=dict)
    """By account, visitor and click id."""
    waits: dict[str, int] = field(default_factory=dict)
    pruned: int = 0
    poisoned: dict[int, int] = field(default_factory=dict)
    last: int = 0
    last_click: int = 0
    settled: Callable[[Iterable[Row], int], None] = lambda rows, now: None
    """Called with rows that were settled or ended, for what waits for them."""
    replayed: Callable[[Sequence[int], int], None] = lambda seqs, now: None

    # --- Intake ------------------------------------------------------------------------------------------------------

    def put(self, given: Conversion, at: int) -> tuple[type, int]:
        """What becomes of a conversion, and the number of its row."""
        key = key_of(given)
        known = [row for row in self.rows.values() if key is not None and row.key == key]
        if not known:
            self.last += 1
            self.rows[self.last] = new_row(self.last, given, at)
            return Stored, self.last
        row = known[0]
        times_agree = not given.time_given or not row.time_given or given.time == row.time
        if row.content is None or (times_agree and content_of(given) == row.content):
            return Replayed, row.seq
        if row.state in REPLACEABLE:
            self.rows[row.seq] = new_row(row.seq, given, at, row)
            return Stored, row.seq
        return Conflict, row.seq

    def capture(self, captures: Sequence[Captured]) -> dict[str, int]:
        """Keep these clicks; how many rows of each account they make due."""
        woken: set[int] = set()
        told = [captured for captured in captures if self._is_news(captured)]
        for captured in told:
            woken |= {seq for seq, row in self.rows.items() if _waits_for(row, captured.click, captured.captured_at)}
        for seq in woken:
            row = self.rows[seq]
            row.state, row.reason, row.settled_at, row.clicked_at = State.PENDING, None, None, None
            row.due_at = captures[0].captured_at
        accounts = [self.rows[seq].account for seq in woken]
        return {account: accounts.count(account) for account in accounts}

    def _is_news(self, captured: Captured) -> bool:
        """Whether the click is new, or happened earlier than was told before."""
        click = captured.click
        name = (click.account, click.visitor_id, click.msclkid)
        if name not in self.clicks:
            self.last_click += 1
            self.clicks[name] = KeptClick(self.last_click, click.clicked_at, captured.captured_at)
            return True
        is_earlier = click.clicked_at < self.clicks[name].clicked_at
        self.clicks[name].clicked_at = min(click.clicked_at, self.clicks[name].clicked_at)
        return is_earlier

    # --- Clicks ------------------------------------------------------------------------------------------------------

    def seen(self, row: Row) -> tuple[str, int] | None:
        """Its own click if it names one, else the last one of its visitor at or before its time."""
        theirs = [
            (kept.clicked_at, kept.seq, msclkid)
            for (account, visitor_id, msclkid), kept in self.clicks.items()
            if (account, visitor_id) == (row.account, row.visitor_id) and kept.clicked_at <= row.time
        ]
        own = [click for click in theirs if row.shown_click in (None, click[2])]
        return (max(own)[2], max(own)[0]) if own else None

    def is_overtaken(self, row: Row, evaluated: int | None) -> bool:
        """Whether a later click of its visitor came in than the one that was looked at."""
        if row.visitor_id is None or row.msclkid is not None or not row.is_found_by_clicks:
            return False
        seen = self.seen(replace(row, click=None))
        return seen is not None and seen[1] > (-1 if evaluated is None else evaluated)

    def defer(self, deferrals: Sequence[Deferral], now: int) -> dict[int, State]:
        """Which due rows wait or end for want of a click."""
        moved = {}
        for aside in deferrals:
            row = self.rows.get(aside.seq)
            if row is None or not row.is_free or self.is_overtaken(row, aside.clicked_at):
                continue
            row.clicked_at, row.reason = aside.clicked_at, aside.choice.reason
            if isinstance(aside.choice, Skip):
                row.end(State.SKIPPED, aside.choice.reason, now)
            else:
                row.due_at = aside.choice.due_at
            moved[aside.seq] = row.state
        return moved

    def prune_clicks(self, before: int, limit: int) -> None:
        """Forget clicks of before `before`, in the order of capture until they are too young; late ones at once."""
        for name, kept in list(self.clicks.items()):
            if kept.captured_at - kept.clicked_at * 1_000 > A_DAY_MILLIS and kept.clicked_at < before:
                del self.clicks[name]
        kept_in_order = sorted(self.clicks.items(), key=lambda item: item[1].seq)
        for start in range(0, len(kept_in_order), limit):
            stretch = kept_in_order[start : start + limit]
            if min(kept.captured_at for _, kept in stretch) >= before * 1_000:
                return
            for name, kept in stretch:
                if kept.clicked_at < before:
                    del self.clicks[name]

    # --- Claims ------------------------------------------------------------------------------------------------------

    def due(self, account: str, kind: Kind, now: int) -> list[Row]:
        """What may be claimed, the oldest first."""
        found = [
            row
            for row in self.rows.values()
            if row.is_free and row.due_at <= now and row.account == account and row.kind is kind
        ]
        return sorted(found, key=lambda row: (row.due_at, row.seq))

    def takes(self, entry: Entry) -> bool:
        """Whether a claim gets this row, as it was read."""
        row = self.rows.get(entry.seq)
        if row is None or not row.is_free or (row.goal is None and self.is_overtaken(row, entry.evaluated)):
            return False
        stored = (row.value, row.currency, row.adjusted_at)
        return stored == (entry.value, entry.currency, entry.adjusted_at)

    def take(self, claim: Claim, entries: Sequence[tuple[Entry, int | None]], until: int) -> None:
        """These go out in a new batch, frozen as they are given, each with its identity."""
        now = claim.created_at
        self.batches[claim.batch_id] = Batch(claim.account, claim, until, True, claim.batch_id, now, now)
        self.sizes[claim.batch_id] = len(entries)
        for entry, identity in entries:
            row = self.rows[entry.seq]
            row.claimed, row.batch, row.reason = True, claim.batch_id, None
            row.goal, row.sent_time, row.identity = entry.goal, entry.sent_time, identity
            row.click, row.clicked_at = entry.msclkid or "", entry.clicked_at
            row.attempt += 1

    def used_seconds(self) -> dict[int, set[int]]:
        """Which seconds each identity has."""
        used: dict[int, set[int]] = {}
        for row in self.rows.values():
            if row.identity is not None and row.sent_time is not None:
                used.setdefault(row.identity, set()).add(row.sent_time)
        return used

    def in_batch(self, number: int) -> list[int]:
        return sorted(seq for seq, row in self.rows.items() if row.claimed and row.batch == number)

    def open(self, account: str, now: int, held: Collection[str]) -> list[int]:
        """The batches that may be claimed again, with rows or without, the one due longest first."""
        may = [
            number
            for number, batch in self.batches.items()
            if batch.account == account
            and batch.due_at <= now
            and not any(self.rows[seq].goal in held for seq in self.in_batch(number))
        ]
        return sorted(may, key=lambda number: (self.batches[number].due_at, number))

    def astray(self, account: str, goals: Mapping[str, str]) -> list[Row]:
        """Rows of open batches that were refused each time and are not for that goal any more."""
        return [
            row
            for number, batch in self.batches.items()
            if batch.account == account and not batch.leased
            for row in (self.rows[seq] for seq in self.in_batch(number))
            if not row.maybe_sent and (row.original or 0) <= 0 and goals.get(row.event) != row.goal
        ]

    def open_goals(self, account: str) -> set[str]:
        """What open batches are for; an empty one is for nothing."""
        numbers = [number for number, batch in self.batches.items() if batch.account == account]
        return {
            goal for number in numbers for goal in {self.rows[seq].goal or "" for seq in self.in_batch(number)} or {""}
        }

    def release_astray(self, account: str, goals: Mapping[str, str], now: int) -> int:
        """They leave their batches, as if they had never been claimed; what Microsoft asked to wait for stays."""
        rows = self.astray(account, goals)
        for row in rows:
            row.claimed, row.due_at, row.refusals = False, now, 0
            row.thaw()
        for number in {row.batch or 0 for row in rows}:
            if not self.in_batch(number):
                batch = self.batches.pop(number)
                if batch.answer == "refused: throttled" and batch.due_at > now:
                    self.waits[account] = max(batch.due_at, self.waits.get(account, 0))
        if rows:
            self.settled(rows, now)
        return len(rows)

    def waiting_by_goal(self, account: str) -> dict[str, tuple[int, int]]:
        """By goal, how many waiting rows keep it, and the earliest time among them."""
        rows = [row for row in self.rows.values() if row.account == account and row.state is State.PENDING and row.goal]
        goals = {row.goal or "" for row in rows}
        times = {goal: [row.time for row in rows if row.goal == goal] for goal in goals}
        return {goal: (len(found), min(found)) for goal, found in times.items()}

    def retake(self, claim: Claim, until: int, now: int) -> None:
        """An open batch goes again."""
        batch = self.batches[claim.batch_id]
        for seq in self.in_batch(claim.batch_id):
            self.rows[seq].attempt += 1
            self.rows[seq].maybe_sent |= batch.leased
        batch.claim, batch.due_at, batch.leased, batch.sent_at, batch.answer = claim, until, True, now, None

    def holds(self, claim: Claim) -> bool:
        """Whether its answer counts."""
        batch = self.batches.get(claim.batch_id)
        return batch is not None and batch.claim is claim

    # --- Settlements -------------------------------------------------------------------------------------------------

    def settle(self, claim: Claim, steps: Mapping[int, Step], now: int) -> None:
        """Microsoft read the batch: what became of each row."""
        for seq in self.in_batch(claim.batch_id):
            row = self.rows[seq]
            match steps.get(seq):
                case None:
                    row.end(State.DELIVERED, None, now)
                    row.error = None
                case Settled(state=state, reason=reason, fault=fault):
                    row.end(state, reason, now)
                    row.error = fault.error if fault else None
                case Requeue() as step:
                    self._return(row, step)
        del self.batches[claim.batch_id]
        self.settled([self.rows[entry.seq] for entry in claim.entries if entry.seq in self.rows], now)

    def _return(self, row: Row, step: Requeue) -> None:
        row.claimed, row.due_at, row.reason = False, step.due_at, step.reason
        row.retries, row.refusals, row.again = step.retries, step.refusals, step.retries > 0
        row.error = step.fault.error if step.fault else None
        if step.released and not row.maybe_sent:
            row.thaw()

    def postpone(
        self, claim: Claim, due_at: int, answer: str, error: str | None, *, maybe_sent: bool, isolated: bool
    ) -> None:
        """The batch stays as it is and goes again."""
        batch = self.batches[claim.batch_id]
        batch.due_at, batch.leased, batch.answer = due_at, False, answer
        for seq in self.in_batch(claim.batch_id):
            row = self.rows[seq]
            row.error, row.refusals, row.maybe_sent = error, row.refusals + isolated, row.maybe_sent or maybe_sent
        if isolated and claim.entries[0].refusals == 0:
            self.poisoned[batch.root] = self.poisoned.get(batch.root, 0) + 1

    def halve(self, claim: Claim, numbers: Sequence[int], now: int, *, maybe_sent: bool) -> None:
        """Two batches with these numbers in place of the one."""
        whole, middle = self.batches.pop(claim.batch_id), len(claim.entries) // 2
        for number, half in zip(numbers, (claim.entries[:middle], claim.entries[middle:]), strict=True):
            self.batches[number] = Batch(whole.account, None, now, False, whole.root, now, now)
            self.sizes[number] = len(half)
            for entry in half:
                self.rows[entry.seq].batch = number
                self.rows[entry.seq].maybe_sent |= maybe_sent

    def throttled(self, now: int) -> dict[str, int]:
        """Until when accounts were told to wait."""
        noted = [(account, until) for account, until in self.waits.items()]
        noted += [
            (batch.account, batch.due_at) for batch in self.batches.values() if batch.answer == "refused: throttled"
        ]
        found: dict[str, int] = {}
        for account, until in noted:
            if until > now:
                found[account] = max(until, found.get(account, until))
        return found

    # --- Age, and what operators do ----------------------------------------------------------------------------------

    def expire(self, now: int) -> list[int]:
        """End what is too old, unless a request that carries it is on its way."""
        oldest = now // 1_000 - MAX_AGE_SECONDS
        ended = [row for row in self.rows.values() if row.state is State.PENDING and row.time < oldest]
        ended = [row for row in ended if not self.is_on_its_way(row, now)]
        for row in ended:
            row.maybe_sent |= self.is_leased(row)
            row.end(State.DEAD, Reason.TOO_OLD, now)
        self.settled(ended, now)
        return sorted(row.seq for row in ended)

    def is_leased(self, row: Row) -> bool:
        """Whether a request with it left and was not answered."""
        return row.claimed and self.batches[row.batch or 0].leased

    def is_on_its_way(self, row: Row, now: int) -> bool:
        """The same, while it may be answered."""
        return self.is_leased(row) and self.batches[row.batch or 0].due_at > now

    def is_taken_back(self, row: Row) -> bool:
        """Whether a retract of it is at Microsoft, or will be."""
        return any(
            other.original == row.seq
            and other.type is AdjustmentType.RETRACT
            and other.state in (State.PENDING, State.DELIVERED)
            and other.received_at >= row.replaced_at
            for other in self.rows.values()
        )

    def fits_replay(self, row: Row, query: ReplayQuery) -> bool:
        return (
            row.kind is Kind.CONVERSION
            and row.state is query.state
            and row.content is not None
            and not self.is_taken_back(row)
            and query.reason in (None, row.reason)
            and query.event in (None, row.event)
            and (query.since is None or row.received_at >= query.since)
        )

    def replay(self, seqs: Sequence[int], now: int) -> list[int]:
        """Which of these are due again."""
        oldest = now // 1_000 - MAX_AGE_SECONDS
        found = [self.rows[seq] for seq in seqs]
        found = [row for row in found if row.state in REPLACEABLE and row.content is not None and row.time >= oldest]
        found = [row for row in found if not self.is_taken_back(row)]
        for row in found:
            row.state, row.settled_at, row.error = State.PENDING, None, None
            row.due_at = max(now, row.time * 1_000)
            row.reason = Reason.NOT_YET if row.due_at > now else None
            row.retries, row.refusals, row.again = 0, 0, False
            if not row.maybe_sent:
                row.thaw()
        self.replayed([row.seq for row in found], now)
        return [row.seq for row in found]

    def discard(self, seq: int, now: int) -> bool:
        """Whether it is canceled now."""
        row = self.rows[seq]
        waits = row.state is State.PENDING and not self.is_leased(row)
        if row.maybe_sent or not (waits or row.state is State.DEAD):
            return False
        row.end(State.CANCELED, Reason.DISCARDED, now)
        self.settled([row], now)
        return True

    def prune(self, before: int, limit: int) -> None:
        """Forget what was settled long ago, in stretches of `limit`, until one came in too late."""
        in_order = sorted(self.rows)
        for start in range(0, len(in_order), limit):
            stretch = [self.rows[seq] for seq in in_order[start : start + limit]]
            if min(row.first_received_at for row in stretch) >= before:
                return
            for row in stretch:
                if row.settled_at is not None and row.settled_at < before and row.time < before // 1_000:
                    del self.rows[row.seq]
                    self.pruned += 1

    # --- The process and its clock -----------------------------------------------------------------------------------

    def crash(self, now: int) -> None:
        """The next process takes over: what was on its way may have been sent."""
        for number, batch in self.batches.items():
            if batch.leased:
                for seq in self.in_batch(number):
                    self.rows[seq].maybe_sent = True
                batch.due_at, batch.leased = now, False
            batch.claim = None
        self.bound_batches(now)

    def bound_batches(self, now: int) -> None:
        """No batch waits longer than it can have been told to."""
        for batch in self.batches.values():
            if batch.leased:
                until = now + max(0, batch.due_at - batch.sent_at)
            elif batch.answer == "refused: throttled":
                until = now + 15 * 60_000
            elif batch.sent_at > now:
                until = now
            else:
                until = now + 6 * 3_600_000
            batch.due_at = min(batch.due_at, until)
            batch.created_at, batch.sent_at = min(batch.created_at, now), min(batch.sent_at, now)
        self.waits = {account: min(until, now + 15 * 60_000) for account, until in self.waits.items()}

    def clock_stepped_back(self, now: int) -> None:
        """The clock was set back: nothing waits longer than it can have to for its reason."""
        self.bound_batches(now)
        for kept in self.clicks.values():
            if kept.captured_at > now and kept.seq > self._last_before(now):
                kept.clicked_at, kept.captured_at = min(kept.clicked_at, now // 1_000), now
        for row in list(self.rows.values()):
            if row.is_free and row.reason != Reason.AWAITING_ORIGINAL and self._is_too_far(row, now):
                self._bring_back(row, now)

    def _last_before(self, now: int) -> int:
        return max((kept.seq for kept in self.clicks.values() if kept.captured_at <= now), default=0)

    def _is_too_far(self, row: Row, now: int) -> bool:
        own = row.time if row.original is None else row.adjusted_at or 0
        if row.due_at == own * 1_000 and (row.time_given or self._must_be_so_late(row)):
            return False
        longest = {Reason.AWAITING_CLICK: 3_600_000, Reason.CLICK_SETTLING: 3_600_000}.get(row.reason or "")
        if longest is None and (row.reason == Reason.RETRYING or row.again):
            longest = 6 * 3_600_000
        if longest is None and row.reason == Reason.NOT_YET:
            longest = 300_000 + (0 if row.original is None else 6 * 3_600_000)
        return row.due_at > now + max(2_000, longest or 0)

    def _must_be_so_late(self, row: Row) -> bool:
        """An adjustment is later than its conversion, and than those before it that left."""
        others = [other for other in self.rows.values() if other.original == row.original and other is not row]
        after = [(other.adjusted_at or 0) + 1 for other in others if other.attempt]
        return row.original is not None and row.adjusted_at == max(row.sent_time or row.time, *after, 0)

    def _bring_back(self, row: Row, now: int) -> None:
        row.received_at, row.first_received_at = min(row.received_at, now), row.first_received_at
        if row.original is not None and row.attempt == 0:
            row.reason, row.due_at = Reason.AWAITING_ORIGINAL, max(now, row.due_at)
            if not row.time_given:
                row.adjusted_at = min(row.adjusted_at or 0, now // 1_000)
            self.settled([row], now)
            return
        if not row.time_given and row.goal is None and row.original is None:
            row.time = min(row.time, now // 1_000)
        waits = row.original is None and row.time_given and row.time * 1_000 > now
        row.due_at = row.time * 1_000 if waits else now
        if row.reason != Reason.RETRYING:
            row.reason = Reason.NOT_YET if waits else None

    # --- What it shows -----------------------------------------------------------------------------------------------

    def backlog(self) -> Backlog:
        moments = [row.due_at for row in self.rows.values() if row.is_free]
        moments += [batch.created_at for batch in self.batches.values()]
        times = [row.time for row in self.rows.values() if row.state is State.PENDING]
        expiry = millis(UnixSeconds(min(times) + MAX_AGE_SECONDS)) if times else None
        return Backlog(UnixMillis(min(moments)) if moments else None, expiry)

    def tallies(self, since: int, step: int) -> dict[tuple[int, str, str, Kind, State, str], tuple[int, Decimal]]:
        """By period of receipt, account, event, kind, state and currency: the rows, and the sum of their values."""
        found: dict[tuple[int, str, str, Kind, State, str], tuple[int, Decimal]] = {}
        for row in self.rows.values():
            if row.received_at < since * 1_000:
                continue
            key = (row.received_at // 1_000 // step * step, *row.lane, row.state, row.currency or "")
            rows, value = found.get(key, (0, Decimal(0)))
            found[key] = rows + 1, value + Decimal(row.value or 0)
        return found

    def counts(self) -> Counts:
        states = [row.state.value for row in self.rows.values()]
        return Counts(**{state.value: states.count(state.value) for state in State})

    def listed(self, query: Query) -> list[int]:
        """The numbers of all rows that a list shows, newest first."""
        found = [
            row.seq
            for row in self.rows.values()
            if row.kind is Kind.CONVERSION
            and (query.order_id is None or (row.key or ())[0::3] == ("order", query.order_id))
            and query.event in (None, row.event)
            and query.state in (None, row.state)
            and query.account in (None, row.account)
            and (query.since is None or row.received_at >= query.since)
        ]
        return sorted(found, reverse=True)


def new_row(seq: int, given: Conversion, at: int, old: Row | None = None) -> Row:
    """A conversion as it is written, in place of `old` where there was one."""
    due_at = max(at, millis(given.time))
    return Row(
        seq=seq,
        kind=Kind.CONVERSION,
        account=given.account,
        event=given.event,
        key=key_of(given),
        content=content_of(given),
        time=given.time,
        time_given=given.time_given,
        received_at=at,
        first_received_at=_first_received_at(at, old),
        due_at=due_at,
        reason=Reason.NOT_YET if due_at > at else None,
        order_id=given.order_id,
        value=None if given.value is None else plain_decimal(given.value),
        currency=given.currency,
        msclkid=given.msclkid,
        visitor_id=given.visitor_id,
        email=given.email_sha256,
        phone=given.phone_sha256,
        meta=given.meta,
        attempt=old.attempt if old else 0,
        replaced_at=at if old else 0,
    )


def _first_received_at(at: int, old: Row | None) -> int:
    """A row that was replaced keeps its place in the order of receipt."""
    return at if old is None else min(old.first_received_at, old.received_at)


def key_of(given: Conversion) -> tuple[str, ...] | None:
    """The order, else the header's key, else goal, identifiers and time; None when nothing repeats it."""
    if given.order_id is not None:
        return ("order", given.account, given.event, given.order_id)
    if given.idempotency_key is not None:
        return ("header", given.account, given.event, given.idempotency_key)
    if not given.time_given:
        return None
    person = (given.msclkid, given.visitor_id, given.email_sha256, given.phone_sha256)
    return ("natural", given.account, given.goal, str(given.time), *(each or "" for each in person))


def content_of(given: Conversion) -> tuple[Any, ...]:
    """What the caller gave, without time, defaults and notes."""
    money = (given.given_value, given.given_currency)
    return (*money, given.msclkid, given.visitor_id, given.email_sha256, given.phone_sha256)


def _waits_for(row: Row, click: Click, now: int) -> bool:
    """Whether the row was set aside for want of such a click, and can still count."""
    is_theirs = (row.account, row.visitor_id) == (click.account, click.visitor_id) and row.is_found_by_clicks
    was_set_aside = row.reason in WITHOUT_CLICK and (row.is_free or row.state is State.SKIPPED)
    is_young = row.time >= seconds(UnixMillis(now)) - MAX_AGE_SECONDS
    is_later = row.clicked_at is None or row.clicked_at < click.clicked_at
    return is_theirs and was_set_aside and is_young and is_later and row.time >= click.clicked_at


# --- Comparing -------------------------------------------------------------------------------------------------------


def shown(record: Record) -> dict[str, Any]:
    """What the store shows of a row."""
    names = (
        *(
            "seq",
            "kind",
            "account",
            "event",
            "state",
            "reason",
            "claimed",
            "leased",
            "batch_id",
            "due_at",
            "settled_at",
        ),
        *("attempt", "goal", "order_id", "time", "value", "currency", "msclkid", "visitor_id", "email_sha256"),
        *("phone_sha256", "received_at", "error", "meta", "type", "original"),
    )
    return {name: getattr(record, name) for name in names}


def known(row: Row, batch: Batch | None) -> dict[str, Any]:
    """What the model knows of it."""
    return {
        "seq": row.seq,
        "kind": row.kind,
        "account": row.account,
        "event": row.event,
        "state": row.state,
        "reason": row.reason,
        "claimed": row.claimed,
        "leased": row.claimed and batch is not None and batch.leased,
        "batch_id": row.batch,
        "due_at": batch.due_at if row.claimed and batch else row.due_at,
        "settled_at": row.settled_at,
        "attempt": row.attempt,
        "goal": row.goal,
        "order_id": row.order_id,
        "time": row.time,
        "value": row.value,
        "currency": row.currency,
        "msclkid": row.shown_click,
        "visitor_id": row.visitor_id,
        "email_sha256": row.email,
        "phone_sha256": row.phone,
        "received_at": row.received_at,
        "error": row.error,
        "meta": row.meta,
        "type": row.type,
        "original": row.original,
    }


def entry_shown(entry: Entry) -> dict[str, Any]:
    """What the flusher sees of a row."""
    names = (
        *("seq", "time", "received_at", "due_at", "value", "currency", "msclkid", "visitor_id", "email_sha256"),
        *("phone_sha256", "order_id", "attempt", "refusals", "retries", "maybe_sent", "goal", "sent_time"),
        *("clicked_at", "type", "original", "adjusted_at"),
    )
    return {name: getattr(entry, name) for name in names} | {
        "lane": (entry.lane.account, entry.lane.event, entry.lane.kind)
    }


def entry_known(row: Row) -> dict[str, Any]:
    """What the model knows the flusher should see."""
    same = (
        *("seq", "time", "received_at", "due_at", "value", "currency", "visitor_id", "order_id", "attempt", "refusals"),
        *("retries", "maybe_sent", "goal", "sent_time", "clicked_at", "type", "original", "adjusted_at", "lane"),
    )
    hashed = {"msclkid": row.shown_click, "email_sha256": row.email, "phone_sha256": row.phone}
    return {name: getattr(row, name) for name in same} | hashed
