"""Every gauge, once what it shows is gone: it says so, and never goes on with the last that was known."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from sidecar.core.instant import UnixMillis
from sidecar.ports.queries import Backlog, Counts
from sidecar.telemetry import Metrics, Telemetry

NOW = 1_790_000_000_000
HOUR = 3_600_000


@dataclass
class Watched:
    """A Telemetry under a clock that the test moves."""

    now: int = NOW
    telemetry: Telemetry = field(init=False)

    def __post_init__(self) -> None:
        self.telemetry = Telemetry(lambda: UnixMillis(self.now), fd=os.open(os.devnull, os.O_WRONLY))

    def shown(self, name: str) -> dict[str, float]:
        """Every sample of the gauge, by its label."""
        families = self.telemetry.metrics.registry.collect()
        (samples,) = [family.samples for family in families if family.name == name]
        return {"".join(sample.labels.values()): sample.value for sample in samples}


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    with closing(watched.telemetry):
        yield watched


def token_expires(watched: Watched) -> None:
    watched.now += HOUR + 1


def token_is_lost(watched: Watched) -> None:
    watched.telemetry.service.token_lost()


def outbox_is_empty(watched: Watched) -> None:
    watched.telemetry.service.outbox_seen(Counts(), Backlog(None, None))


def trouble_is_over(watched: Watched) -> None:
    watched.telemetry.service.trouble_cleared("goal_paused", account="main", subject="Sale")
    outbox_is_empty(watched)


def nothing_is_due(watched: Watched) -> None:
    watched.telemetry.service.outbox_seen(Counts(pending=3), Backlog(UnixMillis(watched.now + HOUR), None))


STATES = ("pending", "delivered", "skipped", "dead", "canceled")

GONE: dict[str, list[tuple[Callable[[Watched], None], dict[str, float]]]] = {
    "sidecar_token_expires_seconds": [(token_expires, {"": 0}), (token_is_lost, {"": 0})],
    "sidecar_outbox_oldest_due_seconds": [(outbox_is_empty, {"": 0}), (nothing_is_due, {"": 0})],
    "sidecar_outbox_rows": [(outbox_is_empty, dict.fromkeys(STATES, 0))],
    "sidecar_outbox_first_expiry_seconds": [(outbox_is_empty, {"": math.inf})],
    "sidecar_troubles": [(trouble_is_over, {})],
    # Its source is the process itself: a scrape that is answered comes from that version.
    "sidecar_build_info": [(outbox_is_empty, {"0.1.0": 1})],
}
"""What takes away what each gauge shows, and what it shows then."""


def test_table_has_every_gauge_and_none_is_of_an_account() -> None:
    gauges = [metric for metric in Metrics().declared if metric.kind == "gauge"]
    assert {gauge.name for gauge in gauges} == GONE.keys()
    assert {label for gauge in gauges for label in gauge.labels} == {"state", "version", "code", "severity"}


@pytest.mark.parametrize(
    ("name", "goes", "left"), [(name, goes, left) for name, cases in GONE.items() for goes, left in cases]
)
def test_gauge_shows_that_its_source_is_gone(
    watched: Watched, name: str, goes: Callable[[Watched], None], left: dict[str, float]
) -> None:
    telemetry = watched.telemetry
    telemetry.service.started("0.1.0", "http://127.0.0.1:8077", "emulator")
    telemetry.service.token_refreshed(UnixMillis(NOW + HOUR))
    telemetry.service.trouble_raised("goal_paused", account="main", subject="Sale")
    telemetry.service.outbox_seen(Counts(1, 2, 3, 4, 5), Backlog(UnixMillis(NOW - HOUR), UnixMillis(NOW + HOUR)))
    assert watched.shown(name)
    assert all(watched.shown(name).values())
    goes(watched)
    assert watched.shown(name) == left


def test_troubles_are_counted_by_code_and_severity_over_all_accounts(watched: Watched) -> None:
    for account in ("main", "twin"):
        watched.telemetry.service.trouble_raised("goal_paused", account=account, subject="Sale")
    watched.telemetry.service.trouble_raised("throttled", account="main")
    outbox_is_empty(watched)
    assert watched.shown("sidecar_troubles") == {"goal_pausederror": 2, "throttledwarning": 1}


def test_new_token_shows_again(watched: Watched) -> None:
    watched.telemetry.service.token_lost()
    watched.telemetry.service.token_refreshed(UnixMillis(NOW + HOUR))
    assert watched.shown("sidecar_token_expires_seconds") == {"": 3_600}
