"""What makes one replica of several of this process: what it begins and ends with an account, and what it hears."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import count

from sidecar.delivery.flusher import Flusher
from sidecar.delivery.gates import Gates
from sidecar.delivery.holdings import LOOK_SECONDS, Holdings, timed_look
from sidecar.delivery.pauses import AccountPauses
from sidecar.goals.catalogue import GoalCatalogue
from sidecar.microsoft.platform import MicrosoftAdvertising
from sidecar.microsoft.rate_limiter import RateLimiter
from sidecar.microsoft.shared_token import SharedToken
from sidecar.microsoft.tokens import TokenSource
from sidecar.ports.leases import TOKEN, UPKEEP, Leases
from sidecar.service.microsoft_wiring import PlatformParts
from sidecar.service.runtime import Runtime
from sidecar.service.shared_pace import SharedPace, restore_throttles
from sidecar.service.shared_standing import SharedStanding
from sidecar.store.store import Store
from sidecar.telemetry import Telemetry
from sidecar.telemetry.match_shares import MatchShares
from sidecar.upkeep.alerts import Alerts
from sidecar.upkeep.erasure import Eraser
from sidecar.upkeep.housekeeping import SHARED_SHARES_SECONDS, Housekeeping

ARRIVED, BORROWED = "arrived:", "borrowed:"
"""Before the name of an account: rows of it arrived, or a call of it is made, at a replica that does not hold it."""

BORROW_SECONDS = 2 * LOOK_SECONDS
"""How long a call waits for the replica that holds its account to count it among its own."""

CLOCK_LOOKS = 20
"""How often the store is asked for the time at a start, until an answer is quick enough."""

PAUSES, ERASURES, THROTTLES, TOKEN_STORED, SHARES = "pauses", "erasures", "throttles", "token", "shares"

REFUSED = "refused:"
"""Before the digest of an access token that Microsoft did not accept."""


@dataclass(frozen=True, slots=True)
class AccountTasks:
    """Implements `delivery.holdings.AccountWork`: a courier, and the readings of goals."""

    store: Store
    flusher: Flusher
    catalogue: GoalCatalogue
    platform: MicrosoftAdvertising
    gates: Gates
    clock: Runtime

    async def begin(self, accounts: Collection[str]) -> None:
        names = sorted(accounts)
        await restore_throttles(self.store.outbox, self.gates, self.platform, self.clock.now())
        await self.catalogue.load()
        self.platform.rate_limiter.begin_again(names)
        self.catalogue.expect(names)
        self.flusher.serve(names)

    async def end(self, account: str) -> None:
        await self.flusher.end(account)
        await self.catalogue.end(account)

    def abandon(self, accounts: Collection[str]) -> None:
        self.flusher.abandon(accounts)
        self.catalogue.forget(accounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaParts:
    """The parts of this process that work with those of other replicas."""

    store: Store
    telemetry: Telemetry
    gates: Gates
    clock: Runtime
    platform: PlatformParts
    flusher: Flusher
    catalogue: GoalCatalogue
    pauses: AccountPauses
    eraser: Eraser
    housekeeping: Housekeeping
    alerts: Alerts | None


def join_replicas(parts: ReplicaParts, accounts: Callable[[], Collection[str]]) -> Holdings:
    """Make this process one of the replicas over its store; over a file it is the only one, which holds everything.

    Each part is connected with what it asks of the other replicas, and with what it announces to them.
    """
    store, platform, gates, flusher, clock = parts.store, parts.platform, parts.gates, parts.flusher, parts.clock
    matches = parts.telemetry.intake.matches
    tasks = AccountTasks(store, flusher, parts.catalogue, platform.advertising, gates, clock)
    peers = PeerChanges(store, flusher, parts.pauses, parts.eraser, gates, clock, platform, matches)
    holdings = Holdings(store.leases, accounts, parts.telemetry, clock.elapsed, tasks, peers.apply)
    holdings.due, holdings.revived, holdings.time_is = flusher.due, lambda: gates.changed(), clock.lead
    holdings.share = SharedStanding(store.leases, parts.telemetry.board, gates, clock.elapsed).share
    gates.holds = platform.advertising.holds = holdings.holds
    flusher.elsewhere = lambda rows: holdings.announce(*(ARRIVED + account for account in rows))
    parts.pauses.announce = lambda: holdings.announce(PAUSES)
    share_upkeep(holdings, parts.eraser, parts.housekeeping, parts.alerts, platform.tokens)
    share_matches(holdings, parts.housekeeping, matches)
    limiter = platform.advertising.rate_limiter
    share_pace(holdings, limiter)
    pace = SharedPace(store.outbox, limiter, parts.telemetry, clock.now, lambda: holdings.announce(THROTTLES))
    limiter.on_throttled = pace.throttled
    if platform.shared_token is not None:
        share_token(holdings, platform.shared_token)
    return holdings


async def follow_clock(leases: Leases, clock: Runtime) -> None:
    """From now on go by the store's clock, where it has one: no time is written by that of this machine."""
    for _ in range(CLOCK_LOOKS if leases.is_shared and clock.follows_store else 0):
        if (at := (await timed_look(leases, clock.elapsed)).at) is not None:
            clock.lead(at)
            break


