"""Large bodies are bounded: in memory by a budget, in work by turns; small ones always get through."""

import asyncio

import pytest

from sidecar.api.admission import SMALL_BYTES, UNDECLARED_BYTES, Admission
from sidecar.api.bodies import BodyLimits
from sidecar.api.problem import HttpProblem
from sidecar.api.taking import Taking

LARGE = 2 * 2**20


def test_large_body_beyond_the_budget_is_refused_before_it_is_read() -> None:
    admission = Admission(budget_bytes=LARGE)
    with admission.room(LARGE), pytest.raises(HttpProblem) as refused, admission.room(LARGE):
        pass
    assert refused.value.kind.status == 503
    assert refused.value.headers["Retry-After"] == "1"
    with admission.room(LARGE):
        pass


def test_small_body_needs_no_room() -> None:
    admission = Admission(budget_bytes=LARGE)
    with admission.room(LARGE), admission.room(SMALL_BYTES):
        pass


def test_body_of_unknown_length_takes_room_as_it_grows() -> None:
    admission = Admission(budget_bytes=LARGE)
    with admission.room(None) as room, admission.room(None) as other:
        for room_ in (room, other):
            room_.hold(UNDECLARED_BYTES)
        room.hold(LARGE // 2)
        room.hold(LARGE)
        with pytest.raises(HttpProblem):
            other.hold(UNDECLARED_BYTES + 1)
    with admission.room(LARGE):
        pass


def test_bodies_of_unknown_length_have_little_room_together_and_leave_the_rest_to_others() -> None:
    """Nearly no client sends them, and whoever wants to fill the memory sends nothing else."""
    admission = Admission(budget_bytes=4 * LARGE, undeclared_bytes=LARGE)
    with admission.room(None) as room, admission.room(None) as other:
        room.hold(LARGE)
        with pytest.raises(HttpProblem) as refused:
            other.hold(UNDECLARED_BYTES + 1)
        assert "Content-Length" in refused.value.detail
        assert (refused.value.kind.status, refused.value.headers["Retry-After"]) == (503, "1")
        with admission.room(LARGE), admission.room(LARGE):
            pass
    with admission.room(None) as room:
        room.hold(LARGE)


def test_there_is_room_for_the_largest_body_that_may_come() -> None:
    for largest in (2 * 2**20, 100 * 2**20):
        taking = Taking.of(BodyLimits(max_bytes=largest))
        with taking.admission.room(None) as room, taking.admission.room(largest):
            room.hold(largest)


async def test_large_bodies_are_worked_on_in_turns_and_small_ones_beside_them() -> None:
    admission = Admission(at_once=1)
    order: list[str] = []

    async def work(name: str, size: int) -> None:
        async with admission.turn(size):
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            order.append(f"{name} ends")

    await asyncio.gather(work("first", LARGE), work("second", LARGE), work("small", 10))
    assert order.index("first ends") < order.index("second begins")
    assert order.index("small ends") < order.index("second begins")


def test_requests_that_wait_for_their_answers_are_bounded_and_sent_away_at_different_times() -> None:
    admission = Admission(waiting=1)
    with admission.room(1) as first, admission.room(1) as second, admission.room(1) as slow:
        first.arrived()
        asked = []
        for _ in range(3):
            with pytest.raises(HttpProblem) as refused:
                second.arrived()
            asked.append(refused.value.headers["Retry-After"])
        assert len(set(asked)) == 3
        assert refused.value.errors[0].code == "outbox_growing"
        assert slow.held == 0  # its body is still on its way: it counts for nothing
    with admission.room(1) as next_one:
        next_one.arrived()
