"""The whole outbox, for the part that implements it. Its users take the narrower ports."""

from typing import Protocol

from sidecar.ports.delivery import Delivery
from sidecar.ports.intake import Intake
from sidecar.ports.queries import Queries
from sidecar.ports.upkeep import Operations, Upkeep


class Outbox(Intake, Delivery, Queries, Operations, Upkeep, Protocol):
    """Where conversions wait. Every write is on disk, fsynced, when its call returns."""