def share_upkeep(
    holdings: Holdings, eraser: Eraser, housekeeping: Housekeeping, alerts: Alerts | None, tokens: TokenSource
) -> None:
    """Let one replica do what must be done once, and another go on with it once that one is gone."""

    def is_ours() -> bool:
        return holdings.does(UPKEEP)

    def changed() -> None:
        eraser.wake()
        tokens.forget_stored()
        if alerts is not None:
            alerts.wake()

    eraser.is_ours = housekeeping.is_ours = is_ours
    eraser.announce = lambda: holdings.announce(ERASURES)
    if alerts is not None:
        alerts.is_ours = is_ours
    holdings.duties_changed = changed


def share_matches(holdings: Holdings, housekeeping: Housekeeping, matches: MatchShares) -> None:
    """Let all replicas add up what conversions can be matched by, and one of them judge it."""
    if not holdings.leases.is_shared:
        return
    matches.is_ours = lambda: holdings.does(UPKEEP)
    housekeeping.shares_seconds = SHARED_SHARES_SECONDS
    housekeeping.shares_saved = lambda: holdings.announce(SHARES)
    others = holdings.duties_changed

    def changed() -> None:
        others()
        matches.judge()

    holdings.duties_changed = changed


def share_pace(holdings: Holdings, limiter: RateLimiter) -> None:
    """Let each call of an account count at the replica that holds it, also one that another replica makes."""
    numbers, turn = count(), asyncio.Lock()

    async def borrow(account: str) -> bool:
        if holdings.holds(account):
            return False
        async with turn:
            await holdings.leases.announce([f"{BORROWED}{account}:{id(turn):x}{next(numbers)}"])
            await asyncio.sleep(BORROW_SECONDS)
        return True

    limiter.borrow = borrow


def share_token(holdings: Holdings, shared: SharedToken) -> None:
    """Let one replica ask Microsoft for tokens, and announce each to the others."""
    shared.is_ours = lambda: holdings.does(TOKEN)
    shared.announce = lambda: holdings.announce(TOKEN_STORED)
    shared.announce_refused = lambda refused: holdings.announce(REFUSED + refused)


@dataclass(frozen=True, slots=True)
class PeerChanges:
    """Takes over what other replicas changed."""

    store: Store
    flusher: Flusher
    pauses: AccountPauses
    eraser: Eraser
    gates: Gates
    clock: Runtime
    platform: PlatformParts
    matches: MatchShares
    _counting: set[asyncio.Task[None]] = field(default_factory=set)
    """Permits for calls that other replicas make."""

    async def apply(self, changes: Collection[str]) -> None:
        """Act on each announced change by its name."""
        for change in changes:
            if change.startswith(ARRIVED):
                self.flusher.wake(change.removeprefix(ARRIVED))
            if change.startswith(BORROWED):
                self._count(change.removeprefix(BORROWED).rpartition(":")[0])
        await self._apply_token_changes(changes)
        if PAUSES in changes:
            await self.pauses.refresh()
        if ERASURES in changes:
            self.eraser.wake()
        if SHARES in changes:
            self.matches.restore(await self.store.shares.load())
        if THROTTLES in changes:
            await restore_throttles(self.store.outbox, self.gates, self.platform.advertising, self.clock.now())

    def _count(self, account: str) -> None:
        """Let this replica's own calls of the account wait for one that another replica makes."""
        if self.gates.holds(account):
            task = asyncio.create_task(self._let_pass(account))
            self._counting.add(task)
            task.add_done_callback(self._counting.discard)

    async def _let_pass(self, account: str) -> None:
        limiter = self.platform.advertising.rate_limiter
        await limiter.permit(account)
        await limiter.departure(account)

    async def _apply_token_changes(self, changes: Collection[str]) -> None:
        if (shared := self.platform.shared_token) is None:
            return
        refused = [change.removeprefix(REFUSED) for change in changes if change.startswith(REFUSED)]
        stored = await shared.stored_elsewhere() if TOKEN_STORED in changes else None
        if stored is not None and not stored.value:
            self.platform.tokens.signed_out()
        elif stored is not None or any(shared.refused_elsewhere(one) for one in refused):
            self.platform.tokens.look_again()
