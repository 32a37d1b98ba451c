"""What goes next: a batch again, a new one, or sleep until when. A table of cases, and what holds in all of them."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.adaptive_rate import Window
from sidecar.core.conversion import Kind
from sidecar.core.entry import Entry, Lane
from sidecar.core.in_flight import PATIENCE_SECONDS, InFlight, Request, Turn
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.schedule import (
    IDLE_SECONDS,
    Fresh,
    GoalQueue,
    Move,
    Resend,
    Schedule,
    Sleep,
    Unripe,
    next_move,
    ripe_at,
)

NOW = 1_000.0
WALL = UnixMillis(1_795_000_000_000)
FULL = 10


def queue(goal: str, rows: int = FULL, kind: Kind = Kind.CONVERSION) -> GoalQueue:
    return GoalQueue(goal, kind, (Lane(1, "main", goal, kind),), rows)


A, B, CLOSED = queue("A"), queue("B"), queue("Closed", rows=0)
IDLE = Sleep(NOW + IDLE_SECONDS)
NO_ROOM = Sleep(NOW + IDLE_SECONDS, FULL)


def away(*requests: tuple[str, bool, float]) -> InFlight:
    """Requests on their way: for a goal, sent again or not, and since how many seconds."""
    in_flight = InFlight()
    for goal, resend, age in requests:
        in_flight.started(Request(goal, Kind.CONVERSION, resend, NOW - age))
    return in_flight


def unripe(goal: GoalQueue, in_seconds: float, rows: int) -> dict[Turn, Unripe]:
    return {goal.turn: Unripe(NOW + in_seconds, rows)}


CASES: dict[str, tuple[dict[str, Any], Move]] = {
    "nothing is there": ({}, IDLE),
    "one goal": ({"goals": [A]}, Fresh(A)),
    "account is closed": ({"goals": [A], "has_resend": True, "is_open": False}, NO_ROOM),
    "no room in the window": ({"goals": [A], "in_flight": away(("B", False, 0)), "window": Window(4, 1)}, NO_ROOM),
    "room behind a slow request": (
        {"goals": [A, B], "in_flight": away(("B", False, PATIENCE_SECONDS)), "window": Window(4, 1)},
        Fresh(A),
    ),
    "goal is closed": ({"goals": [CLOSED]}, IDLE),
    "first goal is closed": ({"goals": [CLOSED, B]}, Fresh(B)),
    "goal that is probed": ({"goals": [queue("A", rows=1)]}, Fresh(queue("A", rows=1))),
    "other goal waited longer": ({"goals": [A, B], "turns": {A.turn: 2, B.turn: 1}}, Fresh(B)),
    "goal that had no turn yet is first": ({"goals": [A, B], "turns": {A.turn: 1}}, Fresh(B)),
    "adjustments of a goal have turns of their own": (
        {"goals": [A, queue("A", kind=Kind.ADJUSTMENT)], "turns": {A.turn: 1}},
        Fresh(queue("A", kind=Kind.ADJUSTMENT)),
    ),
    "a batch goes again before a new one": ({"goals": [A], "has_resend": True}, Resend()),
    "a batch goes again alone": ({"has_resend": True}, Resend()),
    "a new one is next when the last went again": ({"goals": [A], "has_resend": True, "resent_last": True}, Fresh(A)),
    "again twice where nothing new may go": ({"goals": [CLOSED], "has_resend": True, "resent_last": True}, Resend()),
    "one batch at a time goes again": (
        {"goals": [B], "has_resend": True, "in_flight": away(("A", True, 0))},
        Fresh(B),
    ),
    "goal whose rows are not ripe is passed over": ({"goals": [A, B], "unripe": unripe(A, 5, 3)}, Fresh(B)),
    "sleep until the first is ripe, or a batch may be full": (
        {"goals": [A, B], "unripe": unripe(A, 0.5, 3) | unripe(B, 0.3, 4)},
        Sleep(NOW + 0.3, FULL - 4),
    ),
    "no longer than idle": ({"goals": [A], "unripe": unripe(A, 60, 3)}, Sleep(NOW + IDLE_SECONDS, FULL - 3)),
    "first row to come in ends a sleep where none is there": (
        {"goals": [A], "unripe": unripe(A, 60, 0)},
        Sleep(NOW + IDLE_SECONDS, 1),
    ),
    "what is to be read again at once is": ({"goals": [A], "unripe": unripe(A, 0, FULL)}, Sleep(NOW, 1)),
}


@pytest.mark.parametrize("case", CASES)
def test_next_move(case: str) -> None:
    given_, move = CASES[case]
    schedule = Schedule(
        **{"is_open": True, "in_flight": InFlight(), "window": Window(4, 4), "batch_size": FULL, **given_}
    )
    assert next_move(schedule, NOW) == move


# --- in all cases ----------------------------------------------------------------------------------------------------

GOALS = st.lists(st.sampled_from([A, B, CLOSED, queue("C", rows=1), queue("A", kind=Kind.ADJUSTMENT)]), unique=True)
REQUESTS = st.lists(st.tuples(st.sampled_from("ABC"), st.booleans(), st.sampled_from([0.0, 4.0, 6.0])), max_size=5)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    goals = draw(GOALS)
    limit = draw(st.integers(1, 6))
    return Schedule(
        is_open=draw(st.booleans()),
        in_flight=away(*draw(REQUESTS)),
        window=Window(limit, draw(st.integers(1, limit))),
        goals=goals,
        turns={goal.turn: draw(st.integers(0, 3)) for goal in goals},
        has_resend=draw(st.booleans()),
        resent_last=draw(st.booleans()),
        batch_size=FULL,
        unripe={
            goal.turn: Unripe(NOW + draw(st.floats(0, 5)), draw(st.integers(0, FULL)))
            for goal in goals
            if draw(st.booleans())
        },
    )


@given(schedules())
def test_no_move_breaks_a_rule(schedule: Schedule) -> None:
    move = next_move(schedule, NOW)
    if not isinstance(move, Sleep):
        assert schedule.is_open and schedule.in_flight.has_room(schedule.window, NOW)
    match move:
        case Resend():
            assert schedule.has_resend and schedule.in_flight.takes_resend(schedule.window, NOW)
        case Fresh(goal):
            assert goal in schedule.goals and goal.rows and goal.turn not in schedule.unripe
            assert schedule.in_flight.takes(goal.turn, schedule.window, NOW, is_only=len(schedule.goals) == 1)
        case Sleep(until, rows):
            assert NOW <= until <= NOW + IDLE_SECONDS
            assert 1 <= rows <= FULL


@given(schedules())
def test_look_around_ends_in_a_batch_or_in_sleep_after_each_goal_was_read_once(schedule: Schedule) -> None:
    read: list[Turn] = []
    while isinstance(move := next_move(schedule, NOW), Fresh):
        read.append(move.goal.turn)
        schedule = schedule.postponed(move.goal, NOW + 1, 0)
    assert len(set(read)) == len(read) <= len(schedule.goals)


@dataclass
class Account:
    """What a courier keeps between its moves; every request is answered at once."""

    turns: dict[Turn, int] = field(default_factory=dict)
    resent_last: bool = False
    moves: list[Move] = field(default_factory=list)

    def carry(self, schedule: Schedule) -> None:
        move = next_move(replace(schedule, turns=self.turns, resent_last=self.resent_last), NOW)
        self.resent_last = isinstance(move, Resend)
        if isinstance(move, Fresh):
            self.turns[move.goal.turn] = len(self.moves) + 1
        self.moves.append(move)


@given(st.lists(st.sampled_from([A, B, queue("C"), queue("D")]), min_size=1, unique=True), st.booleans())
def test_every_goal_has_its_turn_also_beside_batches_that_go_again_for_ever(
    goals: list[GoalQueue], has_resend: bool
) -> None:
    account = Account()
    schedule = Schedule(
        is_open=True, in_flight=InFlight(), window=Window(4, 4), goals=goals, batch_size=FULL, has_resend=has_resend
    )
    for _ in range(2 * len(goals) * 3):
        account.carry(schedule)
    new = [move.goal for move in account.moves if isinstance(move, Fresh)]
    assert all(new.count(goal) >= 3 for goal in goals)
    assert account.moves.count(Resend()) == (len(account.moves) // 2 if has_resend else 0)


# --- when rows are ripe ----------------------------------------------------------------------------------------------


def entry(received: int, due: int) -> Entry:
    """Received and due some milliseconds before WALL."""
    lane = Lane(1, "main", "purchase")
    return Entry(1, UnixSeconds(WALL // 1000), UnixMillis(WALL - received), UnixMillis(WALL - due), lane=lane)


@pytest.mark.parametrize(
    ("entries", "ripe"),
    [
        ([], WALL + IDLE_SECONDS * 1000),
        ([entry(10, 10)], WALL + 90),
        ([entry(10, 10), entry(70, 70)], WALL + 30),
        ([entry(10, 10)] * FULL, 0),
        ([entry(200, 10)], WALL - 100),
        ([entry(10, 200)], WALL - 100),
    ],
    ids=["none", "one", "oldest counts", "full", "received long ago", "clock stepped back since it was due"],
)
def test_rows_are_ripe_in_a_full_batch_or_after_their_linger(entries: list[Entry], ripe: float) -> None:
    assert ripe_at(entries, FULL, 100, WALL) == ripe
