"""When accounts are looked at."""

from sidecar.goals.look_queue import LookQueue


class Seconds:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_account_is_taken_when_it_is_due_and_only_once() -> None:
    clock = Seconds()
    queue = LookQueue(clock)
    queue.put("late", 20)
    queue.put("soon", 10)
    assert (queue.take(), queue.seconds()) == (None, 10)
    clock.now = 30
    assert [queue.take(), queue.take(), queue.take()] == ["soon", "late", None]
    assert queue.seconds() is None


def test_account_that_is_put_again_is_looked_at_at_the_earlier_time_alone() -> None:
    clock = Seconds()
    queue = LookQueue(clock)
    queue.put("main", 10)
    queue.put("main", 60)
    queue.put("main")
    assert [queue.take(), queue.take()] == ["main", None]
    clock.now = 100
    assert queue.take() is None


def test_account_that_was_dropped_is_not_taken() -> None:
    queue = LookQueue(Seconds())
    queue.put("main")
    queue.put("other")
    queue.drop("main")
    assert [queue.take(), queue.take()] == ["other", None]
    queue.put("main", 5)
    assert queue.seconds() == 5
