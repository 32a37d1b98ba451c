"""Serves the HTTP API: builds it from the components, listens, and prints the banner."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import click

from sidecar import __version__
from sidecar.api.accounts import AccountCalls
from sidecar.api.ad_accounts import AdAccountCalls
from sidecar.api.alerts import AlertCalls
from sidecar.api.application import ApiParts, make_app, serving
from sidecar.api.doctor import DoctorCalls
from sidecar.api.erasures import ErasureCalls
from sidecar.api.explain import ExplainCalls, Receipts
from sidecar.api.goals import GoalCalls
from sidecar.api.health import Sources
from sidecar.api.http.guard import Guard
from sidecar.api.logs import LogCalls
from sidecar.api.metrics import MetricsCalls
from sidecar.api.overview import OverviewSources
from sidecar.api.request.body import BodyLimits
from sidecar.api.row_json import Rows
from sidecar.api.sign_in import SignInCalls
from sidecar.api.verdict_members import DayVerdicts
from sidecar.api.verdicts import VerdictCalls
from sidecar.config import Config
from sidecar.core.start_errors import cannot_listen
from sidecar.dashboard.pages import DashboardPages
from sidecar.ports.errors import LostKey
from sidecar.service import banner
from sidecar.service.api_key import stored_key
from sidecar.service.doctor_wiring import wire_doctor
from sidecar.service.held_reason import held_reason, lane_reason
from sidecar.service.runtime import Runtime
from sidecar.service.settings import Settings
from sidecar.service.shared_key import shared_key
from sidecar.service.wiring import Components
from sidecar.store.store_url import file_of, folder_of, is_postgres
from sidecar.store.vault import Vault
from sidecar.system.listening import is_loopback
from sidecar.telemetry import TracesOfOrders

GRACE_SECONDS = 4.0
"""How long requests that were read already may take at a stop."""


class CannotListen(Exception):
    """The configured address is not available, or not with what it needs; the text gives the reason."""


@contextlib.asynccontextmanager
async def served(parts: Components, clock: Runtime) -> AsyncIterator[str]:
    """Serve HTTP for as long as the context is open; gives the address. CannotListen when it is not available."""
    server = parts.settings.config.server
    keys, key = await _keys(parts)
    api = _api(parts, clock, keys)
    async with contextlib.AsyncExitStack() as stack:
        try:
            host, port = await stack.enter_async_context(
                serving(make_app(api), api, server.host, server.port, shutdown_seconds=GRACE_SECONDS)
            )
        except OSError as error:
            why = cannot_listen(server.host, server.port, error, host_key="server.host", port_key="server.port")
            raise CannotListen(why) from error
        url, settings = banner.local_url(host, port), parts.settings
        with contextlib.suppress(OSError):  # the service runs even if stderr is closed
            click.echo(banner.lines(url, key, _emulator(settings), _first(settings.config)), err=True)
        yield url


def _api(parts: Components, clock: Runtime, keys: list[str]) -> ApiParts:
    settings, store = parts.settings, parts.store
    config = settings.config
    host = config.server.host
    names = (host, "127.0.0.1", "::1") if host == "localhost" else (host,)  # a name of this machine has its addresses
    return ApiParts(
        outbox=store.outbox,
        clicks=store.clicks,
        telemetry=parts.telemetry,
        guard=Guard.of((*config.server.allowed_hosts, *names), keys),
        health=_health(parts, clock),
        rules=settings.intake,
        capture=settings.capture,
        goal_of=settings.goal_of,
        held=lambda record: held_reason(parts, record, clock.now()),
        stored=parts.flusher.arrived,
        now=clock.now,
        new_id=lambda: f"{int(clock.chance() * 2**64):016x}",  # only to find a request by: it guards nothing
        bodies=BodyLimits(max_bytes=config.server.max_body),
        identity=lambda account: settings.identities().get(account),
        traces=_traces(parts),
        explain=_explain(parts, clock),
        erasures=ErasureCalls(store.erasures, clock.now, parts.eraser.begun, lambda: settings.intake().default_country),
        accounts=AccountCalls(parts.pauses, lambda: settings.config.accounts),
        ad_accounts=AdAccountCalls(parts.ad_accounts, settings.configured_accounts, parts.gates),
        alerts=AlertCalls(parts.alerts),
        goals=_goals(parts),
        sign_in=SignInCalls(parts.sign_in, config.microsoft.environment),
        logs=LogCalls(store.journal, parts.telemetry.followers, traces=_traces(parts)),
        metrics=MetricsCalls(store.outbox, parts.telemetry),
        overview=_overview(parts, clock),
        verdicts=VerdictCalls(store.verdicts, parts.reports.next_at),
        doctor=DoctorCalls(wire_doctor(parts, clock)),
        dashboard=DashboardPages.of_package(),
    )


def _health(parts: Components, clock: Runtime) -> Sources:
    storage, telemetry = parts.settings.config.storage, parts.telemetry
    started, folder = clock.monotonic(), folder_of(storage.url)
    return Sources(
        version=__version__,
        now=clock.now,
        uptime_seconds=lambda: clock.monotonic() - started,
        troubles=telemetry.board.everywhere,
        free_bytes=lambda: None if folder is None else shutil.disk_usage(folder).free,
        min_free_bytes=storage.min_free_disk,
        max_pending=storage.max_pending,
        clock_unsettled=clock.clock_unsettled,
        stake=parts.stakes.of,
        shares=lambda: telemetry.intake.matches.shares,
        signed_in_until=lambda: telemetry.service.signed_in_until,
        standing=lambda: parts.holdings.standing,
    )


def _overview(parts: Components, clock: Runtime) -> OverviewSources:
    settings, telemetry = parts.settings, parts.telemetry
    return OverviewSources(
        version=__version__,
        tallies=parts.store.tallies,
        now=clock.now,
        troubles=telemetry.board.everywhere,
        holds=parts.stakes.holds,
        accounts=lambda: tuple(settings.config.accounts),
        events=lambda account: {event: rule.name for event, rule in settings.goal_rules(account).items()},
        goal_of=settings.goal_of,
        held=lambda account, goal: lane_reason(parts, account, goal, clock.now()),
        shares=lambda: telemetry.intake.matches.shares,
        last_minute=parts.last_minute,
        signed_in_until=lambda: telemetry.service.signed_in_until,
        verdicts=parts.store.verdicts,
    )


def _explain(parts: Components, clock: Runtime) -> ExplainCalls:
    settings, goals, store = parts.settings, parts.catalogue.known, parts.store
    rows = Rows(settings.goal_of, lambda record: held_reason(parts, record, clock.now()), clock.now)
    verdicts = DayVerdicts(store.verdicts, parts.reports.next_at)
    receipts = Receipts(
        store.traces, rows, clock.now, goals.mapped_event, settings.attribution, goals.mapped_goal, verdicts
    )
    return ExplainCalls(store.outbox, receipts, _traces(parts))


def _goals(parts: Components) -> GoalCalls:
    settings = parts.settings
    return GoalCalls(
        parts.catalogue.known,
        parts.catalogue.creator,
        lambda: tuple(settings.config.accounts),
        lambda: settings.catalogue().settle_millis,
        BodyLimits(max_bytes=settings.config.server.max_body),
    )


def _traces(parts: Components) -> TracesOfOrders:
    return TracesOfOrders(parts.telemetry.intake.traces, parts.store.unstored)


async def _keys(parts: Components) -> tuple[list[str], banner.Key]:
    """The keys that calls need, and what to say of them. CannotListen when one has to be made and cannot be kept.

    None on loopback unless some are configured; off loopback there is always one, made at the first start.
    """
    config = parts.settings.config
    configured = [key.get_secret_value() for key in config.server.api_keys]
    if configured:
        return configured, banner.Configured()
    if is_loopback(config.server.host):
        return [], banner.Open()
    key, file, is_new = await (_key_in_database(parts) if is_postgres(config.storage.url) else _key_in_file(config))
    parts.telemetry.hide(key)
    return [key], banner.NewKey(key, file) if is_new else banner.StoredKey(file)


async def _key_in_file(config: Config) -> tuple[str, Path | None, bool]:
    try:
        return stored_key(file_of(config.storage.url))
    except OSError as error:
        raise CannotListen(
            f"{config.server.host} is not loopback, so calls need a key, and none can be kept beside the database: "
            f"{error.filename}: {error.strerror}; name keys of your own in server.api_keys, or make room for that file"
        ) from error


async def _key_in_database(parts: Components) -> tuple[str, Path | None, bool]:
    config = parts.settings.config
    vault = Vault(config.storage.encryption_key.get_secret_value())
    try:
        key, is_new = await shared_key(parts.store.secrets, vault)
    except LostKey as error:
        raise CannotListen(
            f"{config.server.host} is not loopback, so calls need a key, and the one in the database was sealed with "
            "another storage.encryption_key or was damaged; set the earlier key, or name keys of your own in "
            "server.api_keys"
        ) from error
    return key, None, is_new


def _emulator(settings: Settings) -> str | None:
    microsoft = settings.config.microsoft
    if settings.embeds_emulator:
        return "its own emulator"
    return f"the emulator at {microsoft.endpoints.campaign}" if microsoft.environment == "emulator" else None


def _first(config: Config) -> banner.Try:
    event = next(iter(config.events))
    consent = None if config.privacy.consent == "granted" else "granted"
    return banner.Try(event, config.events[event].currency or "USD", consent, config.delivery.linger)
