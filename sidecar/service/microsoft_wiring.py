"""Opens the way to Microsoft, or to the embedded emulator: sign-in, tokens, client and pace."""

import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.config import Config
from sidecar.core.doctor.facts import Endpoint
from sidecar.core.instant import UnixMillis
from sidecar.delivery.gates import Gates
from sidecar.emulator import SEED_REFRESH_TOKEN, EmulatorOptions
from sidecar.microsoft.client import open_client
from sidecar.microsoft.customer_platform import CustomerManagement, own_pace
from sidecar.microsoft.endpoints import Endpoints, endpoints_of
from sidecar.microsoft.oauth import Application, OAuthClient
from sidecar.microsoft.platform import MicrosoftAdvertising
from sidecar.microsoft.proxy_settings import ProxySettings
from sidecar.microsoft.rate_limiter import RateLimiter
from sidecar.microsoft.reachability import addresses_of, reach
from sidecar.microsoft.shared_token import SharedToken
from sidecar.microsoft.sign_in_errors import detail_of
from sidecar.microsoft.sign_in_flow import FinishedSignIn, SignInFlow
from sidecar.microsoft.tls import context
from sidecar.microsoft.tokens import Connection, TokenSource
from sidecar.ports.errors import OutboxRefused
from sidecar.ports.upkeep import Secrets
from sidecar.service.runtime import Runtime
from sidecar.service.settings import Settings
from sidecar.service.shared_pace import restore_throttles
from sidecar.store.store import Store
from sidecar.store.store_url import emulator_file_of
from sidecar.store.tokens import SealedAccess, SealedSignIns, SealedTokens
from sidecar.store.vault import Vault
from sidecar.telemetry import Telemetry

if TYPE_CHECKING:
    from sidecar.emulator import Emulator

EMULATOR_CLIENT_ID = "test-emulator-application"
EMULATOR_DEVELOPER_TOKEN = "test-emulator-developer-token"  # noqa: S105 - the emulator takes any


Reach = Callable[[], Awaitable[Sequence[Endpoint]]]


@dataclass(frozen=True, slots=True)
class PlatformParts:
    """The open ad platform, and the sign-in to it."""

    advertising: MicrosoftAdvertising
    customers: CustomerManagement
    tokens: TokenSource
    shared_token: SharedToken | None
    """Between `tokens` and Microsoft where replicas share the sign-in."""
    sign_in: SignInFlow
    reach: Reach
    """Asks each host over a new connection."""
    emulator: "Emulator | None"
    """The embedded one, if there is one."""


async def open_platform(
    stack: contextlib.AsyncExitStack,
    settings: Settings,
    telemetry: Telemetry,
    store: Store,
    gates: Gates,
    clock: Runtime,
    on_time: Callable[[UnixMillis], None],
) -> PlatformParts:
    """Open the platform that `settings` name; `stack` closes it. `on_time` is called with the time of each answer.

    Raises OutboxRefused, UnusableRoots, UnusableProxy.
    """
    config = settings.config
    emulator = await _embedded_emulator(stack, settings, clock)
    endpoints, ca_bundle = _endpoints(config, emulator), config.microsoft.ca_bundle
    tls = context(Path(ca_bundle) if ca_bundle else None, emulator.ca_pem if emulator else None)
    proxies = ProxySettings.of(os.environ)
    oauth = OAuthClient(_application(config, endpoints), tls, proxies=proxies)
    tokens, shared = _token_source(config, store, oauth, clock, _on_connection(gates, telemetry))
    client, customer_client = [
        await stack.enter_async_context(open_client(base, tls, settings.request_timeout, on_time, proxies))
        for base in (endpoints.campaign, endpoints.customer)
    ]
    rate_limiter = RateLimiter(settings.requests_per_minute, clock.monotonic, settings.sharing, gates.accounts.history)
    developer_token = _developer_token(config)
    advertising = MicrosoftAdvertising(client, tokens, rate_limiter, developer_token, settings.accounts)
    pace, clean = own_pace(settings.requests_per_minute, clock.monotonic), telemetry.cleaned
    customers = CustomerManagement(customer_client, tokens, pace, developer_token, clock.now, clock.monotonic, clean)
    await restore_throttles(store.outbox, gates, advertising, clock.now())
    on_finished, on_signed_out = _on_sign_in(gates, telemetry, customers), _on_signed_out(telemetry, customers)
    begun = SealedSignIns(store.secrets, _vault(config)) if store.leases.is_shared else None
    sign_in = SignInFlow(oauth, tokens, clock.now, on_finished, on_signed_out, begun)
    reached = partial(reach, addresses_of(endpoints), tls, clock.steady.wall if clock.steady else clock.now, proxies)
    return PlatformParts(advertising, customers, tokens, shared, sign_in, reached, emulator)


