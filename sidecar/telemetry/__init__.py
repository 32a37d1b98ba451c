"""What happened, recorded once: a log line, an entry of the journal, a metric, an active trouble."""

from sidecar.telemetry.active_troubles import ActiveTrouble, Board
from sidecar.telemetry.delivery import DeadRow
from sidecar.telemetry.followers import Follower, Followers, TooManyFollowers
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.telemetry import Telemetry
from sidecar.telemetry.trace_buffer import TracesOfOrders

__all__ = [
    "ActiveTrouble",
    "Board",
    "DeadRow",
    "Follower",
    "Followers",
    "Metrics",
    "Telemetry",
    "TooManyFollowers",
    "TracesOfOrders",
]
