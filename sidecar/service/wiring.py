"""Which part gets which: opens everything the service is made of and puts it together. Starts nothing."""

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.config import Config
from sidecar.core.clock import SteadyClock
from sidecar.core.entry import Reason
from sidecar.core.instant import UnixMillis
from sidecar.delivery.claims import Claims
from sidecar.delivery.click_matching import ClickMatcher
from sidecar.delivery.courier import Courier
from sidecar.delivery.flusher import Flusher
from sidecar.delivery.gates import Gates
from sidecar.delivery.goal_feedback import GoalFeedback
from sidecar.delivery.pauses import AccountPauses
from sidecar.delivery.poison import PoisonSearch
from sidecar.delivery.row_settlement import RowSettlement
from sidecar.delivery.sender import Sender
from sidecar.delivery.setbacks import Setbacks
from sidecar.delivery.settlement_writer import SettlementWriter
from sidecar.delivery.settler import Settler
from sidecar.delivery.stakes import Stakes
from sidecar.delivery.timestamps import UniqueTimestamps
from sidecar.delivery.timetable import Timetable
from sidecar.emulator import SEED_REFRESH_TOKEN, Emulator, EmulatorOptions, UnusableState
from sidecar.goals.catalogue import GoalCatalogue
from sidecar.goals.creating import GoalCreator
from sidecar.goals.judging import GoalJudge
from sidecar.goals.known import KnownGoals
from sidecar.goals.reading import GoalReader
from sidecar.microsoft.client import open_client
from sidecar.microsoft.endpoints import Endpoints, endpoints_of
from sidecar.microsoft.oauth import Application, OAuthClient
from sidecar.microsoft.pacer import Pacer
from sidecar.microsoft.platform import MicrosoftAdvertising
from sidecar.microsoft.proxy_settings import ProxySettings
from sidecar.microsoft.sign_in_errors import detail_of
from sidecar.microsoft.sign_in_flow import FinishedSignIn, SignInFlow
from sidecar.microsoft.tls import context
from sidecar.microsoft.tokens import Connection, TokenSource
from sidecar.ports.errors import OutboxRefused
from sidecar.ports.outbox import Outbox
from sidecar.ports.upkeep import Secrets
from sidecar.service.runtime import Runtime
from sidecar.service.settings import Settings
from sidecar.store.opening import open_store
from sidecar.store.store import Store, StoreLimits
from sidecar.store.tokens import SealedTokens
from sidecar.store.vault import Vault
from sidecar.telemetry import Telemetry
from sidecar.upkeep.erasure import Eraser
from sidecar.upkeep.housekeeping import Housekeeping
from sidecar.upkeep.retraction import Retractor
from sidecar.upkeep.waiting_watch import WaitingWatch

DELIVERY_GRACE_SECONDS = 8.0
"""How long requests on their way may take to come back at a stop; with the HTTP side's grace below 15 s."""

EMULATOR_CLIENT_ID = "test-emulator-application"
EMULATOR_DEVELOPER_TOKEN = "test-emulator-developer-token"  # noqa: S105 - the emulator takes any


@dataclass(frozen=True, slots=True)
class Components:
    """What is open and wired, ready to be run."""

    settings: Settings
    telemetry: Telemetry
    gates: Gates
    store: Store
    tokens: TokenSource
    connector: SignInFlow
    flusher: Flusher
    housekeeping: Housekeeping
    waiting: WaitingWatch
    stakes: Stakes
    pausing: AccountPauses
    catalogue: GoalCatalogue
    eraser: Eraser
    emulator: Emulator | None
    """The embedded one, if there is one."""


