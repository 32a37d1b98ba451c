"""A machine's clock jumps; the time that everything goes by does not, until something speaks for the jump."""

from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.core.clock import EARLIEST, SteadyClock, jump_words
from sidecar.core.instant import UnixMillis

START = UnixMillis(1_795_444_245_000)
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
YEAR = 365 * DAY


@dataclass
class Machine:
    """A machine whose wall clock can be set; `truth` is how much time has passed, in milliseconds."""

    begins: int = START
    truth: int = 0
    set_by: int = 0
    steps: list[int] = field(default_factory=list)
    asked: int = 0

    def __post_init__(self) -> None:
        self.clock = SteadyClock(lambda: UnixMillis(self.begins + self.truth + self.set_by), lambda: self.truth / 1000)
        self.clock.on_step = self.steps.append
        self.clock.on_jump = self._ask

    def _ask(self) -> None:
        self.asked += 1

    def jump(self, millis: int) -> None:
        self.set_by += millis

    def wait(self, millis: int) -> None:
        """So much time passes; the clock is looked at every five seconds."""
        while millis > 0:
            self.truth += min(5 * SECOND, millis)
            millis -= 5 * SECOND
            self.clock.look()

    def microsoft(self) -> UnixMillis:
        return UnixMillis(self.begins + self.truth)

    @property
    def wrong(self) -> int:
        """How far the shown time is from the true one."""
        return self.clock.now() - self.microsoft()


JUMPS = [30 * SECOND, -30 * SECOND, DAY, -DAY, 12 * YEAR, -START]


@pytest.mark.parametrize("jump", JUMPS)
def test_wrong_jump_is_not_followed_while_microsoft_contradicts_it(jump: int) -> None:
    machine = Machine()
    machine.jump(jump)
    for _ in range(20):
        machine.wait(30 * SECOND)
        assert machine.wrong == 0
        machine.clock.heard(machine.microsoft())
    assert machine.clock.away == jump
    assert machine.clock.unsettled is None
    machine.jump(-jump)
    assert machine.clock.away == 0
    assert machine.steps == []


@pytest.mark.parametrize("jump", JUMPS[:-1])
def test_jump_that_sets_the_clock_right_is_followed_as_soon_as_microsoft_says_so(jump: int) -> None:
    machine = Machine(begins=START - jump)  # it was wrong from the start
    machine.jump(jump)
    machine.clock.heard(UnixMillis(machine.microsoft() + jump + 700))
    assert machine.clock.now() == machine.microsoft() + jump
    assert machine.steps == [jump]
    assert machine.clock.away == 0


@pytest.mark.parametrize(("jump", "followed"), [(30 * SECOND, True), (-DAY, True), (7 * DAY, True), (-2 * DAY, False)])
def test_jump_that_nothing_contradicts_is_followed_after_a_minute_when_clocks_make_such(
    jump: int, followed: bool
) -> None:
    machine = Machine()
    machine.jump(jump)
    machine.wait(55 * SECOND)
    assert machine.wrong == 0
    machine.wait(10 * SECOND)
    assert machine.wrong == (jump if followed else 0)
    machine.wait(YEAR // 100)
    assert machine.wrong == (jump if followed else 0)


def test_each_jump_has_a_minute_of_its_own_however_long_the_machine_has_run() -> None:
    machine = Machine(truth=3 * DAY)
    for jump in (HOUR, 2 * HOUR, -HOUR):
        before = machine.wrong
        machine.jump(jump)
        machine.wait(55 * SECOND)
        assert machine.wrong == before
        machine.wait(10 * SECOND)
        assert machine.wrong == before + jump


@pytest.mark.parametrize("jump", [12 * YEAR, -START, 8 * DAY])
def test_jump_of_years_is_never_followed_without_microsoft(jump: int) -> None:
    machine = Machine()
    machine.jump(jump)
    machine.wait(DAY)
    assert machine.wrong == 0
    assert machine.clock.unsettled is None  # it is certain enough which one is right


def test_clock_that_is_slewed_is_followed() -> None:
    machine = Machine()
    for _ in range(1_000):
        machine.wait(SECOND)
        machine.jump(-1)
        machine.clock.now()
    assert machine.clock.away == 0
    assert machine.wrong == -1_000
    assert machine.steps == []


def test_there_is_no_time_before_the_clock_is_set_and_then_it_is_followed_at_once() -> None:
    machine = Machine(begins=5_000)
    assert machine.clock.unsettled == "this machine's clock shows a time before 2024"
    machine.jump(EARLIEST)
    assert machine.clock.now() == EARLIEST + 5_000
    assert machine.clock.unsettled is None
    assert machine.steps == [EARLIEST]


def test_time_is_in_doubt_after_a_jump_that_may_be_right_until_something_decides() -> None:
    machine = Machine()
    machine.jump(DAY)
    assert machine.clock.unsettled is not None
    assert machine.asked == 1
    assert "24.0 h ahead" in machine.clock.unsettled
    machine.clock.heard(machine.microsoft())
    assert machine.clock.unsettled is None
    machine.jump(-DAY)
    machine.jump(3 * MINUTE)
    assert machine.clock.unsettled is None  # no time that comes in is refused for so little


@given(st.lists(st.tuples(st.integers(-13 * YEAR, 13 * YEAR), st.integers(0, 10 * MINUTE)), max_size=20))
@example([(-1_001, 1_001)])  # as a float, 1.001 s times 1,000 is a little less than 1,001 ms
def test_while_microsoft_is_heard_the_time_is_never_wrong_by_more_than_what_is_followed_at_once(
    story: list[tuple[int, int]],
) -> None:
    machine = Machine()
    for jump, wait in story:
        machine.set_by = jump
        machine.clock.now()
        machine.clock.heard(machine.microsoft())
        before = machine.clock.now()
        machine.wait(wait)
        assert machine.clock.now() >= before - SECOND
        assert abs(machine.wrong) <= SECOND
        machine.set_by = 0
        assert abs(machine.wrong) <= SECOND
        machine.clock.heard(machine.microsoft())


@pytest.mark.parametrize(
    ("millis", "words"),
    [(30_400, "30 s ahead"), (-30_000, "30 s back"), (7_200_000, "2.0 h ahead"), (-864_000_000, "10.0 days back")],
)
def test_size_of_a_clock_change_is_given_in_words(millis: int, words: str) -> None:
    assert jump_words(millis) == words


@given(st.integers(-2 * DAY, 2 * DAY), st.integers(-2 * DAY, 2 * DAY))
def test_clock_of_a_shared_database_is_followed_and_the_machine_is_not(away: int, jump: int) -> None:
    machine = Machine()
    machine.jump(away)
    machine.clock = SteadyClock(
        lambda: UnixMillis(START + machine.truth + machine.set_by), lambda: machine.truth / 1000
    )
    machine.clock.lead(machine.microsoft())
    machine.jump(jump)
    machine.wait(10 * MINUTE)
    machine.clock.heard(UnixMillis(machine.microsoft() + jump))
    assert abs(machine.wrong) <= 100
    assert machine.clock.unsettled is None


def test_step_of_a_shared_database_is_told_and_its_jitter_is_not() -> None:
    machine = Machine()
    machine.clock.lead(UnixMillis(machine.microsoft() + 100))
    machine.clock.lead(UnixMillis(machine.microsoft() + HOUR))
    machine.clock.lead(UnixMillis(machine.microsoft() + HOUR - 90))
    assert (machine.wrong, machine.steps) == (HOUR, [HOUR])
