"""What this replica holds: the task that keeps it alive in the store, takes accounts over and gives them back.

Until when it holds them it counts by a monotonic clock of its own, from before each heartbeat was sent. So a replica
that was stopped, or whose wall clock is wrong, sends nothing once another one may have its accounts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Protocol

from sidecar import loops
from sidecar.core.instant import UnixMillis
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.leases import TOKEN, UPKEEP, Held, Leases, News, ReplicaStanding
from sidecar.telemetry import Telemetry

LOOK_SECONDS = 1.0
"""How often a replica looks whether another one gave something back, or died."""

SWEEP_SECONDS = 5.0
"""How often all accounts are looked through for what is due."""

PRECISE_SECONDS = 0.2
"""An answer that took longer gives the store's time too roughly to follow it."""

GATHER_SECONDS = 0.25
"""How long changes to announce gather, after the first of them went out at once."""

MARGIN_SHARE = 1 / 7
"""By this share of it a replica takes its lease for over earlier than the store: 2 s for what is about to leave."""


async def timed_look(leases: Leases, elapsed: Callable[[], float]) -> News:
    """A look, with the store's time at its end; without one where it took too long."""
    asked_at = elapsed()
    news = await leases.look()
    took = elapsed() - asked_at
    is_precise = news.at is not None and took <= PRECISE_SECONDS
    return replace(news, at=UnixMillis((news.at or 0) + round(took * 500)) if is_precise else None)  # read half-way


class AccountWork(Protocol):
    """What is done for an account by the replica that holds it."""

    async def begin(self, accounts: Collection[str]) -> None:
        """Begin to carry the rows of these accounts, at their pace from its beginning."""

    async def end(self, account: str) -> None:
        """Begin nothing more for the account; return once nothing of it is on its way."""

    def abandon(self, accounts: Collection[str]) -> None:
        """Begin nothing more for these accounts, which another replica may have."""


async def _ignore_changes(changes: Collection[str]) -> None:
    """There are no changes of others where there are no other replicas."""


async def _nothing() -> None:
    """Where there are no other replicas, nothing is shown to them."""


