"""A row, its batch and its receipt, for the tests of receipts."""

import asyncio
import json
from datetime import datetime

from row_kit import CLICK, stored_row

from sidecar.api.explain import Receipts
from sidecar.api.http.reply import encode
from sidecar.api.row_json import HeldReason, Rows
from sidecar.core.attempts import BatchFacts
from sidecar.core.goals.goal import Goal
from sidecar.core.goals.mapping import Mapped, MappingState
from sidecar.core.instant import UnixMillis, UnixSeconds, seconds
from sidecar.core.receipts.trace import Trace
from sidecar.core.record import Record

NOW = UnixMillis(1_795_444_245_000)  # 2026-11-23T14:30:45Z
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
OTHER = "0123456789abcdef0123456789abcdef"
GOAL = Goal(id="7", name="Sidecar Purchase", type="OfflineConversion", window_seconds=30 * 86_400, enhanced=True)
RECORD = stored_row(
    goal="Sidecar Purchase",
    order_id="ORDER-12345",
    time=UnixSeconds(seconds(NOW) - 7_200),
    value="99.99",
    currency="USD",
    msclkid=CLICK,
    email_sha256="ab" * 32,
    attempt=1,
    received_at=UnixMillis(NOW - 2 * HOUR + 120),
    due_at=UnixMillis(NOW - MINUTE),
    sent_at=UnixMillis(NOW - MINUTE),
    batch_id=7,
)
BATCH = BatchFacts(
    id=7,
    claims=1,
    created_at=UnixMillis(NOW - MINUTE),
    sent_at=UnixMillis(NOW - MINUTE),
    settled_at=UnixMillis(NOW - MINUTE + 412),
    answer="taken",
    tracking_id="3f1c0000-0000-4000-8000-00000000000f",
)


def of(
    record: Record, *, held: HeldReason | None = None, mapped: Mapped | None = None, **known: object
) -> dict[str, object]:
    """The receipt as the API answers it."""
    batches = {BATCH.id: BATCH} if record.batch_id else {}
    facts = {"request_id": "request-1", "named_msclkid": record.msclkid, "is_frozen": record.goal is not None}
    trace = Trace(record=record, **{**facts, "batches": batches, **known})  # type: ignore[arg-type]

    class Traces:
        async def of(self, seq: int) -> Trace:
            return trace

    rows = Rows(lambda account, event: "Sidecar Purchase", lambda record: held, lambda: NOW)
    made = Receipts(Traces(), rows, lambda: NOW, lambda account, event: mapped or Mapped(MappingState.OK, GOAL))
    answer = asyncio.run(made.of(record.seq))
    assert answer is not None
    return json.loads(encode(answer))  # type: ignore[no-any-return]


def timeline_lines(told: dict[str, object]) -> list[str]:
    timeline = told["timeline"]
    assert isinstance(timeline, list)
    instants = [datetime.fromisoformat(line["at"]) for line in timeline]
    assert instants == sorted(instants)
    return [line["what"] for line in timeline]
