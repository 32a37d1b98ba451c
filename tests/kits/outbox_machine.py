"""Everything that may happen to a store, in an order that no courier would choose, and what must hold after each step.

It goes through `sidecar.ports` alone, so any store that has a house in `store_kit` can be put beside the model.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from adjustment_model import AdjustingModel, summary_of
from conversion_kit import GOALS, LANES, conversion
from erasure_model import ErasingModel, counted
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from instant_kit import DAY, HOUR, MINUTE, NOW, SECOND
from msgspec import structs
from outbox_kit import LOST, REFUSED, TAKEN
from outbox_model import Model, entry_known, entry_shown, known, shown
from store_kit import House

from sidecar.core.adjustment import Adjustment, ById, ByOrder, Foreign, Target
from sidecar.core.attribution import Deferral, SendConversion, Skip, WaitForClick, with_choice
from sidecar.core.conversion import AdjustmentType, Click, Conversion, Kind
from sidecar.core.entry import Entry, Requeue, Settled, Step
from sidecar.core.erasure import ErasureRequest, Phase, Subject
from sidecar.core.instant import UnixMillis, UnixSeconds, seconds
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.delivery import Claim, Note
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.intake import Adjusting, Arrival, Captured
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Query
from sidecar.ports.upkeep import Moved, ReplayQuery, Unmoved
from sidecar.telemetry import Telemetry
from sidecar.upkeep.erasure import Eraser
from sidecar.upkeep.retraction import Retractor

ALL = 1_000

MEMORY = Path("/dev/shm")
"""Files in memory, where there is such a folder: what an fsync is worth is tried elsewhere."""

CLICKS = ("0badcafe" * 4, "1badcafe" * 4, "2badcafe" * 4)
EMAILS = ("e1" * 32, "e2" * 32)
PHONE = "f1" * 32
PEOPLE: tuple[dict[str, Any], ...] = (
    {"msclkid": CLICKS[0]},
    {"msclkid": None, "visitor_id": "v1"},
    {"msclkid": None, "visitor_id": "v1", "email_sha256": EMAILS[0]},
    {"msclkid": None, "visitor_id": "v2", "email_sha256": EMAILS[0], "phone_sha256": PHONE},
    {"msclkid": None, "email_sha256": EMAILS[1], "meta": '{"note": 1}'},
    {"msclkid": CLICKS[1], "visitor_id": "v2"},
)
AGES = (-120, 0, 0, 600, 3_600, 80 * 86_400, 90 * 86_400 - 1)
CONVERSIONS = st.tuples(
    st.sampled_from(["A", "A", "B", "C", "D", "E", None]),
    st.sampled_from([None, "A", "K"]),
    st.sampled_from(["1", "2"]),
    st.sampled_from(AGES),
    st.booleans(),
    st.sampled_from(LANES),
    st.sampled_from(PEOPLE),
)
CAPTURES = st.tuples(
    st.sampled_from(["main", "main", "other"]),
    st.sampled_from(["v1", "v2"]),
    st.sampled_from(CLICKS),
    st.sampled_from([-30, 0, 300, 900, 7_200, 30 * 86_400, 81 * 86_400]),
)
ADJUSTMENTS = st.tuples(
    st.sampled_from([None, "3", "4"]),
    st.sampled_from([None, None, None, "K1", "K2"]),
    st.sampled_from([None, None, None, 0, 60, 2 * 3_600]),
    st.sampled_from([None, None, "EUR"]),
)
STEPS = ("delivered", "delivered", "delivered", "dead", "skipped", "retry", "hold", "unheard")
ANSWERS = st.lists(st.sampled_from(STEPS), min_size=1, max_size=4)
WAITS = st.sampled_from([0, SECOND, 30 * SECOND, MINUTE, HOUR])
ACCOUNTS = st.sampled_from(["main", "main", "main", "other"])
KINDS = st.sampled_from([Kind.CONVERSION, Kind.CONVERSION, Kind.ADJUSTMENT])
MAPPINGS = st.sampled_from(
    [GOALS, {**GOALS, "purchase": GOALS["lead"]}, {**GOALS, "lead": "Newsletter"}, {"purchase": GOALS["purchase"]}, {}]
)
HELD = st.sampled_from([(), (), (), (GOALS["purchase"],), (GOALS["lead"],)])
CHOICES = st.sampled_from(["send", "send", "send", "bare", "await", "settle", "second", "no_click", "outside"])
CALM = 4
"""For this many steps after a start nothing is ended or forgotten: what has just come in would not get anywhere."""


class OutboxMachine(RuleBasedStateMachine):
    """A store and its model, side by side."""

    def __init__(self, build: Callable[[Path], House], ran: Callable[[str], None] = lambda what: None) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.house = build(self.folder)
        self.ran = ran
        self.model = Model()
        self.adjusting = AdjustingModel(self.model)
        self.erasing = ErasingModel(self.model, self.adjusting)
        self.model.settled, self.model.replayed = self.adjusting.settled, self.adjusting.replayed
        self.now: int = NOW
        self.null = os.open(os.devnull, os.O_WRONLY)
        self.telemetry = Telemetry(lambda: self.at, fd=self.null)
        self.claims: list[Claim] = []
        self.due_before: list[Entry] = []
        self.identities: dict[tuple[str, str | None, str | None], int] = {}
        self.sent: dict[int, tuple[Any, ...]] = {}
        self.gathered = 0
        """Before this moment rows are counted by the day."""
        self.erased: set[int] = set()
        """What each row was last sent with."""
        self.steps = 0
        """Since the start or the last crash: a process that does nothing between two crashes shows nothing."""

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @property
    def at(self) -> UnixMillis:
        return UnixMillis(self.now)

    def teardown(self) -> None:
        self.run(self.house.remove())
        self.runner.close()
        self.telemetry.close()
        os.close(self.null)
        shutil.rmtree(self.folder)

    # --- The process and its clock -----------------------------------------------------------------------------------

    @initialize(drawn=st.lists(CONVERSIONS, min_size=3, max_size=6))
    def open(self, drawn: list[tuple[Any, ...]]) -> None:
        self.outbox: Outbox = self.run(self.house.open(self.at))
        self.put(drawn)

    @rule(millis_=st.sampled_from([1, SECOND, MINUTE, MINUTE, HOUR, HOUR, 6 * HOUR, DAY, 12 * DAY]))
    def time_passes(self, millis_: int) -> None:
        self.now += millis_

    @precondition(lambda self: self.steps > 5 * CALM)
    @rule()
    def a_quarter_passes(self) -> None:
        self.now += 91 * DAY

    @precondition(lambda self: self.steps > CALM)
    @rule(millis_=st.sampled_from([1, SECOND, HOUR, DAY]), is_noticed=st.booleans())
    def clock_is_set_back(self, millis_: int, is_noticed: bool) -> None:
        self.now -= millis_
        if is_noticed:
            for _ in range(len(self.model.rows) + 1):
                if self.run(self.outbox.clock_stepped_back(self.at, 2)):
                    break
            else:
                raise AssertionError("it goes on for ever")
            self.model.clock_stepped_back(self.now)

    @precondition(lambda self: self.steps > 3 * CALM)
    @rule(in_order=st.booleans())
    def process_ends(self, in_order: bool) -> None:
        self.run(self.house.close() if in_order else self.house.crash())
        self._start()

    def _start(self) -> None:
        self.steps = 0
        self.outbox = self.run(self.house.open(self.at))
        self.model.crash(self.now)
        self.claims, self.due_before = [], []

    # --- Intake ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: sum(row.is_free for row in self.model.rows.values()) < 6)
    @rule(drawn=st.lists(CONVERSIONS, min_size=1, max_size=4))
    def put(self, drawn: list[tuple[Any, ...]]) -> None:
        given = [self._conversion(*each) for each in drawn]
        results = self.run(self.outbox.put([Arrival(each, self.at, "request-1") for each in given]))
        for result, each in zip(results, given, strict=True):
            assert (type(result), result.record.seq) == self.model.put(each, self.now)
            assert shown(result.record) == self._known(result.record.seq)

    def _conversion(
        self,
        number: str | None,
        key: str | None,
        value: str,
        age: int,
        is_given: bool,
        lane: tuple[str, str],
        person: Mapping[str, Any],
    ) -> Conversion:
        time = UnixSeconds(seconds(self.at) - age)
        account, event = lane
        key = key if number is None else None
        given = {"time": time, "time_given": is_given, "account": account, "event": event, "idempotency_key": key}
        return conversion(number, value=value, **given, **person)

    @rule(drawn=st.lists(CAPTURES, min_size=1, max_size=3))
    def capture(self, drawn: list[tuple[Any, ...]]) -> None:
        captures = [
            Captured(Click(account=account, visitor_id=visitor, msclkid=msclkid, clicked_at=self._before(age)), self.at)
            for account, visitor, msclkid, age in drawn
        ]
        assert dict(self.run(self.house.clicks.capture(captures))) == self.model.capture(captures)

    def _before(self, age: int) -> UnixSeconds:
        return UnixSeconds(seconds(self.at) - age)

    # --- Adjustments -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.model.rows)
    @rule(data=st.data(), drawn=st.lists(ADJUSTMENTS, min_size=1, max_size=2))
    def adjust(self, data: Any, drawn: list[tuple[Any, ...]]) -> None:
        wanted = [self._adjustment(self._target(data), *each) for each in drawn]
        results = self.run(self.outbox.adjust([Adjusting(each, self.at, "request-2") for each in wanted]))
        assert [summary_of(result) for result in results] == [self.adjusting.adjust(each, self.now) for each in wanted]

    def _target(self, data: Any) -> Target:
        known = self._often({State.DELIVERED})
        event = data.draw(st.sampled_from([None, None, "purchase"]))
        way = data.draw(st.sampled_from(["id", "id", "order", "elsewhere"]))
        if way == "elsewhere":
            return self._foreign(data)
        if way == "order" or not known:
            return ByOrder(data.draw(st.sampled_from(["A", "B", "Z"])), event)
        return ById(data.draw(st.sampled_from(known)), event)

    def _often(self, states: Collection[State]) -> list[int]:
        """Every conversion, those of these states several times: a draw then comes upon them more often."""
        rows = sorted((row for row in self.model.rows.values() if row.kind is Kind.CONVERSION), key=lambda row: row.seq)
        return [row.seq for row in rows] + 3 * [row.seq for row in rows if row.state in states]

    def _foreign(self, data: Any) -> Foreign:
        who: tuple[str | None, str | None] = data.draw(st.sampled_from([(CLICKS[2], None), (None, EMAILS[0])]))
        return Foreign(
            account="main",
            event="purchase",
            time=UnixSeconds(seconds(NOW) - 86_400),
            msclkid=who[0],
            email_sha256=who[1],
            phone_sha256=None,
            currency="USD",
        )

    def _adjustment(
        self, target: Target, value: str | None, key: str | None, age: int | None, currency: str | None
    ) -> Adjustment:
        return Adjustment(
            type=AdjustmentType.RETRACT if value is None else AdjustmentType.RESTATE,
            target=target,
            value=None if value is None else Decimal(value),
            currency=None if value is None else currency,
            time=self._before(age or 0),
            time_given=age is not None,
            idempotency_key=key,
        )

    # --- Delivery ----------------------------------------------------------------------------------------------------

    @precondition(lambda self: any(row.is_free for row in self.model.rows.values()))
    @rule(
        account=ACCOUNTS,
        kind=KINDS,
        limit=st.sampled_from([1, 2, 3, ALL, ALL]),
        choices=st.lists(CHOICES, min_size=1, max_size=4),
    )
    def claim(self, account: str, kind: Kind, limit: int, choices: list[str]) -> None:
        entries = self._due(account, kind, limit)
        chosen = self._attributed(entries, choices)
        self.due_before = chosen
        self._claim(account, chosen)

    def _due(self, account: str, kind: Kind, limit: int) -> list[Entry]:
        """What is due, once what is too old was ended."""
        if any(row.time < seconds(self.at) - 90 * 86_400 for row in self.model.due(account, kind, self.now)):
            self._expire()
        lanes = [lane for lane in self.run(self.outbox.lanes()) if lane.account == account and lane.kind is kind]
        entries: list[Entry] = self.run(self.outbox.due(lanes, self.at, limit))
        may = self.model.due(account, kind, self.now)
        retried = sum(row.again for row in may)
        assert len(entries) == min(limit, len(may) - retried + min(retried, max(1, limit // 10)))
        assert [entry_shown(entry) for entry in entries] == [
            entry_known(self.model.rows[entry.seq]) for entry in entries
        ]
        for lane in lanes:
            for again in (False, True):
                rows = [row.seq for row in may if row.lane == (lane.account, lane.event, kind) and row.again is again]
                first = [entry.seq for entry in entries if entry.seq in rows]
                assert first == rows[: len(first)]
        return entries

    def _attributed(self, entries: Sequence[Entry], choices: Sequence[str]) -> list[Entry]:
        """Those that go out, with their clicks; the others are set aside."""
        open_ = [entry for entry in entries if entry.goal is None and entry.original is None]
        seen = self.run(self.house.clicks.seen(open_))
        found = {seq: (click.msclkid, click.clicked_at) for seq, click in seen.items()}
        assert found == {entry.seq: click for entry in open_ if (click := self.model.seen(self.model.rows[entry.seq]))}
        kept, deferrals = [], []
        for place, entry in enumerate(entries):
            choice = choices[place % len(choices)]
            if entry not in open_ or entry.visitor_id is None:
                kept.append(entry)
            elif choice in ("send", "bare"):
                click = seen.get(entry.seq) if choice == "send" else None
                kept.append(
                    with_choice(entry, SendConversion(click, without_msclkid=choice == "bare"), seen.get(entry.seq))
                )
            else:
                deferrals.append(self._aside(entry, choice, seen.get(entry.seq)))
        self._set_aside(deferrals)
        return kept

    def _aside(self, entry: Entry, choice: str, click: Click | None) -> Deferral:
        due_at = UnixMillis(self.now + HOUR)
        chosen = {
            "await": WaitForClick(Reason.AWAITING_CLICK, due_at),
            "settle": WaitForClick(Reason.CLICK_SETTLING, due_at),
            "second": WaitForClick(Reason.NOT_YET, UnixMillis(self.now + SECOND)),
            "no_click": Skip(Reason.NO_CLICK),
            "outside": Skip(Reason.OUTSIDE_WINDOW),
        }[choice]
        return Deferral(entry.seq, chosen, click.clicked_at if click else None)

    def _set_aside(self, deferrals: Sequence[Deferral]) -> None:
        if deferrals:
            moved = self.run(self.outbox.defer(deferrals, self.at))
            assert dict(moved) == self.model.defer(deferrals, self.now)

    @precondition(lambda self: any(row.is_free for row in self.model.rows.values()))
    @rule(
        later=st.sampled_from([0, 0, SECOND, 6 * HOUR]),
        account=ACCOUNTS,
        kind=KINDS,
        choices=st.lists(CHOICES, min_size=1, max_size=4),
        steps=ANSWERS,
        wait=WAITS,
    )
    def deliver(self, later: int, account: str, kind: Kind, choices: list[str], steps: list[str], wait: int) -> None:
        """A whole round, as most are: what is due goes out and is answered."""
        self.now += later
        self._claim(account, self._attributed(self._due(account, kind, ALL), choices))
        if self.claims and self.model.holds(self.claims[-1]):
            self._settle(self.claims[-1], steps, wait)

    @precondition(lambda self: self.due_before)
    @rule(is_sent=st.booleans())
    def go_by_what_was_read_before(self, is_sent: bool) -> None:
        """A click, a claim, an operator came between reading what is due and going by it."""
        entries = [entry for entry in self.due_before if self._is_as_read(entry)]
        if entries and is_sent:
            self._claim(entries[0].lane.account, entries)
        elif entries:
            open_ = [entry for entry in entries if entry.goal is None and entry.visitor_id is not None]
            self._set_aside([Deferral(entry.seq, Skip(Reason.NO_CLICK), entry.evaluated) for entry in open_])

    def _is_as_read(self, entry: Entry) -> bool:
        """Only the courier itself claims, and only rows that died are replaced: neither comes between."""
        row = self.model.rows.get(entry.seq)
        return (
            row is not None and row.received_at == entry.received_at and (row.attempt == entry.attempt or row.claimed)
        )

    def _claim(self, account: str, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        goal = entries[0].goal or GOALS[entries[0].lane.event]
        frozen = [
            structs.replace(entry, goal=goal, sent_time=entry.sent_time or entry.time)
            for entry in entries
            if goal == (entry.goal or GOALS[entry.lane.event])
        ]
        identities = [None if entry.original is not None else self._identity(entry) for entry in frozen]
        taken_in = [pair for pair in zip(frozen, identities, strict=True) if self.model.takes(pair[0])]
        until = UnixMillis(self.now + MINUTE)
        taken = self.run(self.outbox.claim(account, frozen, identities, self.at, until))
        assert (taken is None) == (not taken_in)
        if taken is not None:
            self.model.take(taken, taken_in, until)
            self._remember(taken, resend=False)

    def _identity(self, entry: Entry) -> int:
        name = (entry.lane.account, entry.goal, entry.msclkid or entry.email_sha256 or entry.phone_sha256)
        return self.identities.setdefault(name, 1_000 + len(self.identities))

    def _remember(self, taken: Claim, *, resend: bool) -> None:
        batch = self.model.batches[taken.batch_id]
        rows = [self.model.rows[seq] for seq in self.model.in_batch(taken.batch_id)]
        assert [entry_shown(entry) for entry in taken.entries] == [entry_known(row) for row in rows]
        assert (taken.account, taken.resend, taken.root) == (batch.account, resend, batch.root)
        assert taken.created_at == batch.created_at
        self.claims.append(taken)
        for entry in taken.entries:
            what = (entry.goal, entry.sent_time, entry.msclkid, entry.email_sha256, entry.phone_sha256)
            what = (*what, entry.value, entry.currency, entry.type, entry.adjusted_at)
            assert not entry.maybe_sent or self.sent[entry.seq] == what, "what may be at Microsoft goes as it went"
            self.sent[entry.seq] = what

    @precondition(lambda self: self.model.batches)
    @rule(account=ACCOUNTS, held=HELD)
    def claim_resend(self, account: str, held: Sequence[str]) -> None:
        self._expire()
        assert self.run(self.outbox.has_resend(account, self.at, held)) == bool(
            self.model.open(account, self.now, held)
        )
        until = UnixMillis(self.now + MINUTE)
        taken = self.run(self.outbox.claim_resend(account, self.at, until, held))
        number = self._next_open(account, held)
        assert (taken.batch_id if taken else None) == number
        if taken is not None:
            self.model.retake(taken, until, self.now)
            self._remember(taken, resend=True)
            assert taken.root_poisoned in (0, self.model.poisoned.get(taken.root, 0))
            assert taken.root_rows in (self.model.sizes[taken.root], len(taken.entries))

    @precondition(lambda self: self.model.batches)
    @rule(account=ACCOUNTS, goals=MAPPINGS)
    def mapping_changes(self, account: str, goals: Mapping[str, str]) -> None:
        """What was refused each time leaves its batch where its event is for another goal now."""
        open_ = self.run(self.outbox.open_batches(account, goals))
        astray = len(self.model.astray(account, goals))
        assert (set(open_.goals), open_.has_astray) == (self.model.open_goals(account), bool(astray))
        assert self.run(self.outbox.release_astray(account, goals, self.at)) == astray
        assert self.model.release_astray(account, goals, self.now) == astray
        assert not self.run(self.outbox.open_batches(account, goals)).has_astray

    @rule(account=ACCOUNTS, kind=KINDS, held=HELD)
    def look_beside_held_goals(self, account: str, kind: Kind, held: Sequence[str]) -> None:
        lanes = [lane for lane in self.run(self.outbox.lanes()) if lane.account == account and lane.kind is kind]
        found = self.run(self.outbox.due(lanes, self.at, ALL, held))
        may = [row.seq for row in self.model.due(account, kind, self.now) if row.goal not in held]
        assert sorted(entry.seq for entry in found) == sorted(may)

    def _next_open(self, account: str, held: Sequence[str]) -> int | None:
        """The batch that goes again: the first that has rows left once what waited for them was carried out."""
        while may := self.model.open(account, self.now, held):
            self.adjusting.before_resend(may[0], self.now)
            if self.model.in_batch(may[0]):
                return may[0]
            del self.model.batches[may[0]]
        return None

    # --- Answers -----------------------------------------------------------------------------------------------------

    @property
    def held(self) -> list[Claim]:
        """Claims whose answer counts."""
        return [claim for claim in self.claims if self.model.holds(claim)]

    @property
    def passed(self) -> list[Claim]:
        """Claims of this process whose answer comes too late."""
        return [claim for claim in self.claims if not self.model.holds(claim)]

    @precondition(lambda self: self.held)
    @rule(data=st.data(), steps=ANSWERS, wait=WAITS)
    def settle(self, data: Any, steps: list[str], wait: int) -> None:
        self._settle(data.draw(st.sampled_from(self.held)), steps, wait)

    def _settle(self, claim: Claim, steps: Sequence[str], wait: int) -> None:
        exceptions = {
            entry.seq: step
            for place, entry in enumerate(claim.entries)
            if (step := self._step(steps[place % len(steps)], entry, wait)) is not None
        }
        assert self.run(self.outbox.settle(claim, exceptions, TAKEN, self.at))
        self.model.settle(claim, exceptions, self.now)

    def _step(self, name: str, entry: Entry, wait: int) -> Step | None:
        due_at = UnixMillis(self.now + wait)
        if name == "skipped" and entry.original is not None:
            name = "dead"
        return {
            "delivered": None,
            "dead": Settled(State.DEAD, REFUSED.error, REFUSED),
            "skipped": Settled(State.SKIPPED, "goal_not_enhanced"),
            "retry": Requeue(due_at, Reason.RETRYING, REFUSED, not entry.keeps_frozen, entry.retries + 1),
            "hold": Requeue(due_at, None, REFUSED, not entry.keeps_frozen, entry.retries),
            "unheard": Requeue(self.at, None, None, not entry.keeps_frozen, entry.retries, entry.refusals),
        }[name]

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(),
        wait=WAITS,
        note=st.sampled_from([LOST, Note("refused: throttled", None, "CallRateExceeded")]),
        maybe_sent=st.booleans(),
        isolated=st.booleans(),
    )
    def postpone(self, data: Any, wait: int, note: Note, maybe_sent: bool, isolated: bool) -> None:
        claim = data.draw(st.sampled_from(self.held))
        due_at, isolated = UnixMillis(self.now + wait), isolated and len(claim.entries) == 1
        assert self.run(self.outbox.postpone(claim, due_at, note, maybe_sent=maybe_sent, isolated=isolated))
        self.model.postpone(claim, due_at, note.answer, note.error, maybe_sent=maybe_sent, isolated=isolated)

    @precondition(lambda self: any(map(self._can_be_halved, self.held)))
    @rule(data=st.data(), maybe_sent=st.booleans())
    def halve(self, data: Any, maybe_sent: bool) -> None:
        claims = [claim for claim in self.held if self._can_be_halved(claim)]
        self._halve(data.draw(st.sampled_from(claims)), maybe_sent)

    @precondition(lambda self: sum(row.is_free for row in self.model.rows.values()) > 1)
    @rule(account=ACCOUNTS, kind=KINDS, maybe_sent=st.booleans())
    def refuse_as_a_whole(self, account: str, kind: Kind, maybe_sent: bool) -> None:
        """A round whose batch is halved, to find the row that spoils it."""
        self._claim(account, self._attributed(self._due(account, kind, ALL), ["send"]))
        if self.held and self._can_be_halved(self.held[-1]):
            self._halve(self.held[-1], maybe_sent)

    def _halve(self, claim: Claim, maybe_sent: bool) -> None:
        self.ran("halve")
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
        assert not self.run(self.outbox.postpone(claim, self.at, LOST, maybe_sent=True, isolated=True))
        assert not self.run(self.outbox.halve(claim, LOST, self.at, maybe_sent=True))

    @rule(account=ACCOUNTS, wait=WAITS)
    def is_throttled(self, account: str, wait: int) -> None:
        until = UnixMillis(self.now + wait)
        self.run(self.outbox.record_throttle(account, until))
        self.model.waits[account] = until

    # --- What operators do -------------------------------------------------------------------------------------------

    @precondition(lambda self: self._often(()))
    @rule(data=st.data())
    def replay(self, data: Any) -> None:
        seq = data.draw(st.sampled_from(self._often({State.DEAD, State.SKIPPED})))
        result = self.run(self.outbox.replay(seq, self.at))
        assert type(result) is (Moved if self.model.replay([seq], self.now) else Unmoved)
        assert shown(result.record) == self._known(seq)

    @precondition(lambda self: self.steps > CALM)
    @rule(
        query=st.builds(
            ReplayQuery,
            st.sampled_from([State.DEAD, State.SKIPPED]),
            st.sampled_from([None, None, "goal_not_enhanced", "no_click", Reason.TOO_OLD.value]),
            st.sampled_from([None, "lead"]),
            since=st.sampled_from([None, NOW]),
        ),
        limit=st.sampled_from([1, 2, ALL]),
    )
    def replay_by_filter(self, query: ReplayQuery, limit: int) -> None:
        fitting = [seq for seq, row in self.model.rows.items() if self.model.fits_replay(row, query)]
        previewed = self._replayed(query, limit, dry_run=True)
        assert self._replayed(query, limit, dry_run=False) == previewed
        moved = len(self.model.replay(fitting, self.now))
        assert previewed == (moved, len(fitting) - moved)

    def _replayed(self, query: ReplayQuery, limit: int, *, dry_run: bool) -> tuple[int, int]:
        matched, too_old, after = 0, 0, 0
        while after is not None:
            done = self.run(self.outbox.replay_slice(query, after, limit, self.at, dry_run=dry_run))
            assert sum(done.accounts.values()) == done.matched
            matched, too_old, after = matched + done.matched, too_old + done.too_old, done.next_seq
        return matched, too_old

    @precondition(lambda self: self.steps > 2 * CALM and self._often(()))
    @rule(data=st.data())
    def discard(self, data: Any) -> None:
        seq = data.draw(st.sampled_from(self._often(())))
        result = self.run(self.outbox.discard(seq, self.at))
        assert type(result) is (Moved if self.model.discard(seq, self.now) else Unmoved)
        assert shown(result.record) == self._known(seq)

    @precondition(lambda self: self.steps > CALM)
    @rule(limit=st.sampled_from([2, ALL]))
    def do_housekeeping(self, limit: int) -> None:
        self._expire()
        before, after = UnixMillis(self.now - 90 * DAY), 0
        while after is not None:
            after = self.run(self.outbox.prune(before, after, limit))
        self.model.prune(before, limit)
        after = 0
        while after is not None:
            after = self.run(self.house.clicks.prune(seconds(before), after, limit))
        self.model.prune_clicks(seconds(before), limit)

    def _expire(self) -> None:
        ended = self.run(self.outbox.expire(self.at, ALL))
        assert sorted(record.seq for record in ended) == self.model.expire(self.now)

    # --- Erasures ----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.steps > 3 * CALM)
    @rule(
        who=st.sampled_from(
            [
                (Subject.EMAIL, EMAILS[0]),
                (Subject.EMAIL, EMAILS[1]),
                (Subject.PHONE, PHONE),
                (Subject.VISITOR, "v1"),
                (Subject.ORDER, "A"),
            ]
        ),
        retract=st.booleans(),
        calls=st.sampled_from([None, None, 1, 3, 5]),
    )
    def erase(self, who: tuple[Subject, str], retract: bool, calls: int | None) -> None:
        """`calls`: after as many of them the process is killed, and the next one goes on."""
        wanted = ErasureRequest(*who, retract)
        job = self.run(self.house.erasures.add(wanted, self.at))
        self.erasing.add(job.id, wanted)
        if calls is not None:
            self.run(self._eraser(calls).round())
            self.run(self.house.crash())
            self._start()
        self.erase_on()

    @precondition(lambda self: any(not job.is_done for job in self.erasing.jobs.values()))
    @rule()
    def erase_on(self) -> None:
        self.run(self._eraser().round())
        assert self.telemetry.board.active("loop_failed") == []
        self.erasing.round(self.now)
        for number, known_ in self.erasing.jobs.items():
            job = self.run(self.house.erasures.get(number))
            assert counted(job) == counted(known_)
            assert (job.phase is Phase.DONE) == known_.is_done
            if known_.is_done and number not in self.erased:  # later a row that had died may be replaced by another
                assert not any(known_.is_about(row) for row in self.model.rows.values())
                self.erased.add(number)

    def _eraser(self, calls: int | None = None) -> Eraser:
        erasures = self.house.erasures if calls is None else Ending(self.house.erasures, calls)
        retracting = Retractor(self.outbox, lambda: self.at, lambda due: None)
        return Eraser(erasures, self.telemetry, lambda: self.at, self.outbox, retracting, 0, 0)

    # --- What must hold then -----------------------------------------------------------------------------------------

    @invariant()
    def both_show_the_same_rows(self) -> None:
        self.steps += 1
        self.ran("step")
        page = self.run(self.outbox.find(Query(limit=ALL)))
        originals = {row.original for row in self.model.rows.values() if row.original is not None}
        records = list(page.records)
        for original in sorted(originals):
            records += self.run(self.outbox.adjustments(original))
        assert sorted(record.seq for record in records) == sorted(self.model.rows)
        for record in records:
            assert shown(record) == self._known(record.seq)

    def _known(self, seq: int) -> dict[str, Any]:
        row = self.model.rows[seq]
        return known(row, self.model.batches.get(row.batch or 0))

    @invariant()
    def accounts_balance(self) -> None:
        """accepted = delivered + pending + dead + skipped + canceled."""
        counts = self.run(self.outbox.counts())
        assert counts == self.model.counts()
        kept = counts.delivered + counts.pending + counts.dead + counts.skipped + counts.canceled
        assert kept + self.model.pruned == self.model.last

    @invariant()
    def both_count_rows_alike_over_time(self) -> None:
        lanes = {lane.id: (lane.account, lane.event, lane.kind) for lane in self.run(self.outbox.lanes())}
        for since, step in ((0, DAY // 1_000), (self.gathered, HOUR // 1_000)):
            tallies = self.run(self.house.tallies.by_period(UnixSeconds(since), step))
            found = {
                (one.at, *lanes[one.lane], one.state, one.currency or ""): (one.rows, one.value) for one in tallies
            }
            assert found == self.model.tallies(since, step)
        figures = self.run(self.house.tallies.figures(UnixSeconds(0), self.at))
        stored = {(*lanes[one.lane], one.state, one.currency or ""): one[4:6] for one in figures.stored}
        received = {(*lanes[one.lane], one.state, one.currency or ""): one[4:6] for one in figures.received}
        assert stored == received == {key[1:]: sums for key, sums in self.model.tallies(0, 10**10).items()}

    @precondition(lambda self: self.steps > 2 * CALM)
    @rule(days=st.sampled_from([0, 1, 8]))
    def gather_tallies(self, days: int) -> None:
        before = (self.now // DAY - days) * (DAY // 1_000)
        while self.run(self.house.tallies.gather(UnixSeconds(before))):
            pass
        self.gathered = max(self.gathered, before)

    @invariant()
    def both_know_what_waits(self) -> None:
        assert self.run(self.outbox.backlog()) == self.model.backlog()
        assert dict(self.run(self.outbox.throttled(self.at))) == self.model.throttled(self.now)

    @invariant()
    def both_agree_on_waiting_rows_by_goal(self) -> None:
        for account in ("main", "other"):
            found = self.run(self.outbox.waiting_by_goal(account))
            shown_ = {goal: (one.rows, one.first_time) for goal, one in found.items()}
            assert shown_ == self.model.waiting_by_goal(account)

    @invariant()
    def both_know_the_seconds_that_are_used(self) -> None:
        used = self.model.used_seconds()
        times = {row.time for row in self.model.rows.values()}.union(*used.values())
        around = [(UnixSeconds(time - 70), UnixSeconds(time + 70)) for time in sorted(times)]
        assert self.run(self.outbox.used_seconds(dict.fromkeys(self.identities.values(), around))) == used

    @rule(
        query=st.builds(
            Query,
            order_id=st.sampled_from([None, None, "A"]),
            event=st.sampled_from([None, "lead"]),
            state=st.sampled_from([None, *State]),
            account=st.sampled_from([None, "main"]),
            since=st.sampled_from([None, NOW + HOUR]),
            limit=st.sampled_from([1, 3, ALL]),
        )
    )
    def list_rows(self, query: Query) -> None:
        found: list[int] = []
        while query.before_seq is None or query.before_seq > 0:
            page = self.run(self.outbox.find(query))
            found += [record.seq for record in page.records]
            if page.next_seq is None:
                break
            query = replace(query, before_seq=page.next_seq)
        assert found == self.model.listed(query)

    @rule(account=ACCOUNTS)
    def count_what_waits(self, account: str) -> None:
        lanes = [lane for lane in self.run(self.outbox.lanes()) if lane.account == account]
        rows = [row.time for row in self.model.rows.values() if row.is_free and row.account == account]
        waiting = self.run(self.outbox.waiting(lanes))
        assert (waiting.rows, waiting.more, waiting.first_time) == (len(rows), False, min(rows, default=None))


class Ending:
    """A store of erasures that goes away after some calls."""

    def __init__(self, erasures: Any, calls: int) -> None:
        self._erasures, self._left = erasures, calls

    def __getattr__(self, name: str) -> Any:
        self._left -= 1
        if self._left < 0:
            raise StorageUnavailable("stopping", "the process was killed")
        return getattr(self._erasures, name)
