"""Puts together the reader of Microsoft's verdict."""

from collections.abc import Sequence

from sidecar.core.goals.goal import Goal
from sidecar.delivery.gates import Gates
from sidecar.goals.known import KnownGoals
from sidecar.microsoft.platform import MicrosoftAdvertising
from sidecar.service.runtime import Runtime
from sidecar.service.settings import Settings
from sidecar.store.store import Store
from sidecar.telemetry import Telemetry
from sidecar.upkeep.reports import Reports


def reports_of(
    settings: Settings,
    telemetry: Telemetry,
    store: Store,
    gates: Gates,
    platform: MicrosoftAdvertising,
    known: KnownGoals,
    clock: Runtime,
) -> Reports:
    """The reader, over the goals as the catalogue has them."""

    def goals(account: str) -> Sequence[Goal] | None:
        catalogue = known.catalogue(account)
        return catalogue.goals if catalogue else None

    return Reports(
        platform,
        store.verdicts,
        store.outbox,
        gates,
        telemetry,
        clock.now,
        clock.chance,
        settings.report_millis,
        lambda: tuple(settings.config.accounts),
        goals,
    )
