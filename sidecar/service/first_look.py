"""The doctor without a running sidecar: looks at configuration, outbox and disk, and asks the hosts of Microsoft."""

import asyncio
import os
import shutil
from pathlib import Path

from sidecar.config import Config, ConfigError, LoadedConfig, load, locate
from sidecar.core.doctor.check import Area, Diagnosed
from sidecar.core.doctor.facts import DiskFacts, Endpoint, FailedCall, StorageFacts
from sidecar.core.doctor.first_look import OutsideFacts, SilentService, look, without_configuration
from sidecar.microsoft.endpoints import Endpoints, endpoints_of
from sidecar.microsoft.reachability import addresses_of, reach
from sidecar.microsoft.tls import UnusableRoots, context
from sidecar.ports.errors import LostKey, OutboxRefused
from sidecar.service.microsoft_wiring import token_store
from sidecar.service.runtime import now
from sidecar.service.settings import Settings
from sidecar.store.opening import glance, has_owner
from sidecar.store.store import OutboxGlance
from sidecar.store.store_url import folder_of, shown
from sidecar.store.tokens import GlancedSecrets


def look_from_outside(given: Path | None, why: str) -> Diagnosed:
    """Report what can be seen without a running sidecar; `why` says that none answers."""
    try:
        path = locate(given, os.environ)
        loaded = load(path, os.environ)
    except ConfigError as error:
        return without_configuration(SilentService(why), str(error))
    storage, seen = _storage(loaded.config)
    service = SilentService(why, has_owner(loaded.config.storage.url), replicas=seen.replicas)
    return look(service, _facts(path, loaded, storage, seen))


def _facts(path: Path, loaded: LoadedConfig, storage: StorageFacts, seen: OutboxGlance) -> OutsideFacts:
    config = loaded.config
    return OutsideFacts(
        config_warnings=[warning.text(str(path)) for warning in loaded.warnings],
        storage=storage,
        disk=_disk(config),
        endpoints=_endpoints(config),
        embeds_emulator=Settings(config).embeds_emulator,
        sign_in=asyncio.run(_sign_in(config, seen)),
    )


async def _sign_in(config: Config, seen: OutboxGlance) -> bool | FailedCall:
    """Whether there is a sign-in to start with: the stored one, or the configured refresh token."""
    try:
        return await token_store(config, GlancedSecrets(seen.sealed)).load() is not None
    except LostKey as error:
        return FailedCall("not_connected", str(error), Area.TOKEN)


def _storage(config: Config) -> tuple[StorageFacts, OutboxGlance]:
    place = shown(config.storage.url)
    try:
        seen = glance(config.storage.url, config.microsoft.environment)
    except OutboxRefused as error:
        return StorageFacts(place, FailedCall("storage_failed", str(error), Area.STORAGE)), OutboxGlance()
    exists = seen.schema is not None
    facts = StorageFacts(place, None, exists, seen.schema, seen.environment, seen.size_bytes)
    return facts, seen


def _disk(config: Config) -> DiskFacts:
    """The disk of the outbox's folder, or of the first one above it that exists."""
    folder = folder_of(config.storage.url)
    if folder is None:
        return DiskFacts(None, config.storage.min_free_disk)
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    return DiskFacts(shutil.disk_usage(there).free, config.storage.min_free_disk)


def _endpoints(config: Config) -> list[Endpoint]:
    """Ask each host, unless the emulator is embedded."""
    if Settings(config).embeds_emulator:
        return []
    microsoft = config.microsoft
    endpoints = endpoints_of(microsoft.environment, microsoft.tenant, microsoft.endpoints.given())
    ca_bundle = microsoft.ca_bundle
    try:
        tls = context(Path(ca_bundle) if ca_bundle else None)
    except UnusableRoots as error:
        return [Endpoint(_hosts(endpoints), FailedCall("tls_failed", str(error), Area.CONNECTION))]
    return list(asyncio.run(reach(addresses_of(endpoints), tls, now)))


def _hosts(endpoints: Endpoints) -> str:
    return ", ".join(address.split("/")[2] for address in addresses_of(endpoints))
