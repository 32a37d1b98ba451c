"""Plays replicas, accounts and group commits event by event, to check the formulas of `bench.capacity`.

Rows arrive at random. Each replica has one writer, which takes what waits as one group. A batch of an account is sent
when it is full, or when its first row has waited for `linger`, at Microsoft's pace.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from bench.capacity import MICROSOFT_PER_MINUTE, MICROSOFT_ROWS, PACE_SHARE, Costs

PACE_SECONDS = 60 / (MICROSOFT_PER_MINUTE * PACE_SHARE)


@dataclass(frozen=True)
class World:
    """What is played."""

    replicas: int
    accounts: int
    rows_a_second: float
    linger_seconds: float
    costs: Costs
    answer_seconds: float = 0.3
    """Of Microsoft."""
    in_flight: int = 8
    """Requests of one account at the same time."""


@dataclass
class Seen:
    """The result, after the beginning was left out."""

    seconds: float
    answers: list[float] = field(default_factory=list)
    """How long each caller waited for its commit."""
    groups: list[int] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    """From the answer to a caller until Microsoft's, of the first row of each batch."""

    @property
    def requests_a_second(self) -> float:
        return len(self.batches) / self.seconds


@dataclass
class Writer:
    """One replica's, with those that wait for it."""

    waiting: list[tuple[float, int]] = field(default_factory=list)
    is_busy: bool = False


@dataclass
class Account:
    """Rows on their way to Microsoft, by the time of their commit."""

    rows: list[float] = field(default_factory=list)
    next_send: float = 0.0
    in_flight: int = 0
    wakes: bool = False


class Simulation:
    """One run; the same seed gives the same run."""

    def __init__(self, world: World, seed: int, warm_up: float, seconds: float) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.from_, self.until = warm_up, warm_up + seconds
        self.seen = Seen(seconds)
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._writers = [Writer() for _ in range(world.replicas)]
        self._accounts = [Account() for _ in range(world.accounts)]

    def run(self) -> Seen:
        self._after(0.0, self._arrive)
        while self._events:
            self.now, _, event = heapq.heappop(self._events)
            if self.now > self.until:
                break
            event()
        return self.seen

    def _after(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), event))

    @property
    def _counts(self) -> bool:
        return self.now >= self.from_

    def _arrive(self) -> None:
        """A row of any account comes to any replica; the next one follows."""
        writer = self._writers[self.chance.randrange(self.world.replicas)]
        writer.waiting.append((self.now, self.chance.randrange(self.world.accounts)))
        if not writer.is_busy:
            self._write(writer)
        self._after(self.chance.expovariate(self.world.rows_a_second), self._arrive)

    def _write(self, writer: Writer) -> None:
        group, writer.waiting, writer.is_busy = writer.waiting, [], True
        costs = self.world.costs
        took = costs.commit_seconds + len(group) * costs.write_row_micros / 1e6
        self._after(took, lambda: self._committed(writer, group))

    def _committed(self, writer: Writer, group: list[tuple[float, int]]) -> None:
        if self._counts:
            self.seen.groups.append(len(group))
            self.seen.answers.extend(self.now - came for came, _ in group)
        for _, number in group:
            account = self._accounts[number]
            account.rows.append(self.now)
            self._consider(account)
        writer.is_busy = False
        if writer.waiting:
            self._write(writer)

    def _consider(self, account: Account) -> None:
        """Send what is due, or look again when it will be."""
        while account.rows and account.in_flight < self.world.in_flight:
            due = account.rows[0] + self.world.linger_seconds
            at = max(account.next_send, self.now if len(account.rows) >= MICROSOFT_ROWS else due)
            if at > self.now:
                if not account.wakes:
                    account.wakes = True
                    self._after(at - self.now, lambda: self._woken(account))
                return
            self._send(account)

    def _woken(self, account: Account) -> None:
        account.wakes = False
        self._consider(account)

    def _send(self, account: Account) -> None:
        batch, account.rows = account.rows[:MICROSOFT_ROWS], account.rows[MICROSOFT_ROWS:]
        account.next_send = self.now + PACE_SECONDS
        account.in_flight += 1
        self._after(self.world.answer_seconds, lambda: self._delivered(account, batch))

    def _delivered(self, account: Account, batch: list[float]) -> None:
        account.in_flight -= 1
        if self._counts:
            self.seen.batches.append(len(batch))
            self.seen.delays.append(self.now - batch[0])
        self._consider(account)
