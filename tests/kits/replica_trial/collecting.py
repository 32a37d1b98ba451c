"""The whole log of a trial: what callers noted, what the emulator took, what the database and each replica have."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from history_check.events import Adjusted, Answered, Counted, Event, Place, Requested, Taken
from process_kit.emulator import Microsoft
from process_kit.service import Sidecar

from replica_trial import audit

STATES = ("pending", "delivered", "skipped", "dead", "canceled")


async def whole_log(
    url: str, there: Microsoft, names: Mapping[str, str], answers: Sequence[Answered], replicas: Mapping[str, Sidecar]
) -> list[Event]:
    """The log; `names` has the account of each of Microsoft's account ids."""
    clicks = {answer.item.click: (answer.item.account, answer.item.order) for answer in answers if _is_click(answer)}
    log: list[Event] = [*answers, *audit.recorded(url, clicks), *await _ledger(there, names)]
    for name, sidecar in replicas.items():
        log += await _counted(name, sidecar)
    return log


def _is_click(answer: Answered) -> bool:
    return answer.item.what == "click"


async def _counted(name: str, sidecar: Sidecar) -> list[Counted]:
    """What a replica counts: by its list of rows, by its metrics."""
    conversions = await sidecar.rows()
    adjustments = await all_items(sidecar, "/v1/adjustments")
    listed = Counter(row["state"] for row in [*conversions, *adjustments])
    metrics = await sidecar.metrics()
    measured = {state: int(metrics["sidecar_outbox_rows", state]) for state in STATES}
    return [Counted(f"the list of {name}", listed), Counted(f"the metrics of {name}", measured)]


async def all_items(sidecar: Sidecar, path: str) -> list[Any]:
    """Every item of a list."""
    items: list[Any] = []
    cursor = ""
    while True:
        page = await sidecar.get(f"{path}?limit=1000{cursor}")
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = f"&cursor={page['next_cursor']}"


# --- The emulator's ledger -------------------------------------------------------------------------------------------


async def _ledger(there: Microsoft, names: Mapping[str, str]) -> list[Event]:
    requests = [
        Requested(one["at"], names[one["account_id"]], one["tracking_id"], one["answer"])
        for one in await there.ledger("requests")
        if one["account_id"] in names
    ]
    taken = [_taken(one, names) for one in await there.ledger()]
    return [*requests, *taken, *(_adjusted(one, names) for one in await there.ledger("adjustments"))]


def _taken(one: Any, names: Mapping[str, str]) -> Taken:
    row = one["row"]
    return Taken(
        at=one["first_seen_at"],
        place=_place(row, names[one["account_id"]]),
        value=_decimal(row.get("ConversionValue")),
        seen=one["seen"],
        changed=one["changed"],
        is_retracted=one["adjusted"] == "Retract",
        adjusted_value=_decimal(one["adjusted_value"]),
    )


def _adjusted(one: Any, names: Mapping[str, str]) -> Adjusted:
    row = one["row"]
    return Adjusted(
        at=one["first_seen_at"],
        number=one["seq"],
        original=_place(row, names[one["account_id"]]),
        adjusted_at=_second(row["AdjustmentTime"]),
        is_retract=row["AdjustmentType"] == "Retract",
        value=_decimal(row.get("AdjustmentValue")),
        seen=one["seen"],
        changed=one["changed"],
    )


def _place(row: Any, account: str) -> Place:
    return account, row.get("MicrosoftClickId") or "", row["ConversionName"], _second(row["ConversionTime"])


def _second(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))