async def open_parts(
    stack: contextlib.AsyncExitStack, settings: Settings, telemetry: Telemetry, clock: Runtime
) -> Components:
    """Open everything that `settings` names; `stack` closes it.

    Raises OutboxRefused, UnusableRoots, UnusableProxy.
    """
    telemetry.board.set_accounts(settings.config.accounts)
    telemetry.delivery.goal_of = settings.goal_of
    store = await stack.enter_async_context(_store(settings.config, telemetry, clock))
    outbox = store.outbox
    gates = Gates()
    steady = clock.steady or SteadyClock(clock.now, lambda: clock.now() / 1000)
    steady.on_step = gates.shift
    emulator = await _embedded_emulator(stack, settings, clock)
    endpoints = _endpoints(settings.config, emulator)
    ca_bundle = settings.config.microsoft.ca_bundle
    tls = context(Path(ca_bundle) if ca_bundle else None, emulator.ca_pem if emulator else None)
    proxies = ProxySettings.of(os.environ)
    sign_in = OAuthClient(_application(settings.config, endpoints), tls, proxies=proxies)
    tokens = TokenSource(
        sign_in,
        _token_store(settings.config, store.secrets),
        now=clock.now,
        chance=clock.chance,
        on_change=_on_connection(gates, telemetry),
    )
    client = await stack.enter_async_context(
        open_client(endpoints.campaign, tls, lambda: settings.config.delivery.request_timeout, steady.heard, proxies)
    )
    pacer = Pacer(
        lambda: settings.config.delivery.requests_per_minute,
        clock.monotonic,
        settings.customers,
        gates.accounts.history,
    )
    platform = MicrosoftAdvertising(client, tokens, pacer, _developer_token(settings.config), settings.accounts)
    await _keep_waiting(outbox, gates, platform, clock.now())
    pausing = AccountPauses(store.pauses, gates, telemetry, clock.now, lambda: settings.config.accounts)
    await pausing.restore()
    catalogue = _catalogue(settings, telemetry, gates, store, platform, clock)
    flusher = _flusher(settings, telemetry, gates, store, catalogue, platform, clock)
    telemetry.intake.matches.restore(await store.shares.load())
    waiting = WaitingWatch(
        outbox, gates, telemetry, clock.now, settings.goal_of, lambda: settings.config.accounts, settings.identities
    )
    gates.changed = _waking(flusher, catalogue)
    steady.on_jump = catalogue.read_soon
    return Components(
        settings,
        telemetry,
        gates,
        store,
        tokens,
        SignInFlow(sign_in, tokens, now=clock.now, on_finished=_on_sign_in(gates, telemetry)),
        flusher,
        Housekeeping(
            outbox,
            store.clicks,
            store.journal,
            telemetry,
            clock.now,
            settings.keeping,
            steady,
            waiting.look,
            store.shares,
            store.unstored,
        ),
        waiting,
        Stakes(outbox, gates, settings.goal_of, lambda: settings.config.accounts),
        pausing,
        catalogue,
        Eraser(
            store.erasures,
            telemetry,
            clock.now,
            lambda: {lane.account for lane in outbox.lanes()},
            Retractor(outbox, clock.now, flusher.arrived),
        ),
        emulator,
    )


def _store(config: Config, telemetry: Telemetry, clock: Runtime) -> contextlib.AbstractAsyncContextManager[Store]:
    storage = config.storage
    limits = StoreLimits(
        max_pending=storage.max_pending,
        min_free_bytes=storage.min_free_disk,
        adjustment_delay_millis=int(config.adjustments.settle * 1000),
        on_group=telemetry.intake.committed,
    )
    return open_store(storage.path, config.microsoft.environment, clock.now, limits)


def _flusher(
    settings: Settings,
    telemetry: Telemetry,
    gates: Gates,
    store: Store,
    catalogue: GoalCatalogue,
    platform: MicrosoftAdvertising,
    clock: Runtime,
) -> Flusher:
    outbox = store.outbox
    writer = SettlementWriter(outbox, telemetry)
    feedback = GoalFeedback(outbox, gates, telemetry, clock.now, settings.names_goal)
    rows = RowSettlement(writer, feedback, telemetry, clock.now, clock.chance)
    poison = PoisonSearch(writer, rows, gates, telemetry, clock.now, clock.chance)
    setbacks = Setbacks(writer, platform, gates, telemetry, clock.now, clock.chance)
    settler = Settler(writer, rows, poison, setbacks, platform, gates, telemetry, clock.now)
    click_matcher = ClickMatcher(
        outbox, store.clicks, telemetry, clock.now, settings.attribution, catalogue.known.traits
    )

    sender = Sender(platform, gates, settler, telemetry, clock.now)

    def courier(account: str) -> Courier:
        def goals() -> Mapping[str, str]:
            return settings.goals(account)

        claims = Claims(
            account,
            outbox,
            platform,
            click_matcher,
            UniqueTimestamps(outbox, clock.now),
            telemetry,
            clock.now,
            goals,
            lambda goal: catalogue.known.drops(account, goal),
        )
        timetable = Timetable(account, outbox, platform, gates, clock.now, settings.delivery, goals)
        return Courier(account, timetable, platform, claims, sender, telemetry, clock.now)

    return Flusher(courier, DELIVERY_GRACE_SECONDS)


