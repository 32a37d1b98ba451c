"""Restates and retracts in any order, with anything happening to requests, end at Microsoft as a small model says.

Microsoft is a dictionary here: what it holds of each conversion, by the five fields that identify one.
"""

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from conversion_kit import conversion
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from instant_kit import HOUR, MINUTE, NOW, SECOND, later
from outbox_kit import LOST, REFUSED, TAKEN, claim, put
from store_kit import HOUSES, House, runs_over

from sidecar.core.adjustment import Adjustment, ById
from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.entry import Requeue, Step
from sidecar.core.instant import UnixMillis, seconds
from sidecar.core.states_and_reasons import State
from sidecar.microsoft.wire import encode
from sidecar.ports.delivery import Claim, Note
from sidecar.ports.intake import Adjusting, AlreadyRetracted, Replayed, Stored

IDENTITY = ("ConversionName", "ConversionTime", "MicrosoftClickId", "HashedEmailAddress", "HashedPhoneNumber")
THROTTLED = Note("refused: throttled")
OUTCOMES = ("taken", "taken", "taken", "lost before", "lost after", "throttled", "asked again", "goal held", "crash")


class Microsoft:
    """What it holds: the value of each conversion, None once it was retracted; and the last time of an adjustment."""

    def __init__(self) -> None:
        self.values: dict[tuple[Any, ...], Decimal | None] = {}
        self.adjusted: dict[tuple[Any, ...], str] = {}

    def apply(self, body: bytes) -> None:
        for row in json.loads(body, parse_float=Decimal, parse_int=Decimal).popitem()[1]:
            identity = tuple(row.get(name) for name in IDENTITY)
            if "AdjustmentType" not in row:
                self.values.setdefault(identity, row["ConversionValue"])
                continue
            assert identity in self.values, "an adjustment names a conversion that is there"
            last = self.adjusted.get(identity, "")
            if row["AdjustmentTime"] == last:
                continue  # the same again
            assert row["AdjustmentTime"] > last, "times of adjustments strictly increase"
            assert self.values[identity] is not None, "nothing follows a retract"
            self.adjusted[identity] = row["AdjustmentTime"]
            self.values[identity] = row["AdjustmentValue"] if row["AdjustmentType"] == "Restate" else None


