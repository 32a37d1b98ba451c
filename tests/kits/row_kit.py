"""A pending row, and what shows rows, for the tests of their JSON."""

from sidecar.api.row_json import Rows
from sidecar.core.conversion import Kind
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State

PENDING = Record(
    seq=17,
    kind=Kind.CONVERSION,
    state=State.PENDING,
    reason=None,
    account="default",
    event="purchase",
    goal=None,
    order_id="O-1",
    time=UnixSeconds(1_795_444_245),
    value="49.9",
    currency="USD",
    msclkid="f894f652ea334e739002f7167ab8f8e3",
    email_sha256="a" * 64,
    phone_sha256=None,
    attempt=0,
    received_at=UnixMillis(1_795_444_245_123),
    due_at=UnixMillis(1_795_444_250_000),
    claimed=False,
    sent_at=None,
    settled_at=None,
    batch_id=None,
    error=None,
    error_code=None,
    tracking_id=None,
    message=None,
    meta='{"cart":{"lines":3}}',
)


GOALS = {("default", "purchase"): "Sidecar Purchase"}


NOW = UnixMillis(PENDING.received_at)


ROWS = Rows(goal_of=lambda account, event: GOALS.get((account, event)), held=lambda record: None, now=lambda: NOW)
