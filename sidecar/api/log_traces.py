"""Adds the traces of items that were not stored to the first page of log entries about an order."""

from collections.abc import Sequence

from sidecar.core.unstored import Unstored, What, in_words
from sidecar.ports.journal import JournalEntry, JournalPage, JournalQuery, StoredEntry
from sidecar.telemetry.event_names import INFO, REFUSED, SKIPPED, WARNING
from sidecar.telemetry.followers import matches

_NO_SEQ = 0
"""A trace has no number in the journal: neither a page nor a watch continues after one."""


def with_traces(page: JournalPage, query: JournalQuery, traces: Sequence[Unstored]) -> JournalPage:
    """The page, newest first, of at most `query.limit` items; where it is cut it continues after its last entry."""
    found = [StoredEntry(_NO_SEQ, entry) for one in traces if matches(entry := _entry(one, query.order_id), query)]
    if not found:
        return page
    items = sorted((*page.items, *found), key=lambda item: item.entry.time, reverse=True)[: query.limit]
    if page.items and all(item.seq == _NO_SEQ for item in items):
        items[-1] = page.items[0]  # else the next page would begin where this one did
    shown = [item.seq for item in items if item.seq != _NO_SEQ]
    is_whole = len(shown) == len(page.items)
    return JournalPage(tuple(items), page.next_seq if is_whole else shown[-1])


def _entry(one: Unstored, order_id: str | None) -> JournalEntry:
    skipped = one.what is What.SKIPPED
    return JournalEntry(
        time=one.time,
        level=INFO if skipped else WARNING,
        name=(SKIPPED if skipped else REFUSED).name,
        message=in_words(one),
        account=one.account,
        order_id=order_id,
        error=", ".join(one.codes) or None,
        count=one.times,
    )
