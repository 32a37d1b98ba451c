"""The short ways through an outbox: put, due, claim, and what Microsoft said of a batch."""

from collections.abc import Sequence

from conversion_kit import GOALS
from instant_kit import MINUTE, NOW, later

from sidecar.core.batch import as_sent, with_goals
from sidecar.core.conversion import Conversion
from sidecar.core.entry import Entry, Fault
from sidecar.core.instant import UnixMillis
from sidecar.core.record import Record
from sidecar.ports.delivery import Claim, Note
from sidecar.ports.intake import Arrival, PutResult
from sidecar.ports.outbox import Outbox

TAKEN = Note("taken", tracking_id="tracking-1")
LOST = Note("lost", error="ConnectionResetError")
POISONED = Note("refused: poison", "tracking-2", "OfflineConversionError")
REFUSED = Fault("OfflineConversionNameInvalid", 5600, "The name is not valid.")


async def put(outbox: Outbox, *conversions: Conversion, at: UnixMillis = NOW) -> list[PutResult]:
    """What became of each, received in one request."""
    return await outbox.put([Arrival(conversion, at, "request-1") for conversion in conversions])


async def seqs_of(outbox: Outbox, *conversions: Conversion, at: UnixMillis = NOW) -> list[int]:
    """Their numbers once they are stored."""
    return [result.record.seq for result in await put(outbox, *conversions, at=at)]


async def record_of(outbox: Outbox, seq: int) -> Record:
    """The row with that number, which is there."""
    record = await outbox.get(seq)
    assert record is not None
    return record


async def due(outbox: Outbox, now: UnixMillis = NOW, limit: int = 1_000, account: str = "main") -> list[Entry]:
    """What may be claimed for an account."""
    return await outbox.due([lane for lane in await outbox.lanes() if lane.account == account], now, limit)


async def claim(
    outbox: Outbox, entries: Sequence[Entry], now: UnixMillis = NOW, lease: int = MINUTE, account: str = "main"
) -> Claim | None:
    """The way the courier claims: goal from the mapping, each with its own second where none was frozen."""
    candidates = with_goals(entries, GOALS)
    frozen, identities = [as_sent(one) for one in candidates], [one.identity for one in candidates]
    return await outbox.claim(account, frozen, identities, now, later(lease, now))


async def claimed(outbox: Outbox, now: UnixMillis = NOW, limit: int = 1_000, lease: int = MINUTE) -> Claim:
    """A claim of what is due now."""
    taken = await claim(outbox, await due(outbox, now, limit), now, lease)
    assert taken is not None
    return taken


async def retaken(outbox: Outbox, now: UnixMillis, lease: int = MINUTE) -> Claim:
    """The open batch that is due, taken again."""
    taken = await outbox.claim_resend("main", now, later(lease, now))
    assert taken is not None
    return taken


def seqs(entries: Sequence[Entry] | Claim) -> list[int]:
    """The numbers of entries, in their order."""
    return [entry.seq for entry in (entries.entries if isinstance(entries, Claim) else entries)]
