"""How every long-lived loop waits, and how it goes on after an error. What a loop does is its own module's matter."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from sidecar.ports.errors import StorageUnavailable


class Reporter(Protocol):
    """Where errors are reported: telemetry."""

    def trouble_raised(self, code: str, *, detail: str) -> object:
        """Report a known trouble."""

    def loop_failed(self, where: str, error: BaseException) -> object:
        """Report an unexpected error."""


async def wait_for(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait until `event` is set, at most `seconds`, None for as long as it takes. Returns whether it was set."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False


async def wait_for_wake(event: asyncio.Event, seconds: float | None) -> None:
    """Wait as `wait_for` does, then clear `event`: what sets it next wakes the loop again."""
    await wait_for(event, seconds)
    event.clear()


@contextlib.contextmanager
def reported(reporter: Reporter, where: str) -> Iterator[None]:
    """Report any error of the block and swallow it: one odd row or answer must not stop the service."""
    try:
        yield
    except StorageUnavailable as error:
        reporter.trouble_raised(error.code, detail=str(error))
    except Exception as error:
        reporter.loop_failed(where, error)


async def run_forever(
    step: Callable[[], Awaitable[float | None]],
    *,
    wake: asyncio.Event,
    reporter: Reporter,
    where: str,
    retry_seconds: float,
) -> None:
    """Run `step` again and again until cancelled, each time after the seconds that it returned, or when `wake` is set.

    None waits for `wake` alone. A step that fails is reported and run again after `retry_seconds`.
    """
    while True:
        seconds: float | None = retry_seconds
        with reported(reporter, where):
            seconds = await step()
        await wait_for_wake(wake, seconds)


def monotonic() -> float:
    """Seconds of the event loop's own clock, which never steps back."""
    return asyncio.get_running_loop().time()
