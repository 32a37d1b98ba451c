"""The outbox against a small model of it: whatever is done in whatever order, both say the same."""

import asyncio
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from outbox_building import DAY, GOALS, HOUR, LANES, LOST, MINUTE, NOW, REFUSED, SECOND, TAKEN, SqliteHouse, conversion
from outbox_model import Model, Row, agrees, known, shown

from sidecar.core.conversion import Conversion
from sidecar.core.entry import Again, Entry, Reason, Settled, State, Step
from sidecar.core.instant import UnixMillis, UnixSeconds, seconds
from sidecar.ports import Arrival, Claim, Moved, Outbox, Query, ReplayQuery, Unmoved

ALL = 1_000

MEMORY = Path("/dev/shm")
"""Files in memory, where there is such a folder: what an fsync is worth is tried elsewhere."""

AGES = (-120, 0, 3_600, 80 * 86_400, 90 * 86_400 - 1)
CONVERSIONS = st.builds(
    lambda number, value, age, given, lane: (number, value, age, given, lane),
    st.sampled_from(["A", "B", "C", "D", "E", None]),
    st.sampled_from(["1", "2"]),
    st.sampled_from(AGES),
    st.booleans(),
    st.sampled_from(LANES),
)
STEPS = st.sampled_from(["delivered", "dead", "skipped", "canceled", "retry", "hold"])
WAITS = st.sampled_from([0, SECOND, 30 * SECOND, MINUTE, HOUR])
ACCOUNTS = st.sampled_from(["main", "main", "other"])


