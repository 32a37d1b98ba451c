"""One budget of memory for bodies and answers, from the first byte read to the last byte written.

Large requests take turns, so that small ones and probes need not wait; without room the answer is 503.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web

from sidecar.api.http.problem import UNAVAILABLE, UNKNOWN_OUTCOME, HttpProblem
from sidecar.api.request.turns import CHEAP_BYTES, Lanes, Weights
from sidecar.core.intake.problem import Problem
from sidecar.ports.errors import StorageUnavailable

SMALL_BYTES = 64 * 1024
"""A body up to this size costs about a millisecond; it needs no turn."""

UNDECLARED_BYTES = 32 * 1024
"""The same for a body that does not say how large it is: some hundred conversions."""

RETRY = {"Retry-After": "1"}

BUSY = StorageUnavailable("outbox_growing", "Too many requests wait for their answers")

SPREAD_SECONDS = 5
"""Refused callers retry spread over this time, not all at once."""

WAITING_BYTES = 48 * 2**20
"""Of requests whose bodies are here: room for 380 that bring one conversion, and for 256 that bring 64 KiB.

These are answered within a second by two cores with a disk that takes 50 ms for each fsync.
"""

REQUEST_BYTES = 128 * 1024
"""What a request counts beside its body: the time until its answer depends mostly on their number."""

COUNTED_BODY_BYTES = 128 * 1024
"""What a body counts at most: `BUDGET_BYTES` bounds larger ones, and they must not exclude the small ones."""

BUDGET_BYTES = 32 * 2**20
"""What large bodies and answers may take together, unless a single body may be larger."""

ROW_BYTES = 4 * 1024
"""What a row of a page takes while it is made: as it was read, and as text."""

ANSWER_BYTES = 12 * 2**20
"""Of these, what answers may take."""

WORK_BYTES = 24 * 2**20
"""What bodies may take once they are taken apart, until their answers are made; more of them wait."""

BYTES_A_BYTE = 8
"""What a byte of JSON becomes as names and values, at worst."""

BYTES_AN_ITEM = 1_024
"""What an item of an array becomes, and what is found against it."""

_LEAST_ITEM_BYTES = 3
_MOST_ITEMS = 1_000

UNREAD_FACTOR = 2
"""Unread bytes are in the answer and once more in the buffer of the socket."""

ASK_AGAIN = "Ask again in a moment."

WAITING_PAGES = 32
"""Large pages that may wait to be made: some seconds of work."""


@dataclass(slots=True)
class Reservation:
    """What one body takes of the budget, until the context closes; it grows with a body of an undeclared length."""

    admission: "Admission"
    declared: int = 0
    reserved: int = 0
    weight: int = 0
    """What it takes once it is taken apart."""
    waiting: int = 0
    """What it counts among those that wait for their answers, once its body is here."""

    def __enter__(self) -> Self:
        self.reserve(self.declared)
        return self

    def __exit__(self, *_: object) -> None:
        self.admission.release(self)

    def body_received(self, size: int) -> None:
        """A body of `size` bytes is here; HttpProblem 503 when too many others wait for their answers already."""
        self.waiting = self.admission.count_waiting(size)

    async def begin(self, body: bytes) -> None:
        """Wait until the body may be taken apart."""
        if len(body) > CHEAP_BYTES or body[:1] != b"{":
            weight = weight_of(body)
            await self.admission.work.take(weight)
            self.weight = weight

    def reserve(self, size: int) -> None:
        """Take as much as a body of `size` bytes needs; HttpProblem 503 when there is no room for it."""
        free = SMALL_BYTES if self.declared else UNDECLARED_BYTES
        more = size - self.reserved if size > free else 0
        if more > 0:
            self.admission.reserve(more, declared=self.declared > 0)
            self.reserved += more


_AT_ONCE = contextlib.nullcontext()


@dataclass(slots=True)
class Admission:
    """Bounds the memory of large bodies by `budget_bytes`, and the work on them by `at_once`.

    Bodies of undeclared length get `undeclared_bytes` of it: hardly any client sends one, and attackers do.

    Answers get `answer_bytes` of it, so that clients that do not read exclude no body: pages while they are made, and
    any answer until the other side has read it.

    `waiting_bytes` bounds the requests whose bodies are received: with more, every answer would be too late. Requests
    whose bodies are still arriving do not count: slow clients must not exclude others.
    """

    budget_bytes: int = BUDGET_BYTES
    at_once: int = 2
    waiting_bytes: int = WAITING_BYTES
    undeclared_bytes: int = BUDGET_BYTES
    waiting_pages: int = WAITING_PAGES
    answer_bytes: int = ANSWER_BYTES
    work: Weights = field(default_factory=lambda: Weights(WORK_BYTES))
    lanes: Lanes = field(default_factory=Lanes)
    _answers: int = 0
    _pages_waiting: int = 0
    _reserved: int = 0
    _undeclared: int = 0
    _waiting: int = 0
    _refused: int = 0
    _turns: asyncio.Semaphore = field(init=False)
    _pages: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._turns = asyncio.Semaphore(self.at_once)
        self._pages = asyncio.Semaphore(1)

    def reservation(self, declared: int | None) -> Reservation:
        """Memory for one body of `declared` bytes, or of an unknown length; entering it is 503 when there is none."""
        return Reservation(self, declared or 0)

    def release(self, reservation: Reservation) -> None:
        """Return what an answered request had reserved."""
        self._reserved -= reservation.reserved
        self._undeclared -= 0 if reservation.declared else reservation.reserved
        self._waiting -= reservation.waiting
        if reservation.weight:
            self.work.give(reservation.weight)

    def count_waiting(self, size: int) -> int:
        """Count a request with a body of `size` bytes that waits for its answer; HttpProblem when they are too many.

        Gives what was counted.
        """
        counted = REQUEST_BYTES + min(size, COUNTED_BODY_BYTES)
        if self._waiting + counted > self.waiting_bytes:
            self._refused += 1
            raise HttpProblem(
                UNAVAILABLE,
                f"{BUSY}. Nothing was stored: send this one again.",
                errors=[Problem("", BUSY.code, "Send fewer at once, or many conversions in one array.")],
                headers={"Retry-After": str(1 + self._refused % SPREAD_SECONDS)},
            )
        self._waiting += counted
        return counted

    def reserve(self, size: int, *, declared: bool) -> None:
        """Reserve `size` bytes of a body whose length was declared or not; HttpProblem when there is no room."""
        if not declared and self._undeclared + size > self.undeclared_bytes:
            detail = "Too many large bodies of unknown length are being read. Nothing was stored: send this one again"
            raise HttpProblem(UNAVAILABLE, f"{detail}, with a Content-Length.", headers=RETRY, close=True)
        if self._reserved + size > self.budget_bytes:
            detail = "Too many large bodies are being read. Nothing was stored: send this one again."
            raise HttpProblem(UNAVAILABLE, detail, headers=RETRY, close=True)
        self._reserved += size
        self._undeclared += 0 if declared else size

    def turn(self, size: int) -> contextlib.AbstractAsyncContextManager[None]:
        """Waits until a body of `size` bytes may be worked on; small ones never wait."""
        return _AT_ONCE if size <= SMALL_BYTES else self._turns

    @contextlib.asynccontextmanager
    async def page(self, rows: int) -> AsyncIterator[None]:
        """A turn to read `rows` rows and make an answer of them; HttpProblem 503 when too many wait.

        Small pages need no turn. All need memory, which unread answers hold.
        """
        size = rows * ROW_BYTES
        self.check_answers(size)
        if size <= SMALL_BYTES:
            yield
            return
        if self._pages_waiting >= self.waiting_pages:
            raise self._no_answer()
        self._pages_waiting += 1
        try:
            async with self._pages:
                self.check_answers(size)
                self.hold(size)
                try:
                    yield
                finally:
                    self.hold(-size)
        finally:
            self._pages_waiting -= 1

    def check_answers(self, size: int = 0) -> None:
        """HttpProblem 503 when there is no room for an answer of `size` bytes."""
        if self._answers + size > self.answer_bytes or self._reserved + size > self.budget_bytes:
            raise self._no_answer()

    def check_answer(self, size: int, *, outcome_unknown: bool) -> None:
        """HttpProblem 503 when an answer that is made already, of `size` bytes, cannot wait for its reader."""
        if self._reserved + UNREAD_FACTOR * size > self.budget_bytes:
            raise self._no_answer(UNKNOWN_OUTCOME if outcome_unknown else ASK_AGAIN)

    def unread(self, size: int) -> int:
        """Count what a socket has not taken of an answer; gives what to hand to `was_read`, 0 without room for it."""
        if self._reserved + size > self.budget_bytes:
            return 0
        self.hold(size)
        return size

    def was_read(self, taken: int) -> None:
        """The socket took it all, or the connection is gone."""
        self.hold(-taken)

    def hold(self, size: int) -> None:
        """Count `size` bytes of an answer while it is written: they stay in memory until its socket has taken them."""
        self._reserved += size
        self._answers += size

    def _no_answer(self, then: str = ASK_AGAIN) -> HttpProblem:
        self._refused += 1
        detail = f"Too many answers are being made, or were made and are not read. {then}"
        return HttpProblem(UNAVAILABLE, detail, headers={"Retry-After": str(1 + self._refused % SPREAD_SECONDS)})


def size_of(response: web.StreamResponse) -> int:
    """The bytes of its body, where it has one."""
    body = response.body if isinstance(response, web.Response) else None
    return len(body) if isinstance(body, bytes) else 0


def weight_of(body: bytes) -> int:
    """What becomes of a body at worst once it is taken apart."""
    items = 1 if body.lstrip()[:1] == b"{" else min(_MOST_ITEMS, len(body) // _LEAST_ITEM_BYTES)
    return BYTES_A_BYTE * len(body) + BYTES_AN_ITEM * items


ADMISSION = web.AppKey("admission", Admission)


def admission_of(request: web.Request) -> Admission:
    """That of the application; one without others where it has none."""
    found = request.app.get(ADMISSION)
    return Admission() if found is None else found
