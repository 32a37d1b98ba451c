"""Which part gets which: opens everything the service is made of and puts it together. Starts nothing."""

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.core.clock import SteadyClock
from sidecar.core.instant import UnixMillis
from sidecar.delivery.claims import Claims
from sidecar.delivery.click_matching import ClickMatcher
from sidecar.delivery.courier import Courier
from sidecar.delivery.flusher import Flusher
from sidecar.delivery.gates import Gates
from sidecar.delivery.goal_feedback import GoalFeedback
from sidecar.delivery.holdings import Holdings
from sidecar.delivery.pauses import AccountPauses
from sidecar.delivery.poison import PoisonSearch
from sidecar.delivery.row_settlement import RowSettlement
from sidecar.delivery.rows_at_stake import Stakes
from sidecar.delivery.sender import Sender
from sidecar.delivery.setbacks import Setbacks
from sidecar.delivery.settlement_writer import SettlementWriter
from sidecar.delivery.settler import Settler
from sidecar.delivery.timestamps import UniqueTimestamps
from sidecar.delivery.timetable import Timetable
from sidecar.goals.catalogue import GoalCatalogue
from sidecar.goals.creating import GoalCreator
from sidecar.goals.frozen_goals import FrozenGoals
from sidecar.goals.judging import GoalJudge
from sidecar.goals.known import KnownGoals
from sidecar.goals.reading import GoalReader
from sidecar.microsoft.platform import MicrosoftAdvertising
from sidecar.microsoft.sign_in_flow import SignInFlow
from sidecar.microsoft.tokens import TokenSource
from sidecar.ports.ad_accounts import AdAccounts
from sidecar.service.alerts_wiring import alerts_of
from sidecar.service.microsoft_wiring import Reach, open_platform
from sidecar.service.replica_wiring import ReplicaParts, follow_clock, join_replicas
from sidecar.service.reports_wiring import reports_of
from sidecar.service.runtime import Runtime
from sidecar.service.settings import Settings
from sidecar.store.opening import open_store
from sidecar.store.store import Store, StoreLimits
from sidecar.telemetry import Telemetry
from sidecar.upkeep.alerts import Alerts
from sidecar.upkeep.erasure import Eraser
from sidecar.upkeep.housekeeping import Housekeeping
from sidecar.upkeep.reports import Reports
from sidecar.upkeep.retraction import Retractor
from sidecar.upkeep.waiting_watch import WaitingWatch

if TYPE_CHECKING:
    from sidecar.emulator import Emulator

