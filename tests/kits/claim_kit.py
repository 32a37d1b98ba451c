"""A claimed batch without a store, for the tests of what is recorded."""

from sidecar.core.conversion import Kind
from sidecar.core.entry import Entry, Lane
from sidecar.core.instant import UnixMillis, seconds
from sidecar.ports.delivery import Claim

NOW = UnixMillis(1_790_000_000_000)


def claim_of(batch_id: int, rows: int, account: str = "main", kind: Kind = Kind.CONVERSION) -> Claim:
    """A first claim of `rows` rows of one goal, numbered from 1."""
    lane = Lane(1, account, "purchase", kind)
    entries = tuple(Entry(seq, seconds(NOW), NOW, goal="Sale", lane=lane) for seq in range(1, rows + 1))
    return Claim(batch_id, 1, account, entries, False, batch_id, rows, 0, NOW)