def _token_source(
    config: Config, store: Store, oauth: OAuthClient, clock: Runtime, on_change: Callable[[Connection], None]
) -> tuple[TokenSource, SharedToken | None]:
    """The owner of tokens, and what is between it and Microsoft where replicas share the sign-in."""
    sealed, shared = token_store(config, store.secrets), None
    if store.leases.is_shared:
        shared = SharedToken(oauth, SealedAccess(store.secrets, _vault(config)), clock.now)
    asked = shared or oauth
    tokens = TokenSource(asked, sealed, now=clock.now, chance=clock.chance, on_change=on_change, shared=shared)
    return tokens, shared


async def _embedded_emulator(stack: contextlib.AsyncExitStack, settings: Settings, clock: Runtime) -> "Emulator | None":
    if not settings.embeds_emulator:
        return None
    from sidecar.emulator import Emulator, UnusableState

    state_file = emulator_file_of(settings.config.storage.url)
    options = EmulatorOptions(state_file=state_file, goals=settings.mapped_goals())
    try:
        return await stack.enter_async_context(Emulator(options, clock.now))
    except UnusableState as error:
        raise OutboxRefused(str(error)) from error


def _endpoints(config: Config, emulator: "Emulator | None") -> Endpoints:
    """Return the addresses of Microsoft, or of the embedded emulator."""
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


def token_store(config: Config, secrets: Secrets) -> SealedTokens:
    """Return the store of the refresh token. The emulator accepts a well-known one, so that no sign-in is needed."""
    vault = _vault(config)
    if config.microsoft.environment == "emulator":
        return SealedTokens(secrets, vault, SEED_REFRESH_TOKEN, always_seed=True)
    return SealedTokens(secrets, vault, config.microsoft.refresh_token.get_secret_value())


def _vault(config: Config) -> Vault:
    """What seals tokens before they are stored."""
    return Vault(config.storage.encryption_key.get_secret_value())


def _developer_token(config: Config) -> str:
    if config.microsoft.environment == "emulator":
        return EMULATOR_DEVELOPER_TOKEN
    return config.microsoft.developer_token.get_secret_value()


def _on_connection(gates: Gates, telemetry: Telemetry) -> Callable[[Connection], None]:
    """Pause and resume delivery with the sign-in, and report its latest trouble."""
    raised: list[str] = []

    def report(connection: Connection) -> None:
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

    return report


def _on_sign_in(gates: Gates, telemetry: Telemetry, customers: CustomerManagement) -> Callable[[FinishedSignIn], None]:
    def report(finished: FinishedSignIn) -> None:
        if finished.failure is None:
            telemetry.service.signed_in()
            customers.forget()
            gates.retry_now()  # the user may be another one, with more rights
        else:
            telemetry.service.sign_in_failed(finished.failure.trouble, finished.failure.detail)

    return report


def _on_signed_out(telemetry: Telemetry, customers: CustomerManagement) -> Callable[[], None]:
    def report() -> None:
        telemetry.service.signed_out()
        customers.forget()

    return report