class OutboxMachine(RuleBasedStateMachine):
    """Everything that may happen to an outbox, also in an order that no courier would choose."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.house = SqliteHouse(self.folder)
        self.model = Model()
        self.now: int = NOW
        self.claims: list[Claim] = []
        self.seen: list[Entry] = []
        self.steps = 0
        """Since the start or the last crash: a process that does nothing between two crashes shows nothing."""

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @property
    def outbox(self) -> Outbox:
        assert self.house.outbox is not None
        return self.house.outbox

    @property
    def at(self) -> UnixMillis:
        return UnixMillis(self.now)

    def teardown(self) -> None:
        self.run(self.house.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    # --- what happens ---

    @initialize(drawn=st.lists(CONVERSIONS, min_size=3, max_size=6))
    def open(self, drawn: list[tuple[Any, ...]]) -> None:
        self.run(self.house.open(self.at))
        self.put(drawn)

    @rule(millis_=st.sampled_from([1, SECOND, MINUTE, MINUTE, HOUR, HOUR, DAY, 12 * DAY]))
    def time_passes(self, millis_: int) -> None:
        self.now += millis_

    @precondition(lambda self: sum(map(self.model.is_free, self.model.rows)) < 5)
    @rule(drawn=st.lists(CONVERSIONS, min_size=1, max_size=4))
    def put(self, drawn: list[tuple[Any, ...]]) -> None:
        given = [self._conversion(*each) for each in drawn]
        results = self.run(self.outbox.put([Arrival(each, self.at, "request-1") for each in given]))
        expected = [self.model.put(each, self.now) for each in given]
        assert [(type(result), result.record.seq) for result in results] == expected

    def _conversion(self, number: str | None, value: str, age: int, given: bool, lane: tuple[str, str]) -> Conversion:
        time = UnixSeconds(seconds(self.at) - age)
        account, event = lane
        return conversion(number, value=value, time=time, time_given=given, account=account, event=event)

    @precondition(lambda self: any(map(self.model.is_free, self.model.rows)))
    @rule(account=ACCOUNTS, limit=st.sampled_from([1, 2, 3, ALL]))
    def claim(self, account: str, limit: int) -> None:
        lanes = [lane for lane in self.outbox.lanes if lane.account == account]
        entries = self.run(self.outbox.due(lanes, self.at, limit))
        may = self.model.due(account, self.now)
        retried = sum(self.model.rows[seq].again for seq in may)
        assert len(entries) == min(limit, len(may) - retried + min(retried, max(1, limit // 10)))
        assert {entry.seq for entry in entries} <= may
        assert all(agrees(entry, self.model.rows[entry.seq]) for entry in entries)
        self.seen = entries
        self._claim(account, entries)

    @precondition(lambda self: self.seen)
    @rule()
    def claim_what_was_read_before(self) -> None:
        self._claim(self.seen[0].lane.account, self.seen)

    def _claim(self, account: str, entries: list[Entry]) -> None:
        free = {entry.seq for entry in entries if self.model.is_free(entry.seq)}
        frozen = [
            replace(entry, goal=entry.goal or GOALS[entry.lane.event], sent_time=entry.sent_time or entry.time)
            for entry in entries
        ]
        until = UnixMillis(self.now + MINUTE)
        taken = self.run(self.outbox.claim(account, frozen, list(range(len(frozen))), self.at, until))
        assert (taken is None) == (not free)
        if taken is not None:
            self.model.take(taken, [entry for entry in frozen if entry.seq in free], until)
            self._remember(taken, resend=False)

    def _remember(self, taken: Claim, *, resend: bool) -> None:
        batch = self.model.batches[taken.batch_id]
        assert [entry.seq for entry in taken.entries] == self.model.in_batch(taken.batch_id)
        assert all(agrees(entry, self.model.rows[entry.seq]) for entry in taken.entries)
        assert (taken.resend, taken.root) == (resend, batch.root)
        self.claims.append(taken)

    @precondition(lambda self: self.model.batches)
    @rule(account=ACCOUNTS)
    def claim_open(self, account: str) -> None:
        may = self.model.open(account, self.now)
        assert self.run(self.outbox.has_open(account, self.at)) == bool(may)
        until = UnixMillis(self.now + MINUTE)
        taken = self.run(self.outbox.claim_open(account, self.at, until))
        while may and not self.model.in_batch(may[0]):
            del self.model.batches[may.pop(0)]
        assert (taken.batch_id if taken else None) == (may[0] if may else None)
        if taken is not None:
            self.model.retake(taken, until)
            self._remember(taken, resend=True)
            assert taken.root_poisoned in (0, self.model.poisoned.get(taken.root, 0))

    @property
    def held(self) -> list[Claim]:
        """Claims whose answer counts."""
        return [claim for claim in self.claims if self.model.holds(claim)]

    @property
    def passed(self) -> list[Claim]:
        """Claims of this process whose answer comes too late."""
        return [claim for claim in self.claims if not self.model.holds(claim)]

    @precondition(lambda self: self.held)
    @rule(data=st.data(), steps=st.lists(STEPS, min_size=1, max_size=6), wait=WAITS)
    def settle(self, data: Any, steps: list[str], wait: int) -> None:
        claim = data.draw(st.sampled_from(self.held))
        exceptions = {
            entry.seq: step
            for place, entry in enumerate(claim.entries)
            if (step := self._step(steps[place % len(steps)], entry, wait)) is not None
        }
        assert self.run(self.outbox.settle(claim, exceptions, TAKEN, self.at))
        self.model.settle(claim, exceptions, self.now)

    def _step(self, name: str, entry: Entry, wait: int) -> Step | None:
        due_at = UnixMillis(self.now + wait)
        return {
            "delivered": None,
            "dead": Settled(State.DEAD, REFUSED.error, REFUSED),
            "skipped": Settled(State.SKIPPED, "goal_not_enhanced"),
            "canceled": Settled(State.CANCELED, "discarded"),
            "retry": Again(due_at, Reason.RETRYING, REFUSED, not entry.maybe_sent, entry.retries + 1),
            "hold": Again(due_at, None, REFUSED, not entry.maybe_sent, entry.retries),
        }[name]

    @precondition(lambda self: self.held)
    @rule(data=st.data(), wait=WAITS, maybe_sent=st.booleans(), alone=st.booleans())
    def postpone(self, data: Any, wait: int, maybe_sent: bool, alone: bool) -> None:
        claim = data.draw(st.sampled_from(self.held))
        due_at, alone = UnixMillis(self.now + wait), alone and len(claim.entries) == 1
        assert self.run(self.outbox.postpone(claim, due_at, LOST, maybe_sent=maybe_sent, alone=alone))
        self.model.postpone(claim, due_at, maybe_sent=maybe_sent, alone=alone)

    @precondition(lambda self: any(map(self._can_be_halved, self.held)))
    @rule(data=st.data(), maybe_sent=st.booleans())
    def halve(self, data: Any, maybe_sent: bool) -> None:
        claim = data.draw(st.sampled_from([claim for claim in self.held if self._can_be_halved(claim)]))
        assert self.run(self.outbox.halve(claim, LOST, self.at, maybe_sent=maybe_sent))
        ends = (claim.entries[0].seq, claim.entries[-1].seq)
        numbers = [self.run(self.outbox.get(seq)).batch_id for seq in ends]
        self.model.halve(claim, numbers, self.now, maybe_sent=maybe_sent)

    def _can_be_halved(self, claim: Claim) -> bool:
        rows = [entry.seq for entry in claim.entries]
        return len(rows) > 1 and self.model.in_batch(claim.batch_id) == rows

    @precondition(lambda self: self.passed)
    @rule(data=st.data())
    def late_answer(self, data: Any) -> None:
        claim = data.draw(st.sampled_from(self.passed[-6:]))
        assert not self.run(self.outbox.settle(claim, {}, TAKEN, self.at))
        assert not self.run(self.outbox.postpone(claim, self.at, LOST, maybe_sent=True, alone=True))
        assert not self.run(self.outbox.halve(claim, LOST, self.at))

    @precondition(lambda self: self.model.rows)
    @rule(data=st.data())
    def replay(self, data: Any) -> None:
        seq = data.draw(st.sampled_from(self._ended_first()))
        result = self.run(self.outbox.replay(seq, self.at))
        assert type(result) is (Moved if self.model.replay(seq, self.now) else Unmoved)

    @precondition(lambda self: self.steps > 4)
    @rule(
        query=st.builds(
            ReplayQuery,
            st.sampled_from([State.DEAD, State.SKIPPED]),
            st.sampled_from([None, None, "goal_not_enhanced", Reason.TOO_OLD.value]),
            st.sampled_from([None, "lead"]),
            st.sampled_from([None, NOW]),
        ),
        limit=st.sampled_from([1, 2, ALL]),
    )
    def replay_by_filter(self, query: ReplayQuery, limit: int) -> None:
        fitting = [seq for seq, row in self.model.rows.items() if self._fits(row, query)]
        previewed = self._replayed(query, limit, dry_run=True)
        assert self._replayed(query, limit, dry_run=False) == previewed
        moved = sum(self.model.replay(seq, self.now) for seq in fitting)
        assert previewed == (moved, len(fitting) - moved)

    def _replayed(self, query: ReplayQuery, limit: int, *, dry_run: bool) -> tuple[int, int]:
        matched, too_old, after = 0, 0, 0
        while after is not None:
            done = self.run(self.outbox.replay_slice(query, after, limit, self.at, dry_run=dry_run))
            assert sum(done.accounts.values()) == done.matched
            matched, too_old, after = matched + done.matched, too_old + done.too_old, done.next_seq
        return matched, too_old

    def _fits(self, row: Row, query: ReplayQuery) -> bool:
        return (
            row.state is query.state
            and query.reason in (None, row.reason)
            and query.event in (None, row.given.event)
            and (query.since is None or row.received_at >= query.since)
        )

    def _ended_first(self) -> list[int]:
        """Every row; those that can be replayed come first, since a draw prefers them."""
        return sorted(self.model.rows, key=lambda seq: self.model.rows[seq].state in (State.PENDING, State.DELIVERED))

    @precondition(lambda self: self.steps > 4 and self.model.rows)
    @rule(data=st.data())
    def discard(self, data: Any) -> None:
        seq = data.draw(st.sampled_from(sorted(self.model.rows)))
        result = self.run(self.outbox.discard(seq, self.at))
        assert type(result) is (Moved if self.model.discard(seq, self.now) else Unmoved)

    @precondition(lambda self: self.steps > 4)
    @rule(age=st.sampled_from([0, DAY, 90 * DAY]))
    def keep_house(self, age: int) -> None:
        ended = self.run(self.outbox.expire(self.at, ALL))
        assert sorted(record.seq for record in ended) == sorted(self.model.expire(self.now, ALL))
        before = UnixMillis(self.now - age)
        self.run(self.outbox.prune(before, 0, ALL))
        self.model.prune(before)

    @precondition(lambda self: self.steps > 12)
    @rule()
    def crash(self) -> None:
        self.steps = 0
        self.run(self.house.crash())
        self.run(self.house.open(self.at))
        self.model.crash(self.now)
        self.claims, self.seen = [], []

    # --- what must hold then ---

    @invariant()
    def both_show_the_same_rows(self) -> None:
        self.steps += 1
        records = self.run(self.outbox.find(Query(limit=ALL))).records
        assert [record.seq for record in records] == sorted(self.model.rows, reverse=True)
        for record in records:
            row = self.model.rows[record.seq]
            assert shown(record) == known(row, self.model.batches.get(row.batch or 0))

    @invariant()
    def accounts_balance(self) -> None:
        """accepted = delivered + pending + dead + skipped + canceled."""
        counts = self.outbox.counts
        assert counts == self.model.counts()
        kept = counts.delivered + counts.pending + counts.dead + counts.skipped + counts.canceled
        assert kept + self.model.pruned == self.model.last

    @invariant()
    def both_know_what_waits(self) -> None:
        assert self.run(self.outbox.backlog()) == self.model.backlog()


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
