"""How much may be read and worked on at once: large bodies take turns, so that small ones and probes need not wait."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from sidecar.api.problem import UNAVAILABLE, HttpProblem

SMALL_BYTES = 64 * 1024
"""A body up to this size costs about a millisecond; it needs no turn."""

RETRY = {"Retry-After": "1"}


@dataclass(slots=True)
class Admission:
    """Bounds memory by `budget_bytes` of large bodies that are read or worked on, and by `at_once` the work itself."""

    budget_bytes: int = 64 * 2**20
    at_once: int = 2
    _taken: int = 0
    _turns: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._turns = asyncio.Semaphore(self.at_once)

    @contextlib.contextmanager
    def room(self, declared: int | None, most: int) -> Iterator[None]:
        """Hold room for a body of `declared` bytes, or of `most` where nothing is declared; 503 when there is none."""
        size = most if declared is None else min(declared, most)
        size = 0 if size <= SMALL_BYTES else size
        if size and self._taken + size > self.budget_bytes:
            said = "Too many large bodies are being read. Nothing was stored: send this one again."
            raise HttpProblem(UNAVAILABLE, said, headers=RETRY, close=True)
        self._taken += size
        try:
            yield
        finally:
            self._taken -= size

    @contextlib.asynccontextmanager
    async def turn(self, size: int) -> AsyncIterator[None]:
        """Wait until a body of `size` bytes may be worked on; small ones never wait."""
        if size <= SMALL_BYTES:
            yield
            return
        async with self._turns:
            yield
