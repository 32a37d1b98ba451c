"""How loops wait, and how they go on after an error."""

import asyncio
from dataclasses import dataclass, field

import pytest

from sidecar.loops import reported, run_forever, wait_for, wait_for_wake
from sidecar.ports.errors import StorageUnavailable


@dataclass
class Reports:
    """What was reported."""

    troubles: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, BaseException]] = field(default_factory=list)

    def trouble_raised(self, code: str, *, detail: str) -> None:
        self.troubles.append((code, detail))

    def loop_failed(self, where: str, error: BaseException) -> None:
        self.failures.append((where, error))


@dataclass
class Steps:
    """A step that does what it is told, one thing a time, and ends the loop behind the last."""

    script: list[float | BaseException | None]
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    taken: int = 0

    async def __call__(self) -> float | None:
        if self.taken == len(self.script):
            raise asyncio.CancelledError
        self.taken += 1
        result = self.script[self.taken - 1]
        if isinstance(result, BaseException):
            raise result
        if result is None:
            asyncio.get_running_loop().call_soon(self.wake.set)
        return result


async def run(steps: Steps, reports: Reports) -> None:
    with pytest.raises(asyncio.CancelledError):
        await run_forever(steps, wake=steps.wake, reporter=reports, where="test", retry_seconds=0)


async def test_a_set_event_ends_the_wait_and_stays_set() -> None:
    event = asyncio.Event()
    event.set()
    assert await wait_for(event, 0)
    assert event.is_set()


async def test_an_event_that_is_not_set_lets_the_time_run_out() -> None:
    assert not await wait_for(asyncio.Event(), 0)


async def test_without_a_limit_the_wait_lasts_until_the_event_is_set() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    assert await wait_for(event, None)


@pytest.mark.parametrize("is_set", [True, False])
async def test_after_a_wake_the_event_is_cleared(is_set: bool) -> None:
    event = asyncio.Event()
    if is_set:
        event.set()
    await wait_for_wake(event, 0)
    assert not event.is_set()


async def test_cancelling_a_wait_is_no_timeout() -> None:
    waiting = asyncio.create_task(wait_for(asyncio.Event(), None))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_storage_that_fails_is_reported_by_its_code() -> None:
    reports = Reports()
    with reported(reports, "test"):
        raise StorageUnavailable("disk_nearly_full", "no room")
    assert reports.troubles == [("disk_nearly_full", "no room")]
    assert reports.failures == []


def test_an_unexpected_error_is_reported_with_its_place() -> None:
    reports, error = Reports(), ValueError("odd")
    with reported(reports, "test"):
        raise error
    assert (reports.troubles, reports.failures) == ([], [("test", error)])


def test_cancellation_is_not_swallowed() -> None:
    reports = Reports()
    with pytest.raises(asyncio.CancelledError), reported(reports, "test"):
        raise asyncio.CancelledError
    assert (reports.troubles, reports.failures) == ([], [])


async def test_a_step_that_fails_is_reported_and_runs_again() -> None:
    reports, error = Reports(), ValueError("odd")
    steps = Steps([error, StorageUnavailable("storage_failed", "full"), 0.0])
    await run(steps, reports)
    assert steps.taken == 3
    assert reports.failures == [("test", error)]
    assert reports.troubles == [("storage_failed", "full")]


async def test_a_step_that_names_no_time_runs_again_when_it_is_woken() -> None:
    reports = Reports()
    steps = Steps([None, None])
    await run(steps, reports)
    assert (steps.taken, steps.wake.is_set()) == (2, False)
