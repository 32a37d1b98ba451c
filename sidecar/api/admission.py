"""How much may be read and worked on at once: large bodies take turns, so that small ones and probes need not wait."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Self

from sidecar.api.problem import UNAVAILABLE, HttpProblem
from sidecar.core.problem import Problem
from sidecar.ports import StorageUnavailable

SMALL_BYTES = 64 * 1024
"""A body up to this size costs about a millisecond; it needs no turn."""

UNDECLARED_BYTES = 32 * 1024
"""The same for a body that does not say how large it is: some hundred conversions."""

RETRY = {"Retry-After": "1"}

BUSY = StorageUnavailable("outbox_growing", "Too many requests wait for their answers")

SPREAD_SECONDS = 5
"""Those who are sent away come back over so many seconds, not all at once."""

WAITING_REQUESTS = 250
"""So many are answered within a second on a machine with two cores whose disk takes 50 ms for each fsync."""

BUDGET_BYTES = 32 * 2**20
"""What large bodies may take together, unless a single one may be larger."""


@dataclass(slots=True)
class Room:
    """What one body takes of the budget, until the context closes; it grows with a body of an undeclared length."""

    admission: "Admission"
    declared: int = 0
    held: int = 0
    came: bool = False
    """Whether its body is here, and it waits for its answer."""

    def __enter__(self) -> Self:
        self.hold(self.declared)
        return self

    def __exit__(self, *_: object) -> None:
        self.admission.leave(self)

    def arrived(self) -> None:
        """The body is here; HttpProblem 503 when too many others wait for their answers already."""
        self.admission.answer_one_more()
        self.came = True

    def hold(self, size: int) -> None:
        """Take as much as a body of `size` bytes needs; HttpProblem 503 when there is no room for it."""
        free = SMALL_BYTES if self.declared else UNDECLARED_BYTES
        more = size - self.held if size > free else 0
        if more > 0:
            self.admission.take(more, declared=self.declared > 0)
            self.held += more


_AT_ONCE = contextlib.nullcontext()


@dataclass(slots=True)
class Admission:
    """Bounds memory by `budget_bytes` of large bodies that are read or worked on, and by `at_once` the work on them.

    Those that do not say how large they will be get `undeclared_bytes` of it: nearly none does, and an attacker's do.

    `waiting` bounds all requests whose bodies are here: with more, every answer would come later than it is waited for.
    Those whose bodies are still on their way do not count: slow clients must not keep others out.
    """

    budget_bytes: int = BUDGET_BYTES
    at_once: int = 2
    waiting: int = WAITING_REQUESTS
    undeclared_bytes: int = BUDGET_BYTES
    _taken: int = 0
    _undeclared: int = 0
    _waiting: int = 0
    _refused: int = 0
    _turns: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._turns = asyncio.Semaphore(self.at_once)

    def room(self, declared: int | None) -> Room:
        """Room for one body of `declared` bytes, or of a length that will show; entering it is 503 without any."""
        return Room(self, declared or 0)

    def leave(self, room: Room) -> None:
        """Its request is answered."""
        self._taken -= room.held
        self._undeclared -= 0 if room.declared else room.held
        self._waiting -= room.came

    def answer_one_more(self) -> None:
        """Count a request that waits for its answer; HttpProblem when they are too many."""
        if self._waiting >= self.waiting:
            self._refused += 1
            raise HttpProblem(
                UNAVAILABLE,
                f"{BUSY}. Nothing was stored: send this one again.",
                errors=[Problem("", BUSY.code, "Send fewer at once, or many conversions in one array.")],
                headers={"Retry-After": str(1 + self._refused % SPREAD_SECONDS)},
            )
        self._waiting += 1

    def take(self, size: int, *, declared: bool) -> None:
        """Set `size` bytes aside, of a body that said how large it is or did not; HttpProblem when there is no room."""
        if not declared and self._undeclared + size > self.undeclared_bytes:
            said = "Too many large bodies of unknown length are being read. Nothing was stored: send this one again"
            raise HttpProblem(UNAVAILABLE, f"{said}, with a Content-Length.", headers=RETRY, close=True)
        if self._taken + size > self.budget_bytes:
            said = "Too many large bodies are being read. Nothing was stored: send this one again."
            raise HttpProblem(UNAVAILABLE, said, headers=RETRY, close=True)
        self._taken += size
        self._undeclared += 0 if declared else size

    def turn(self, size: int) -> contextlib.AbstractAsyncContextManager[None]:
        """Waits until a body of `size` bytes may be worked on; small ones never wait."""
        return _AT_ONCE if size <= SMALL_BYTES else self._turns
