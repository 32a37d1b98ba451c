"""The whole outbox, for what implements it and for users of several of its ports. Others take the narrow port."""

from typing import Protocol

from sidecar.ports.delivery import Delivery
from sidecar.ports.intake import Intake
from sidecar.ports.queries import Queries
from sidecar.ports.upkeep import Operations, Upkeep


class Outbox(Intake, Delivery, Queries, Operations, Upkeep, Protocol):
    """Where conversions wait. Every write is on disk, fsynced, when its call returns."""