DELIVERY_GRACE_SECONDS = 8.0
"""How long requests in flight may take to be answered at a stop; with the grace time of HTTP less than 15 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """What is open and wired, ready to be run."""

    settings: Settings
    telemetry: Telemetry
    gates: Gates
    store: Store
    tokens: TokenSource
    sign_in: SignInFlow
    ad_accounts: AdAccounts
    reach: Reach
    """Asks each host of Microsoft over a new connection."""
    flusher: Flusher
    housekeeping: Housekeeping
    waiting: WaitingWatch
    stakes: Stakes
    pauses: AccountPauses
    catalogue: GoalCatalogue
    eraser: Eraser
    reports: Reports
    holdings: Holdings
    alerts: Alerts | None
    """None without a webhook."""
    last_minute: Callable[[str], tuple[int, int]]
    """How many calls of an account were permitted in the last minute, and how many may be."""
    emulator: "Emulator | None"
    """The embedded one, if there is one."""


async def open_parts(
    stack: contextlib.AsyncExitStack, settings: Settings, telemetry: Telemetry, clock: Runtime
) -> Components:
    """Open everything that `settings` name; `stack` closes it.

    Raises OutboxRefused, UnusableRoots, UnusableProxy.
    """
    telemetry.board.set_accounts(settings.config.accounts)
    telemetry.delivery.goal_of = settings.goal_of
    steady = clock.steady or SteadyClock(clock.now, lambda: clock.now() / 1000)
    gates = Gates()
    store = await stack.enter_async_context(_store(settings, telemetry, clock))
    await follow_clock(store.leases, clock)
    platform = await open_platform(stack, settings, telemetry, store, gates, clock, steady.heard)
    wiring = _Wiring(settings, telemetry, store, gates, platform.advertising, clock)
    pauses = wiring.pauses()
    await pauses.restore()
    catalogue = wiring.catalogue()
    flusher = wiring.flusher(catalogue.known)
    gates.changed, gates.opened = _wake_all(flusher, catalogue), _wake_one(flusher, catalogue)
    flusher.begun = catalogue.hasten
    steady.on_jump = catalogue.read_soon
    waiting = wiring.waiting_watch()
    eraser = wiring.eraser(flusher)
    stakes = Stakes(store.outbox, gates, settings.goal_of, wiring.accounts)
    housekeeping = wiring.housekeeping(steady, waiting)
    alerts = alerts_of(settings, telemetry, store, stakes, clock)
    replica = ReplicaParts(
        store=store,
        telemetry=telemetry,
        gates=gates,
        clock=clock,
        platform=platform,
        flusher=flusher,
        catalogue=catalogue,
        pauses=pauses,
        eraser=eraser,
        housekeeping=housekeeping,
        alerts=alerts,
    )
    holdings = join_replicas(replica, wiring.accounts)
    steady.on_step = _step(gates, holdings)
    telemetry.intake.matches.retain({goal for _, goal in settings.goals_of_accounts()})
    telemetry.intake.matches.restore(await store.shares.load())
    return Components(
        settings=settings,
        telemetry=telemetry,
        gates=gates,
        store=store,
        tokens=platform.tokens,
        sign_in=platform.sign_in,
        ad_accounts=platform.customers,
        reach=platform.reach,
        flusher=flusher,
        housekeeping=housekeeping,
        waiting=waiting,
        stakes=stakes,
        pauses=pauses,
        catalogue=catalogue,
        eraser=eraser,
        reports=reports_of(settings, telemetry, store, gates, platform.advertising, catalogue.known, clock),
        holdings=holdings,
        alerts=alerts,
        last_minute=platform.advertising.last_minute,
        emulator=platform.emulator,
    )


def _store(settings: Settings, telemetry: Telemetry, clock: Runtime) -> contextlib.AbstractAsyncContextManager[Store]:
    config, storage = settings.config, settings.config.storage
    limits = StoreLimits(
        max_pending=storage.max_pending,
        min_free_bytes=storage.min_free_disk,
        adjustment_delay_millis=int(config.adjustments.settle * 1000),
        on_group=telemetry.intake.committed,
    )
    return open_store(storage.url, config.microsoft.environment, clock.now, limits)


def _step(gates: Gates, holdings: Holdings) -> Callable[[int], None]:
    def step(millis: int) -> None:
        gates.shift(millis)
        gates.changed()
        holdings.sweep_soon()

    return step


def _wake_all(flusher: Flusher, catalogue: GoalCatalogue) -> Callable[[], None]:
    def wake() -> None:
        flusher.wake_all()
        catalogue.wake()

    return wake


def _wake_one(flusher: Flusher, catalogue: GoalCatalogue) -> Callable[[str], None]:
    def wake(account: str) -> None:
        flusher.look_again(account)
        catalogue.look_again(account)

    return wake


@dataclass(frozen=True, slots=True)
class _Wiring:
    """What nearly every part needs. Each method builds one part."""

    settings: Settings
    telemetry: Telemetry
    store: Store
    gates: Gates
    platform: MicrosoftAdvertising
    clock: Runtime

    @property
    def now(self) -> Callable[[], UnixMillis]:
        """The clock of all parts."""
        return self.clock.now

    def accounts(self) -> Collection[str]:
        """The configured accounts; whether one is among them is a look into a table."""
        return self.settings.config.accounts.keys()

    def pauses(self) -> AccountPauses:
        """Which accounts an operator has paused."""
        return AccountPauses(self.store.pauses, self.gates, self.telemetry, self.now, self.accounts)

    def flusher(self, known: KnownGoals) -> Flusher:
        """A courier for each account of which something is due."""
        settings, outbox, telemetry, now = self.settings, self.store.outbox, self.telemetry, self.now
        sender = Sender(self.platform, self.gates, self._settler(), telemetry, now)
        clicks = ClickMatcher(outbox, self.store.clicks, telemetry, now, settings.attribution, known.traits)
        timestamps = UniqueTimestamps(outbox, now)

        def courier(account: str) -> Courier:
            def goals() -> Mapping[str, str]:
                return settings.goals(account)

            def drops(goal: str) -> bool:
                return known.drops(account, goal)

            claims = Claims(account, outbox, self.platform, clicks, timestamps, telemetry, now, goals, drops)
            timetable = Timetable(account, outbox, self.platform, self.gates, now, settings.delivery, goals)
            return Courier(account, timetable, self.platform, claims, sender, telemetry, now)

        return Flusher(courier, DELIVERY_GRACE_SECONDS)

    def _settler(self) -> Settler:
        telemetry, gates, now, chance = self.telemetry, self.gates, self.now, self.clock.chance
        writer = SettlementWriter(self.store.outbox, telemetry)
        feedback = GoalFeedback(self.store.outbox, gates, telemetry, now, self.settings.names_goal)
        rows = RowSettlement(writer, feedback, telemetry, now, chance)
        poison = PoisonSearch(writer, rows, gates, telemetry, now, chance)
        setbacks = Setbacks(writer, self.platform, gates, telemetry, now, chance)
        return Settler(writer, rows, poison, setbacks, self.platform, gates, telemetry, now)

    def catalogue(self) -> GoalCatalogue:
        """The goals of all accounts."""
        settings, gates, telemetry, store = self.settings, self.gates, self.telemetry, self.store
        rules = settings.catalogue, self.accounts, settings.goal_rules, settings.every_goal_rule
        known = KnownGoals(self.platform, gates, self.now, *rules)
        judge = GoalJudge(known, store.outbox, gates, telemetry)
        reader = GoalReader(known, judge, self.platform, store.goals, store.outbox, gates, telemetry)
        creator = GoalCreator(known, reader, self.platform, telemetry)
        frozen = FrozenGoals(store.outbox, self.clock.monotonic)
        return GoalCatalogue(known, judge, reader, creator, store.goals, frozen, gates, telemetry)

    def waiting_watch(self) -> WaitingWatch:
        """The search for waiting rows that no trouble mentions."""
        settings = self.settings
        return WaitingWatch(
            self.store.outbox,
            self.gates,
            self.telemetry,
            self.now,
            settings.goal_of,
            self.accounts,
            settings.identities,
        )

    def housekeeping(self, steady: SteadyClock, waiting: WaitingWatch) -> Housekeeping:
        """The periodic maintenance."""
        store = self.store
        return Housekeeping(
            store.outbox,
            store.outbox,
            store.clicks,
            store.journal,
            self.telemetry,
            self.now,
            self.settings.housekeeping,
            steady,
            waiting.look,
            store.shares,
            store.tallies,
            store.unstored,
            store.verdicts,
        )

    def eraser(self, flusher: Flusher) -> Eraser:
        """The worker that carries out erasures."""
        outbox = self.store.outbox
        return Eraser(
            self.store.erasures,
            self.telemetry,
            self.now,
            outbox,
            Retractor(outbox, self.now, flusher.arrived),
        )