def _catalogue(
    settings: Settings,
    telemetry: Telemetry,
    gates: Gates,
    store: Store,
    platform: MicrosoftAdvertising,
    clock: Runtime,
) -> GoalCatalogue:
    known = KnownGoals(
        platform,
        gates,
        clock.now,
        settings.catalogue,
        lambda: tuple(settings.config.accounts),
        settings.goal_rules,
        settings.every_goal_rule,
    )
    judge = GoalJudge(known, store.outbox, gates, telemetry)
    reader = GoalReader(known, judge, platform, store.goals, store.outbox, gates, telemetry)
    creator = GoalCreator(known, reader, platform, telemetry)
    return GoalCatalogue(known, judge, reader, creator, store.goals, store.outbox, gates, telemetry)


def _waking(flusher: Flusher, catalogue: GoalCatalogue) -> Callable[[], None]:
    """What is to happen when a gate opens."""

    def wake() -> None:
        flusher.wake_all()
        catalogue.wake()

    return wake


async def _keep_waiting(outbox: Outbox, gates: Gates, platform: MicrosoftAdvertising, now: UnixMillis) -> None:
    """Microsoft's "wait" outlives a restart, for all accounts that share the limit."""
    for account, until in (await outbox.throttled(now)).items():
        if platform.knows(account):
            for sharing in platform.sharing(account):
                gates.close_account(sharing, Reason.THROTTLED, now, until)


async def _embedded_emulator(stack: contextlib.AsyncExitStack, settings: Settings, clock: Runtime) -> Emulator | None:
    if not settings.embeds_emulator:
        return None
    state_file = settings.config.storage.path.with_suffix(".emulator.db")
    options = EmulatorOptions(state_file=state_file, goals=settings.mapped_goals())
    try:
        return await stack.enter_async_context(Emulator(options, clock.now))
    except UnusableState as error:
        raise OutboxRefused(str(error)) from error


def _endpoints(config: Config, emulator: Emulator | None) -> Endpoints:
    """Where Microsoft answers, or the embedded emulator in its place."""
    microsoft = config.microsoft
    if emulator is None:
        return endpoints_of(microsoft.environment, microsoft.tenant, microsoft.endpoints.given())
    addresses = {"campaign": emulator.campaign, "customer": emulator.customer, "authority": emulator.authority}
    return endpoints_of("emulator", microsoft.tenant, addresses)


def _application(config: Config, endpoints: Endpoints) -> Application:
    microsoft = config.microsoft
    client_id = EMULATOR_CLIENT_ID if microsoft.environment == "emulator" else microsoft.client_id
    secret = microsoft.client_secret.get_secret_value()
    return Application(endpoints.authority, client_id, microsoft.redirect_uri, endpoints.scope, secret)


def _token_store(config: Config, secrets: Secrets) -> SealedTokens:
    """The emulator accepts a well-known refresh token, so that it signs itself in."""
    vault = Vault(config.storage.encryption_key.get_secret_value())
    if config.microsoft.environment == "emulator":
        return SealedTokens(secrets, vault, SEED_REFRESH_TOKEN, always_seed=True)
    return SealedTokens(secrets, vault, config.microsoft.refresh_token.get_secret_value())


def _developer_token(config: Config) -> str:
    if config.microsoft.environment == "emulator":
        return EMULATOR_DEVELOPER_TOKEN
    return config.microsoft.developer_token.get_secret_value()


def _on_connection(gates: Gates, telemetry: Telemetry) -> Callable[[Connection], None]:
    """Delivery pauses and resumes with the sign-in; of its troubles the newest stands."""
    raised: list[str] = []

    def tell(connection: Connection) -> None:
        gates.connect(connection.connected)
        while raised and raised[-1] != connection.trouble:
            telemetry.service.trouble_cleared(raised.pop())
        if connection.trouble is not None:
            raised[:] = [connection.trouble]
            detail = detail_of(connection.trouble, connection.message or "")
            telemetry.service.trouble_raised(connection.trouble, detail=detail)
        elif connection.expires_at is not None:
            telemetry.service.token_refreshed(connection.expires_at)
        if not connection.connected:
            telemetry.service.token_lost()

    return tell


def _on_sign_in(gates: Gates, telemetry: Telemetry) -> Callable[[FinishedSignIn], None]:
    def tell(finished: FinishedSignIn) -> None:
        if finished.failure is None:
            telemetry.service.signed_in()
            gates.retry_now()  # as another user, perhaps, whom Microsoft lets do what the one before could not
        else:
            telemetry.service.sign_in_failed(finished.failure.trouble, finished.failure.detail)

    return tell
