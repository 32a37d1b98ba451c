"""MSAL's calls run in a thread of their own, which a caller may leave at any time."""

import asyncio
import threading

import pytest

from sidecar.microsoft import oauth


async def test_call_whose_caller_left_before_it_began_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not raise in its thread either: that would print a traceback while the sidecar stops."""
    begin, calls, raised = threading.Event(), list[str](), list[object]()
    monkeypatch.setattr(threading, "excepthook", raised.append)
    monkeypatch.setattr(oauth, "name_thread", lambda name: begin.wait())  # holds the thread before it begins
    before = set(threading.enumerate())
    caller = asyncio.create_task(oauth._in_daemon_thread(lambda: calls.append("called")))
    while not (started := set(threading.enumerate()) - before):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    begin.set()
    for thread in started:
        await asyncio.to_thread(thread.join, 60)
    assert (calls, raised) == ([], [])
