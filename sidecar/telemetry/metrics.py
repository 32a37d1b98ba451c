"""The metrics, each declared once with its labels.

No label carries an id: their values come from the configuration, the states and Microsoft's codes, so they stay few.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import choose_encoder

from sidecar.telemetry.numbers import Counter, Histogram

PREFIX = "sidecar"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
UPLOAD_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0)
ROWS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric as the documentation prints it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


class Metrics:
    """All metrics in a registry of their own; two of these never meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.declared: list[Declared] = []
        self.intake = IntakeMetrics(self)
        self.delivery = DeliveryMetrics(self)
        self.service = ServiceMetrics(self)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return the body and content type for a scraper that accepts `accept`."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        """Declare a counter; its name ends in `_total`."""
        self._declare(name, "counter", labels, meaning)
        counter = Counter(f"{PREFIX}_{name}", meaning, labels)
        self.registry.register(counter)
        return counter

    def gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        """Declare a gauge."""
        self._declare(name, "gauge", labels, meaning)
        return Gauge(name, meaning, labels, namespace=PREFIX, registry=self.registry)

    def histogram(self, name: str, meaning: str, buckets: Sequence[float]) -> Histogram:
        """Declare a histogram with these upper bounds."""
        self._declare(name, "histogram", (), meaning)
        histogram = Histogram(f"{PREFIX}_{name}", meaning, buckets)
        self.registry.register(histogram)
        return histogram

    def _declare(self, name: str, kind: str, labels: Iterable[str], meaning: str) -> None:
        self.declared.append(Declared(f"{PREFIX}_{name}", kind, tuple(labels), meaning))


class IntakeMetrics:
    """What comes in, and how long it takes until it is stored."""

    def __init__(self, declare: Metrics) -> None:
        self.conversions = declare.counter(
            "conversions_received_total", "Conversions stored; repeats do not count.", "event"
        )
        self.adjustments = declare.counter(
            "adjustments_received_total", "Adjustments stored; repeats do not count.", "event", "type"
        )
        self.clicks = declare.counter("clicks_captured_total", "Clicks of visitors kept; repeats count too.")
        self.match = declare.counter(
            "match_total", "Conversions by their strongest identifier; none for those skipped as no_identifier.", "by"
        )
        self.seconds = declare.histogram("intake_seconds", "From request to answer of POST /v1/conversions.", SECONDS)
        self.commit_seconds = declare.histogram(
            "commit_seconds", "One transaction of intake, its fsync included.", SECONDS
        )
        self.commit_rows = declare.histogram("commit_rows", "Rows in one transaction of intake.", ROWS)


class DeliveryMetrics:
    """What becomes of rows, and what Microsoft answers to uploads."""

    def __init__(self, declare: Metrics) -> None:
        self.conversions = declare.counter(
            "conversions_settled_total",
            "Conversions that reached a final state; goal is empty for those that intake skipped.",
            *("goal", "state", "reason"),
        )
        self.adjustments = declare.counter(
            "adjustments_settled_total",
            "Adjustments that Microsoft answered, that got too old, or that ended at once.",
            *("goal", "state", "reason"),
        )
        self.requests = declare.counter(
            "upload_requests_total",
            "Answers to uploads: taken, lost, or why refused (token, account, throttled, poison, server).",
            *("operation", "result"),
        )
        self.attributed = declare.counter(
            "attributed_total", "Rows that Microsoft attributed to an ad, as this process read it.", "goal"
        )
        self.unattributed = declare.counter(
            "unattributed_total",
            "Rows that Microsoft attributed to no ad, as this process read it; other for a reason that it added since.",
            *("goal", "reason"),
        )
        self.seconds = declare.histogram("upload_seconds", "From sending a batch to its answer.", UPLOAD_SECONDS)
        self.rows = declare.histogram("upload_rows", "Rows in one batch.", ROWS)
        self.throttled = declare.counter("throttled_total", "How often Microsoft asked for a slower pace.")


class ServiceMetrics:
    """How the service is."""

    def __init__(self, declare: Metrics) -> None:
        self.outbox_rows = declare.gauge("outbox_rows", "Rows in the outbox.", "state")
        self.oldest_due_seconds = declare.gauge(
            "outbox_oldest_due_seconds", "How long the oldest due row has been waiting; 0 when none is due."
        )
        self.first_expiry_seconds = declare.gauge(
            "outbox_first_expiry_seconds",
            "Until the oldest waiting row is too old for Microsoft; +Inf when none waits.",
        )
        self.troubles = declare.gauge("troubles", "Active troubles, by code and severity.", "code", "severity")
        self.alerts = declare.counter(
            "alerts_posted_total",
            "Messages to the alerts' webhook: taken, refused, or lost without an answer.",
            "result",
        )
        self.token_expires_seconds = declare.gauge(
            "token_expires_seconds", "Until the access token expires; 0 when there is none."
        )
        self.build_info = declare.gauge("build_info", "Always 1; the version is its label.", "version")
