"""Wires the doctor of a running sidecar: where each of its facts comes from."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

from sidecar.core.doctor.check import Area
from sidecar.core.doctor.facts import DiskFacts, FailedCall, SignInFacts, StorageFacts
from sidecar.doctor.gathering import Doctor, DoctorSources, failed_call
from sidecar.microsoft.sign_in_errors import detail_of
from sidecar.microsoft.tokens import TokenSource
from sidecar.ports.errors import OutboxRefused, StorageUnavailable
from sidecar.service.runtime import Runtime
from sidecar.service.settings import Settings
from sidecar.service.wiring import Components
from sidecar.store.opening import glance
from sidecar.store.store import Store
from sidecar.store.store_url import folder_of, shown

WRITE_SECONDS = 5.0
"""How long the test write to the outbox may take."""


def wire_doctor(parts: Components, clock: Runtime) -> Doctor:
    """The doctor of these parts."""
    settings, store = parts.settings, parts.store
    config = settings.config
    folder, reserve = folder_of(config.storage.url), config.storage.min_free_disk
    return Doctor(
        DoctorSources(
            now=clock.now,
            warnings=lambda: settings.warnings,
            storage=lambda: storage_facts(store, settings),
            disk=lambda: disk_facts(folder, reserve),
            clock_unsettled=clock.clock_unsettled,
            reach=parts.reach,
            renew=lambda: renew(parts.tokens),
            ad_accounts=parts.ad_accounts,
            catalogue=parts.catalogue,
            ids=lambda: _ids(settings),
            outbox=store.outbox,
            journal=store.journal,
            verdicts=store.verdicts,
            telemetry=parts.telemetry,
        )
    )


def _ids(settings: Settings) -> Mapping[str, tuple[str, str]]:
    return {one.name: (one.customer_id, one.account_id) for one in settings.configured_accounts()}


def disk_facts(folder: Path | None, reserve: int) -> DiskFacts:
    """The free space where the outbox lies; unknown where that is a server."""
    return DiskFacts(None if folder is None else shutil.disk_usage(folder).free, reserve)


async def storage_facts(store: Store, settings: Settings) -> StorageFacts:
    """Write something small to the outbox, and look at it from outside."""
    config = settings.config
    place = shown(config.storage.url)
    failure = await _unwritable(store, config.storage.max_pending)
    try:
        seen = await asyncio.to_thread(glance, config.storage.url, config.microsoft.environment)
    except OutboxRefused as error:
        return StorageFacts(place, failure or FailedCall("storage_failed", str(error), Area.STORAGE))
    return StorageFacts(place, failure, schema=seen.schema, environment=seen.environment, size_bytes=seen.size_bytes)


async def _unwritable(store: Store, max_pending: int) -> FailedCall | None:
    """Why the outbox takes no conversion now, the disk's space aside; None if it does."""
    if (pending := (await store.outbox.counts()).pending) >= max_pending:
        return FailedCall(
            "outbox_growing", f"{pending} rows are waiting, and storage.max_pending allows no more", Area.STORAGE
        )
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            await store.outbox.probe()
    except StorageUnavailable as error:
        return None if error.code == "disk_nearly_full" else FailedCall(error.code, str(error), Area.STORAGE)
    except TimeoutError:
        return FailedCall("storage_failed", "the database did not answer in time", Area.STORAGE)
    return None


async def renew(tokens: TokenSource) -> SignInFacts:
    """Renew the access token; the sign-in as it is then."""
    connection = await tokens.renew()
    failure = None
    if connection.trouble is not None:
        failure = failed_call(connection.trouble, detail_of(connection.trouble, connection.message or ""))
    return SignInFacts(connection.connected, connection.expires_at, failure)
