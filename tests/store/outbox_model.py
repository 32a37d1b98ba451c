"""A small model of the outbox: what it should say, kept in dictionaries."""

from dataclasses import dataclass

from outbox_building import LOST

from sidecar.core.conversion import Conversion
from sidecar.core.entry import Again, Entry, Reason, Settled, State, Step
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, UnixSeconds, millis
from sidecar.core.record import Record
from sidecar.ports import Backlog, Claim, Conflict, Counts, Replayed, Stored


@dataclass
class Row:
    """What the model knows of a row."""

    given: Conversion
    received_at: int
    first_received_at: int
    due_at: int
    reason: str | None
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
    settled_at: int | None = None
    error: str | None = None

    def end(self, state: State, reason: str | None, at: int) -> None:
        self.state, self.reason, self.settled_at, self.claimed = state, reason, at, False


@dataclass
class Batch:
    """What the model knows of an open batch."""

    account: str
    claim: Claim | None
    """Who took it last; None when nobody has since it was made or its process died."""
    due_at: int
    leased: bool
    root: int
    created_at: int


class Model:
    """An outbox in memory: rows by number, open batches by number."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.batches: dict[int, Batch] = {}
        self.pruned = 0
        self.poisoned: dict[int, int] = {}
        self.last = 0

    def put(self, given: Conversion, at: int) -> tuple[type, int]:
        """What becomes of a conversion, and the number of its row."""
        digest = given.key().digest
        known = [seq for seq, row in self.rows.items() if digest is not None and row.given.key().digest == digest]
        if not known:
            self.last += 1
            self._write(self.last, given, at, at, 0)
            return Stored, self.last
        row = self.rows[known[0]]
        times_agree = not given.time_given or not row.given.time_given or given.time == row.given.time
        if times_agree and given.content() == row.given.content():
            return Replayed, known[0]
        if row.state in (State.DEAD, State.SKIPPED):
            self._write(known[0], given, at, row.first_received_at, row.attempt)
            return Stored, known[0]
        return Conflict, known[0]

    def _write(self, seq: int, given: Conversion, at: int, first: int, attempt: int) -> None:
        due_at = max(at, millis(given.time))
        reason = Reason.NOT_YET.value if due_at > at else None
        self.rows[seq] = Row(given, at, first, due_at, reason, attempt=attempt)

    def is_free(self, seq: int) -> bool:
        row = self.rows.get(seq)
        return row is not None and row.state is State.PENDING and not row.claimed

    def due(self, account: str, now: int) -> set[int]:
        return {
            seq
            for seq, row in self.rows.items()
            if self.is_free(seq) and row.due_at <= now and row.given.account == account
        }

    def take(self, claim: Claim, entries: list[Entry], until: int) -> None:
        self.batches[claim.batch_id] = Batch(claim.account, claim, until, True, claim.batch_id, claim.created_at)
        for entry in entries:
            row = self.rows[entry.seq]
            row.claimed, row.batch, row.reason = True, claim.batch_id, None
            row.goal, row.sent_time = entry.goal, entry.sent_time
            row.attempt += 1

    def in_batch(self, number: int) -> list[int]:
        return sorted(seq for seq, row in self.rows.items() if row.claimed and row.batch == number)

    def open(self, account: str, now: int) -> list[int]:
        """The batches that may be claimed again, with rows or without, the one due longest first."""
        may = [n for n, batch in self.batches.items() if batch.account == account and batch.due_at <= now]
        return sorted(may, key=lambda number: (self.batches[number].due_at, number))

    def retake(self, claim: Claim, until: int) -> None:
        batch = self.batches[claim.batch_id]
        for seq in self.in_batch(claim.batch_id):
            self.rows[seq].attempt += 1
            self.rows[seq].maybe_sent |= batch.leased
        batch.claim, batch.due_at, batch.leased = claim, until, True

    def holds(self, claim: Claim) -> bool:
        batch = self.batches.get(claim.batch_id)
        return batch is not None and batch.claim is claim

    def settle(self, claim: Claim, steps: dict[int, Step], now: int) -> None:
        for seq in self.in_batch(claim.batch_id):
            match steps.get(seq):
                case None:
                    self.rows[seq].end(State.DELIVERED, None, now)
                    self.rows[seq].error = None
                case Settled(state=state, reason=reason, fault=fault):
                    self.rows[seq].end(state, reason, now)
                    self.rows[seq].error = fault.error if fault else None
                case Again() as step:
                    self._return(self.rows[seq], step)
        del self.batches[claim.batch_id]

    def _return(self, row: Row, step: Again) -> None:
        row.claimed, row.due_at, row.reason = False, step.due_at, step.reason
        row.retries, row.refusals, row.again = step.retries, step.refusals, step.retries > 0
        row.error = step.fault.error if step.fault else None
        if step.released:
            row.goal = row.sent_time = None

    def postpone(self, claim: Claim, due_at: int, *, maybe_sent: bool, alone: bool) -> None:
        batch = self.batches[claim.batch_id]
        batch.due_at, batch.leased = due_at, False
        for seq in self.in_batch(claim.batch_id):
            row = self.rows[seq]
            row.error, row.refusals, row.maybe_sent = LOST.error, row.refusals + alone, row.maybe_sent or maybe_sent
        if alone and claim.entries[0].refusals == 0:
            self.poisoned[batch.root] = self.poisoned.get(batch.root, 0) + 1

    def expire(self, now: int, limit: int) -> list[int]:
        oldest = now // 1_000 - MAX_AGE_SECONDS
        found = [
            seq
            for seq, row in self.rows.items()
            if row.state is State.PENDING and row.given.time < oldest and not self._on_its_way(row, now)
        ]
        ended = sorted(found, key=lambda seq: self.rows[seq].given.time)[:limit]
        for seq in ended:
            self.rows[seq].end(State.DEAD, Reason.TOO_OLD, now)
        return ended

    def _on_its_way(self, row: Row, now: int) -> bool:
        return row.claimed and self.batches[row.batch or 0].leased and self.batches[row.batch or 0].due_at > now

    def replay(self, seq: int, now: int) -> bool:
        """Whether it is due again."""
        row = self.rows[seq]
        if row.state not in (State.DEAD, State.SKIPPED) or row.given.time < now // 1_000 - MAX_AGE_SECONDS:
            return False
        row.state, row.settled_at, row.error = State.PENDING, None, None
        row.due_at = max(now, millis(row.given.time))
        row.reason = Reason.NOT_YET.value if row.due_at > now else None
        row.retries, row.refusals, row.again = 0, 0, False
        if not row.maybe_sent:
            row.goal = row.sent_time = None
        return True

    def discard(self, seq: int, now: int) -> bool:
        """Whether it is canceled now."""
        row = self.rows[seq]
        waits = row.state is State.PENDING and not (row.claimed and self.batches[row.batch or 0].leased)
        if row.maybe_sent or not (waits or row.state is State.DEAD):
            return False
        row.end(State.CANCELED, Reason.DISCARDED, now)
        return True

    def prune(self, before: int) -> None:
        if min((row.first_received_at for row in self.rows.values()), default=before) >= before:
            return
        for seq, row in list(self.rows.items()):
            if row.settled_at is not None and row.settled_at < before and row.given.time < before // 1_000:
                del self.rows[seq]
                self.pruned += 1

    def halve(self, claim: Claim, numbers: list[int], now: int, *, maybe_sent: bool) -> None:
        """Two batches with these numbers in place of the one."""
        whole, middle = self.batches.pop(claim.batch_id), len(claim.entries) // 2
        for number, half in zip(numbers, (claim.entries[:middle], claim.entries[middle:]), strict=True):
            self.batches[number] = Batch(whole.account, None, now, False, whole.root, now)
            for entry in half:
                self.rows[entry.seq].batch = number
                self.rows[entry.seq].maybe_sent |= maybe_sent

    def crash(self, now: int) -> None:
        for number, batch in self.batches.items():
            if batch.leased:
                for seq in self.in_batch(number):
                    self.rows[seq].maybe_sent = True
                batch.due_at, batch.leased = now, False
            batch.claim = None

    def backlog(self) -> Backlog:
        moments = [row.due_at for seq, row in self.rows.items() if self.is_free(seq)]
        moments += [batch.created_at for batch in self.batches.values()]
        times = [row.given.time for row in self.rows.values() if row.state is State.PENDING]
        expiry = millis(UnixSeconds(min(times) + MAX_AGE_SECONDS)) if times else None
        return Backlog(UnixMillis(min(moments)) if moments else None, expiry)

    def counts(self) -> Counts:
        states = [row.state.value for row in self.rows.values()]
        return Counts(**{state.value: states.count(state.value) for state in State})


def shown(record: Record) -> tuple[object, ...]:
    """What the store shows of a row."""
    where = (record.state, record.reason, record.claimed, record.batch_id, record.due_at, record.settled_at)
    return (
        *where,
        record.leased,
        record.attempt,
        record.goal,
        record.order_id,
        record.value,
        record.received_at,
        record.error,
    )


def known(row: Row, batch: Batch | None) -> tuple[object, ...]:
    """What the model knows of it."""
    due_at = batch.due_at if row.claimed and batch else row.due_at
    where = (row.state, row.reason, row.claimed, row.batch, due_at, row.settled_at)
    given = row.given
    leased = row.claimed and batch is not None and batch.leased
    return (*where, leased, row.attempt, row.goal, given.order_id, str(given.value), row.received_at, row.error)


def agrees(entry: Entry, row: Row) -> bool:
    """Whether what the flusher sees of a row is what the model knows."""
    shown = (entry.attempt, entry.retries, entry.refusals, entry.maybe_sent, entry.goal, entry.sent_time, entry.time)
    return shown == (row.attempt, row.retries, row.refusals, row.maybe_sent, row.goal, row.sent_time, row.given.time)
