"""Builds what posts troubles to the alerts' webhook; nothing where none is configured."""

import os
from pathlib import Path

from sidecar import __version__
from sidecar.delivery.rows_at_stake import Stakes
from sidecar.microsoft.proxy_settings import ProxySettings
from sidecar.microsoft.tls import context
from sidecar.service.runtime import Runtime
from sidecar.service.settings import Settings
from sidecar.store.store import Store
from sidecar.telemetry import ActiveTrouble, Telemetry
from sidecar.upkeep.alerts import Alerts, Stake
from sidecar.webhook import HttpWebhook


def alerts_of(settings: Settings, telemetry: Telemetry, store: Store, stakes: Stakes, clock: Runtime) -> Alerts | None:
    """Return the alerts; None without a webhook. UnusableRoots, UnusableProxy."""
    alerts, ca_bundle = settings.config.alerts, settings.config.microsoft.ca_bundle
    address = alerts.webhook.get_secret_value()
    if not address:
        return None
    proxy = ProxySettings.of(os.environ).for_url(address)
    webhook = HttpWebhook(
        address,
        context(Path(ca_bundle) if ca_bundle else None),
        proxy.address if proxy else None,
        proxy.headers if proxy else {},
        clean=telemetry.cleaned,
    )

    async def stake(active: ActiveTrouble) -> Stake:
        waiting = await stakes.waiting([active])
        return Stake() if waiting is None else Stake(waiting, stakes.sentence([active], waiting))

    return Alerts(
        store=store.alerts,
        webhook=webhook,
        form=alerts.format,
        rules=settings.alerts(),
        telemetry=telemetry,
        stake=stake,
        now=clock.now,
        chance=clock.chance,
        version=__version__,
    )