@dataclass(slots=True)
class Holdings:
    """Keeps this replica's leases; `accounts` are those configured now, `elapsed` gives monotonic seconds."""

    leases: Leases
    accounts: Callable[[], Collection[str]]
    telemetry: Telemetry
    elapsed: Callable[[], float]
    work: AccountWork
    apply: Callable[[Collection[str]], Awaitable[None]] = _ignore_changes
    """Takes over what other replicas changed."""
    duties_changed: Callable[[], None] = lambda: None
    revived: Callable[[], None] = lambda: None
    """Called when this replica may send again, after a heartbeat that was late."""
    due: Callable[[str], None] = lambda account: None
    """Called with each account that has something due, every few seconds."""
    share: Callable[[], Awaitable[None]] = _nothing
    """Shows the other replicas what stands in the way here, and takes over what they show."""
    _sweep_at: float = float("-inf")
    time_is: Callable[[UnixMillis], None] = lambda at: None
    """Follows the store's clock."""
    replicas: int = 1
    """How many were alive at the last heartbeat."""
    _accounts: frozenset[str] = frozenset()
    _duties: frozenset[str] = frozenset()
    _until: float = float("-inf")
    _beat_at: float = float("-inf")
    _giving: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _unapplied: frozenset[str] = frozenset()
    _unannounced: set[str] = field(default_factory=set)
    _announcing: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False

    def holds(self, account: str) -> bool:
        """Whether this replica alone may send for the account now."""
        return not self.leases.is_shared or (account in self._accounts and self._is_alive)

    def does(self, duty: str) -> bool:
        """Whether this replica alone has UPKEEP or TOKEN now."""
        return not self.leases.is_shared or (duty in self._duties and self._is_alive)

    @property
    def held(self) -> Collection[str]:
        """The accounts that it holds now."""
        return tuple(account for account in self.accounts() if self.holds(account))

    @property
    def standing(self) -> ReplicaStanding | None:
        """This replica among the others; None where the store is not shared."""
        if not self.leases.is_shared:
            return None
        duties = tuple(duty for duty in (TOKEN, UPKEEP) if self.does(duty))
        return ReplicaStanding(self.replicas, len(self.held), duties)

    @property
    def _is_alive(self) -> bool:
        return self.elapsed() < self._until

    async def run(self) -> None:
        """Take and keep accounts until `leave`. Over a store that is not shared everything is held."""
        await (self._take_part() if self.leases.is_shared else self._sweep_alone())

    async def _take_part(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            announcing = tasks.create_task(self._announce_all())
            while not self._stopping:
                with loops.reported(self.telemetry.service, "leases"):
                    await self._round()
                await loops.wait_for_wake(self._wake, LOOK_SECONDS)
            announcing.cancel()

    async def _sweep_alone(self) -> None:
        while not self._stopping:
            with loops.reported(self.telemetry.service, "what is due"):
                await self._wake_due()
            await loops.wait_for_wake(self._wake, SWEEP_SECONDS)

    def announce(self, *changes: str) -> None:
        """Tell the other replicas that these were changed; those that follow at once go together."""
        if self.leases.is_shared:
            self._unannounced.update(changes)
            self._announcing.set()

    async def _announce_all(self) -> None:
        while True:
            await loops.wait_for_wake(self._announcing, None)
            changes, self._unannounced = self._unannounced, set()
            try:
                await self.leases.announce(changes)
            except StorageUnavailable:
                self._unannounced |= changes
                self._announcing.set()
            await asyncio.sleep(GATHER_SECONDS)

    def changed(self) -> None:
        """The configured accounts are others now."""
        self._beat_at = float("-inf")
        self._wake.set()

    def sweep_soon(self) -> None:
        """Look through all accounts at once: other rows may be due now."""
        self._sweep_at = float("-inf")
        self._wake.set()

    async def leave(self) -> None:
        """Give everything back, after the last request was settled: others have it at once."""
        self._stopping = True
        self._wake.set()
        for task in self._giving.values():
            task.cancel()
        async with self._turn:
            self._accounts = self._duties = frozenset()
            with loops.reported(self.telemetry.service, "leases"):
                await self.leases.leave()

    async def _round(self) -> None:
        news = await timed_look(self.leases, self.elapsed)
        if news.at is not None:
            self.time_is(news.at)
        if news.is_moved or self.elapsed() >= self._beat_at:
            await self.beat()
        self._unapplied |= news.changes
        if self._unapplied:
            await self.apply(self._unapplied)
            self._unapplied = frozenset()
        if self.elapsed() >= self._sweep_at:
            await self._sweep()

    async def _sweep(self) -> None:
        """Find what became due by itself, and rows that arrived at a replica which died before it announced them."""
        self._sweep_at = self.elapsed() + SWEEP_SECONDS
        await self._wake_due()
        await self.share()

    async def _wake_due(self) -> None:
        for account in await self.leases.due_accounts():
            self.due(account)

    async def beat(self) -> None:
        """One heartbeat, and what follows from it."""
        async with self._turn:
            if self._stopping:
                return
            asked_at, accounts, was_alive = self.elapsed(), tuple(self.accounts()), self._is_alive
            held = await self.leases.beat(accounts, tuple(self._giving))
            self._until = asked_at + self.leases.lease_seconds * (1 - MARGIN_SHARE)
            self._beat_at = asked_at + self.leases.lease_seconds / 3
            await self._adopt(held)
            if not was_alive:
                self.revived()
        for account in held.surplus:
            if account not in self._giving:
                self._giving[account] = asyncio.create_task(self._give(account))

    async def _adopt(self, held: Held) -> None:
        """Begin what is new and leave what is gone; what cannot begin now is new again at the next heartbeat."""
        kept = frozenset() if held.began_again else self._accounts & held.accounts
        lost, taken = self._accounts - kept, held.accounts - kept
        is_other = self._duties != held.duties
        self._accounts, self._duties, self.replicas = kept, held.duties, held.replicas
        if lost:
            self.work.abandon(lost)
        if is_other:
            self.duties_changed()
        if taken:
            await self.work.begin(taken)
            self._accounts = held.accounts
            self._sweep_at = float("-inf")

    async def _give(self, account: str) -> None:
        """Give an account back once nothing of it is on its way."""
        try:
            with loops.reported(self.telemetry.service, "leases"):
                await self.work.end(account)
                async with self._turn:
                    self._accounts -= {account}
                    await self.leases.release([account])
        finally:
            self._giving.pop(account, None)
