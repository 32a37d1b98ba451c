"""The one object that is told what happened; flusher, api and keeper receive it."""

from collections.abc import Sequence

from sidecar.telemetry import names
from sidecar.telemetry.conversions import ConversionEvents
from sidecar.telemetry.matching import MatchEvents

_GATHERED = {
    names.SKIPPED.name: (names.SKIPPED, "not stored, by rule"),
    names.REFUSED.name: (names.REFUSED, "refused"),
    names.TRACES_DROPPED.name: (names.TRACES_DROPPED, "traces of orders that were not stored were left out"),
    names.CALL_REFUSED.name: (names.CALL_REFUSED, "refused, which brought no conversion"),
    names.LOOKUP_MISSED.name: (names.LOOKUP_MISSED, "looked up what is not there"),
}


class Telemetry(ConversionEvents, MatchEvents):
    """Everything that tells what happened. Its functions never raise, block or await.

    `clock` gives Unix milliseconds; lines go to the descriptor `fd` in the `form` json or console. Facts wait in memory
    until `run(journal)`, which belongs into the app's TaskGroup and ends after `stop()`; call that before the committer
    is stopped. `board`, `metrics` and `followers` are there to be read.
    """

    def _before_flush(self, *, last: bool) -> None:
        for name, code, count in self._gathering.take(None if last else self._clock()):
            known, words = _GATHERED[name]
            orders = self._refused_orders.pop(code, []) if known is names.REFUSED else []
            message = f"{count} {words}: {code}{_named(orders, count)}"
            self._tell(known, message, error=code, count=count, also={"order_ids": orders} if orders else None)
        self._clear_faded()

    def _storage_wrote(self) -> None:
        # While storage fails there is at least that trouble to be written, so this comes as soon as it works again.
        self.trouble_cleared("storage_failed")


def _named(orders: Sequence[str], count: int) -> str:
    """Some order ids in brackets, at the end: an erasure cuts them off there."""
    if not orders:
        return ""
    more = f" and {count - len(orders)} more" if count > len(orders) else ""
    return f" ({'order' if count == 1 else 'orders'} {', '.join(orders)}{more})"
