"""The event loop of the verbs that serve."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


def on_loop(work: Coroutine[Any, Any, int]) -> int:
    """Run `work` on the fastest event loop there is; signals are the work's own matter."""
    with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
        return runner.run(work)


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        from uvloop import new_event_loop
    except ImportError:  # not on every platform; asyncio's own does
        return asyncio.new_event_loop
    return new_event_loop