class Shop(RuleBasedStateMachine):
    """One outbox, one courier, one request at a time or none that was answered."""

    def __init__(self, build: Callable[[Path], House]) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        self.house = build(Path(self.folder.name))
        self.outbox = self.run(self.house.open())
        self.microsoft = Microsoft()
        self.now = NOW
        self.said: dict[int, Decimal | None] = {}
        self.clicks: dict[int, str] = {}
        self.in_flight: Claim | None = None
        self.restates = 0

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.finish()
        self.run(self.house.remove())
        self.loop.close()
        self.folder.cleanup()

    # --- what comes in -----------------------------------------------------------------------------------------------

    @rule()
    def order(self) -> None:
        number = len(self.said) + 1
        new = conversion(f"ORDER-{number}", msclkid=f"{number:032x}", time=seconds(self.now), value="100")
        (result,) = self.run(put(self.outbox, new, at=self.now))
        self.said[result.record.seq] = Decimal(100)
        self.clicks[result.record.seq] = f"{number:032x}"

    @precondition(lambda self: self.said)
    @rule(data=st.data(), value=st.none() | st.integers(0, 50))
    def adjust(self, data: st.DataObject, value: int | None) -> None:
        seq = data.draw(st.sampled_from(list(self.said)))
        self.restates += 1
        wanted = Adjustment(
            type=AdjustmentType.RETRACT if value is None else AdjustmentType.RESTATE,
            target=ById(seq, None),
            value=None if value is None else Decimal(value),
            currency=None,
            time=seconds(self.now),
            time_given=False,
            idempotency_key=None if value is None else f"RESTATE-{self.restates}",
        )
        (result,) = self.run(self.outbox.adjust([Adjusting(wanted, self.now, "request-2")]))
        if self.said[seq] is None:
            assert isinstance(result, Replayed if value is None else AlreadyRetracted | Replayed)
        elif not isinstance(result, Replayed):
            assert isinstance(result, Stored), result
            self.said[seq] = None if value is None else Decimal(value)

    # --- what goes out -----------------------------------------------------------------------------------------------

    @rule(millis=st.sampled_from([SECOND, MINUTE, HOUR, 6 * HOUR]))
    def pass_time(self, millis: int) -> None:
        self.now = UnixMillis(self.now + millis)

    @precondition(lambda self: self.in_flight is None)
    @rule(kind=st.sampled_from(Kind), again=st.booleans())
    def leave(self, kind: Kind, again: bool) -> None:
        """A request leaves: one that was not answered goes again, or a new one."""
        if again:
            self.in_flight = self.run(self.outbox.claim_resend("main", self.now, later(MINUTE, self.now)))
            return
        lanes = [lane for lane in self.run(self.outbox.lanes()) if lane.account == "main" and lane.kind is kind]
        entries = self.run(self.outbox.due(lanes, self.now, 3))
        if entries:
            self.in_flight = self.run(claim(self.outbox, entries, self.now))

    @precondition(lambda self: self.in_flight is not None)
    @rule(outcome=st.sampled_from(OUTCOMES))
    def answer(self, outcome: str) -> None:
        taken, self.in_flight = self.in_flight, None
        assert taken is not None
        match outcome:
            case "taken":
                self.microsoft.apply(encode(taken.entries))
                self.run(self.outbox.settle(taken, {}, TAKEN, self.now))
            case "lost before":
                self.run(self.outbox.postpone(taken, self.now, LOST, maybe_sent=True))
            case "lost after":
                self.microsoft.apply(encode(taken.entries))
                self.run(self.outbox.postpone(taken, self.now, LOST, maybe_sent=True))
            case "throttled":
                self.run(self.outbox.postpone(taken, self.now, THROTTLED, maybe_sent=False))
            case "asked again" | "goal held":
                steps: dict[int, Step] = {
                    entry.seq: Requeue(self.now, None, REFUSED, not entry.keeps_frozen, int(outcome == "asked again"))
                    for entry in taken.entries
                }
                self.run(self.outbox.settle(taken, steps, TAKEN, self.now))
            case "crash":
                self.microsoft.apply(encode(taken.entries))
                self.run(self.house.crash())
                self.outbox = self.run(self.house.open(self.now))

    # --- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def counts_are_exact(self) -> None:
        counts = self.run(self.outbox.counts())
        assert counts.dead == counts.skipped == 0
        assert counts.pending + counts.delivered + counts.canceled == len(self.rows())

    def rows(self) -> list[Any]:
        """Every row; numbers leave no gaps where only one writes."""
        found: list[Any] = []
        while (row := self.run(self.outbox.get(len(found) + 1))) is not None:
            found.append(row)
        return found

    def finish(self) -> None:
        """Everything goes well from here on: then Microsoft holds what was said last."""
        if self.in_flight is not None:
            self.answer("taken")
        for _ in range(300):
            if self.run(self.outbox.counts()).pending == 0:
                break
            self.pass_time(HOUR)
            for again in (True, False, False):
                for kind in Kind:
                    self.leave(kind, again)
                    if self.in_flight is not None:
                        self.answer("taken")
        assert self.run(self.outbox.counts()).pending == 0
        held = {identity[2]: value for identity, value in self.microsoft.values.items()}
        for seq, value in self.said.items():
            assert held.get(self.clicks[seq]) == value
            if value is not None:
                assert self.run(self.outbox.get(seq)).state is State.DELIVERED


@pytest.mark.parametrize("store", HOUSES)
def test_microsoft_ends_with_the_last_adjustment_after_any_failures_of_requests(store: str) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Shop(HOUSES[store]),
        settings=settings(
            max_examples=runs_over(HOUSES[store], 25),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
