"""Logs of trials that never were: valid ones of any plan, and ones with a single thing wrong."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from history_check.events import (
    Adjusted,
    Answered,
    Carried,
    Claimed,
    Counted,
    Disaster,
    Event,
    Item,
    Place,
    Requested,
    Row,
    Settled,
    StoredClick,
    Taken,
)
from history_check.violation import Kind

GOAL = "Shop Purchase"
LIMIT = 30
STEP = 2_500
"""Milliseconds between two requests: 24 a minute."""


@dataclass(frozen=True)
class Plan:
    """What is to become of one order."""

    account: str
    failures: Sequence[int]
    """The answers before the one that counts: 503, or none."""
    repeats: int
    state: str
    lost: int = 0
    """How many requests with it got no answer, and were taken all the same."""
    restated: Sequence[int] = ()
    is_retracted: bool = False
    has_click: bool = False


@dataclass
class Story:
    """Writes the log of a trial, order by order."""

    log: list[Event] = field(default_factory=list)
    now: int = 1_000_000
    number: int = 0

    def live(self, plans: Sequence[Plan]) -> "Story":
        for place, plan in enumerate(plans):
            self._order(f"O-{place}", f"{place:032x}", plan)
        states = Counter(event.state for event in self.log if isinstance(event, Row))
        self.log += [Counted(by, states) for by in ("the database", "replica 1", "replica 2")]
        return self

    def _order(self, order: str, click: str, plan: Plan) -> None:
        item = Item("conversion", plan.account, order, click, Decimal(10))
        id_, place = f"c-{order}", (plan.account, click, GOAL, 1_000)
        self._answers(item, plan, id_)
        if plan.has_click:
            self._answers(Item("click", plan.account, f"visitor of {order}", click), plan, None)
            self.log.append(StoredClick(plan.account, f"visitor of {order}", click))
        if plan.state != "delivered":
            self.log.append(Row(id_, "conversion", plan.state, plan.account, order))
            return
        self._deliver(id_, plan.account, plan.lost)
        self.log.append(Row(id_, "conversion", "delivered", plan.account, order, place, may_be_sent=plan.lost > 0))
        taken = Taken(self.now, place, Decimal(10), seen=1 + plan.lost)
        wishes = [(Decimal(value), False) for value in plan.restated]
        for count, (value, is_retract) in enumerate([*wishes, (None, True)] if plan.is_retracted else wishes):
            self._adjust(f"{order}-{count}", item, place, value, plan)
            taken = replace(taken, is_retracted=is_retract, adjusted_value=value)
        self.log.append(taken)

    def _adjust(self, name: str, of: Item, place: Place, value: Decimal | None, plan: Plan) -> None:
        item = Item("adjustment", of.account, of.order, value=value, is_retract=value is None, key=name)
        self._answers(item, plan, f"a-{name}")
        self._deliver(f"a-{name}", of.account, plan.lost)
        row = Row(f"a-{name}", "adjustment", "delivered", of.account, of.order, place, f"c-{of.order}", self.now)
        self.log += [
            row,
            Adjusted(self.now, self.number, place, self.now, item.is_retract, value, seen=1 + plan.lost),
        ]

    def _answers(self, item: Item, plan: Plan, id_: str | None) -> None:
        for status in [*plan.failures, 202, *[200] * plan.repeats]:
            self.now += 1
            replica = f"replica {self.now % 3}"
            self.log.append(Answered(self.now, replica, item, status, id_ if status in (200, 202) else None))

    def _deliver(self, row: str, account: str, lost: int) -> None:
        batch = self._next()
        for turn in range(lost + 1):
            self.now += STEP
            self.log.append(Claimed(self.now, self._next(), batch))
            if not turn:
                self.log.append(Carried(self.now, self._next(), batch, row))
            self.log.append(Requested(self.now + 5, account, f"t-{batch}-{turn}"))
            if turn == lost:
                self.log.append(Settled(self.now + 9, self._next(), batch, f"t-{batch}-{turn}", "taken"))
            elif turn % 2 == 0:
                self.log.append(Disaster(self.now + 7, self.now + 8, "kill -9"))
            else:
                self.log.append(Settled(self.now + 9, self._next(), batch, None, "lost", is_closed=False))

    def _next(self) -> int:
        self.number += 1
        return self.number


# --- What can be wrong -----------------------------------------------------------------------------------------------

Change = Callable[[list[Event], random.Random], None]


def _some(log: Sequence[Event], chance: random.Random, kind: type, **having: object) -> int:
    """The place in the log of an event of that kind."""
    found = [
        place
        for place, event in enumerate(log)
        if isinstance(event, kind) and all(getattr(event, name) == value for name, value in having.items())
    ]
    return chance.choice(found)


def _count(log: list[Event], state: str, more: int) -> None:
    """Let everybody count `more` rows of a state."""
    for place, event in enumerate(log):
        if isinstance(event, Counted):
            log[place] = Counted(event.by, Counter(event.states) + Counter({state: more}))
            if more < 0:
                log[place] = Counted(event.by, {**event.states, state: event.states[state] + more})


def _lose_row(log: list[Event], chance: random.Random) -> None:
    place = _some(log, chance, Row, state="pending", what="conversion")
    log.pop(place)
    _count(log, "pending", -1)


def _lose_at_microsoft(log: list[Event], chance: random.Random) -> None:
    log.pop(_some(log, chance, Taken))


def _lose_adjustment(log: list[Event], chance: random.Random) -> None:
    log.pop(_some(log, chance, Adjusted))


def _lose_click(log: list[Event], chance: random.Random) -> None:
    log.pop(_some(log, chance, StoredClick))


def _store_twice(log: list[Event], chance: random.Random) -> None:
    row = log[_some(log, chance, Row, state="pending", what="conversion")]
    assert isinstance(row, Row)
    log.append(replace(row, id=f"{row.id}-again"))
    _count(log, "pending", 1)


def _answer_with_two_ids(log: list[Event], chance: random.Random) -> None:
    place = _some(log, chance, Answered, status=202, id="c-O-0")
    answer, row = log[place], log[_some(log, chance, Row, id="c-O-1")]
    assert isinstance(answer, Answered) and isinstance(row, Row)
    log.append(replace(answer, status=200, id=row.id))


def _count_twice(log: list[Event], chance: random.Random) -> None:
    place = _some(log, chance, Taken)
    taken = log[place]
    assert isinstance(taken, Taken)
    row = log[_some(log, chance, Row, place=taken.place, what="conversion")]
    assert isinstance(row, Row)
    moved = (*taken.place[:3], taken.place[3] + 1)
    log += [replace(taken, place=moved), replace(row, id=f"{row.id}-again", place=moved)]
    _count(log, "delivered", 1)


def _send_again(log: list[Event], chance: random.Random) -> None:
    place = _some(log, chance, chance.choice((Taken, Adjusted)))
    taken = log[place]
    assert isinstance(taken, Taken | Adjusted)
    log[place] = replace(taken, seen=taken.seen + 1)


def _send_other_bytes(log: list[Event], chance: random.Random) -> None:
    place = _some(log, chance, Taken)
    taken = log[place]
    assert isinstance(taken, Taken)
    log[place] = replace(taken, changed=1)


def _hide_disasters(log: list[Event], chance: random.Random) -> None:
    log[:] = [event for event in log if not isinstance(event, Disaster)]


def _swap_adjustments(log: list[Event], chance: random.Random) -> None:
    row = log[_some(log, chance, Row, id="c-O-0")]
    assert isinstance(row, Row)
    first, second = [place for place, one in enumerate(log) if isinstance(one, Adjusted) and one.original == row.place][
        :2
    ]
    one, other = log[first], log[second]
    assert isinstance(one, Adjusted) and isinstance(other, Adjusted)
    log[first], log[second] = replace(one, number=other.number), replace(other, number=one.number)


def _let_another_win(log: list[Event], chance: random.Random) -> None:
    place = _some(log, chance, Taken)
    taken = log[place]
    assert isinstance(taken, Taken)
    log[place] = replace(taken, adjusted_value=Decimal("0.01"), is_retracted=False)


def _settle_twice(log: list[Event], chance: random.Random) -> None:
    settled = log[_some(log, chance, Settled, is_closed=True)]
    assert isinstance(settled, Settled)
    log.append(replace(settled, number=settled.number + 1_000_000))


def _settle_with_an_old_answer(log: list[Event], chance: random.Random) -> None:
    settled = log[_some(log, chance, Settled, is_closed=True)]
    assert isinstance(settled, Settled)
    place = _some(log, chance, Requested, tracking_id=settled.tracking_id)
    request = log[place]
    assert isinstance(request, Requested)
    log[place] = replace(request, at=request.at - 6)


def _send_too_much(log: list[Event], chance: random.Random) -> None:
    request = log[_some(log, chance, Requested)]
    assert isinstance(request, Requested)
    late = chance.randrange(1, 59_000)
    log += [replace(request, at=request.at + late, tracking_id=f"more-{n}") for n in range(LIMIT)]


def _be_refused(log: list[Event], chance: random.Random) -> None:
    request = log[_some(log, chance, Requested)]
    assert isinstance(request, Requested)
    log.append(replace(request, tracking_id="refused", answer="CallRateExceeded"))


def _miscount(log: list[Event], chance: random.Random) -> None:
    place = _some(log, chance, Counted)
    counted = log[place]
    assert isinstance(counted, Counted)
    log[place] = Counted(counted.by, {**counted.states, "delivered": counted.states["delivered"] - 1})


def _invent_row(log: list[Event], chance: random.Random) -> None:
    log.append(Row("c-invented", "conversion", "pending", "shop0", "O-invented"))
    _count(log, "pending", 1)


def _invent_at_microsoft(log: list[Event], chance: random.Random) -> None:
    log.append(Taken(5, ("shop0", "f" * 32, GOAL, 7), Decimal(1)))


CHANGES: dict[Kind, tuple[Change, ...]] = {
    Kind.LOST: (_lose_row, _lose_at_microsoft, _lose_adjustment, _lose_click),
    Kind.DOUBLED: (_store_twice, _answer_with_two_ids, _count_twice, _send_again, _send_other_bytes, _hide_disasters),
    Kind.REORDERED: (_swap_adjustments, _let_another_win),
    Kind.STALE: (_settle_twice, _settle_with_an_old_answer),
    Kind.LIMIT: (_send_too_much, _be_refused),
    Kind.BOOKS: (_miscount, _invent_row, _invent_at_microsoft),
}


def changes() -> Iterator[tuple[Kind, Change]]:
    """Each way in which a valid log becomes a wrong one, and what is then wrong."""
    return ((kind, change) for kind, ways in CHANGES.items() for change in ways)
