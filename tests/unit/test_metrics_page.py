"""The whole page of metrics after a known series of events, in both formats, byte for byte as the samples have it.

After a wanted change `SIDECAR_WRITE_SAMPLES=1 .venv/bin/pytest tests/unit/test_metrics_page.py` writes them again.
"""

import os
from contextlib import closing
from pathlib import Path

import pytest
from claim_kit import claim_of
from row_kit import stored_row

from sidecar.core.answer import Lost, RefusedBatch, Verdict
from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.entry import Fault, Requeue, Settled
from sidecar.core.instant import UnixMillis
from sidecar.core.intake.conversion import Skipped
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State
from sidecar.ports.intake import Stored
from sidecar.ports.queries import Backlog, Counts
from sidecar.telemetry import DeadRow, Telemetry

NOW = 1_790_000_000_000
HOUR = 3_600_000
SAMPLES = Path(__file__).parent.parent / "samples" / "metrics"
FORMATS = {
    "text": ("", "text/plain; version=0.0.4; charset=utf-8"),
    "openmetrics": ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0"),
}
"""What a scraper accepts, and how the content type of its answer begins."""


def intake(telemetry: Telemetry) -> None:
    """Conversions with and without identifiers, an odd event name, adjustments, clicks, refusals."""
    goals = {"purchase": "Sale", 'a "quoted"\\event': "Lead"}
    rows = [
        stored_row(event="purchase", account="main", msclkid="c", email_sha256="e"),
        stored_row(event="purchase", account="main", msclkid="c", email_sha256="e"),
        stored_row(event="purchase", account="twin", phone_sha256="p"),
        stored_row(event='a "quoted"\\event', account="main", visitor_id="v"),
    ]
    verdicts = [*map(Stored, rows), Skipped("no_identifier", "purchase", goal="Sale")]
    telemetry.intake.conversions([{}] * len(verdicts), verdicts, lambda account, event: goals.get(event))
    telemetry.intake.conversions([{}], [Stored(rows[2])], lambda account, event: goals.get(event))
    telemetry.intake.adjusted(adjustment(State.PENDING, AdjustmentType.RESTATE))
    telemetry.intake.adjusted(adjustment(State.CANCELED, AdjustmentType.RETRACT))
    telemetry.intake.skipped("original_not_sent", 2, Kind.ADJUSTMENT)
    telemetry.intake.captured(3, 1)
    for seconds in (0, 0.001, 0.0011, 0.25, 10, 10.5, 3_600):
        telemetry.intake.response_time(seconds)
        telemetry.intake.committed(int(seconds * 200), seconds)


def adjustment(state: State, type_: AdjustmentType) -> Record:
    return stored_row(kind=Kind.ADJUSTMENT, state=state, reason="retracted", event="purchase", type=type_, original=1)


def delivery(telemetry: Telemetry) -> None:
    """Every answer to uploads, and every end of a row."""
    telemetry.delivery.goal_of = lambda account, event: "Sale"
    steps = {3: Requeue(UnixMillis(NOW), None), 5: Settled(State.DEAD)}
    telemetry.delivery.batch_settled(claim_of(7, 1_000), steps, "t-1", 0.5)
    telemetry.delivery.batch_settled(claim_of(8, 1, kind=Kind.ADJUSTMENT), {}, "t-2", 61.0)
    refused = RefusedBatch(Verdict.ACCOUNT, (Fault("InvalidCredentials", 105, "bad"),), "developer_token_invalid", "t")
    telemetry.delivery.batch_refused(claim_of(9, 2), refused, 0.1)
    telemetry.delivery.batch_lost(claim_of(9, 2), Lost("reset"), 60.0)
    dead = DeadRow(conversion_id="conv_5", account="main", trouble="row_refused", error="CurrencyInvalid", goal="Sale")
    telemetry.delivery.rows_died([dead], 7)
    telemetry.delivery.settled(None, "skipped", "consent_denied", 4)
    telemetry.delivery.throttled("main", 30)
    telemetry.delivery.verdicts_read({"Sale": 7}, {("Sale", "AccountMismatch"): 2, ("Sale", "BrandNew"): 1})


def service(telemetry: Telemetry) -> None:
    """Gauges with every value that they may have."""
    telemetry.service.started("0.1.0", "http://127.0.0.1:8077", "emulator")
    telemetry.service.token_refreshed(UnixMillis(NOW + HOUR))
    telemetry.service.alert_posted("raised", "A trouble", 200, None)
    telemetry.service.alert_posted("raised", "A trouble", None, "reset")
    telemetry.service.trouble_raised("goal_paused", account="main", subject="Sale")
    telemetry.service.outbox_seen(Counts(1, 2, 3, 4, 5), Backlog(UnixMillis(NOW - HOUR), None))


EVENTS = {"before": (), "after": (intake, delivery, service)}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("when", EVENTS)
def test_page_of_metrics_is_the_sample_byte_for_byte(when: str, form: str) -> None:
    with closing(Telemetry(lambda: UnixMillis(NOW), fd=os.open(os.devnull, os.O_WRONLY))) as telemetry:
        for happens in EVENTS[when]:
            happens(telemetry)
        accept, content_type = FORMATS[form]
        page, given = telemetry.metrics.exposition(accept)
    sample = SAMPLES / f"{when}_events.{form}"
    if os.environ.get("SIDECAR_WRITE_SAMPLES"):
        sample.parent.mkdir(exist_ok=True)
        sample.write_bytes(page)
    assert given.startswith(content_type)
    assert page.decode() == sample.read_text()
