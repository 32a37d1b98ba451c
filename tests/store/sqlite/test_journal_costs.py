"""What the journal costs in SQLite: a bounded number of rows for each call."""

from instant_kit import NOW
from store_kit import SqliteHouse

from sidecar.core.instant import UnixMillis
from sidecar.ports.journal import JournalEntry, JournalQuery
from sidecar.store.sql import journal as module
from sidecar.store.sql.journal import PRUNE_ROWS, STRETCH_ROWS


def entry(number: int) -> JournalEntry:
    return JournalEntry(time=UnixMillis(NOW + number), level="info", name="batch_settled", message=f"fact {number}")


async def test_old_entries_are_pruned_in_slices_and_young_ones_stay(house: SqliteHouse) -> None:
    await house.open()
    journal = house.journal
    await journal.append([entry(number) for number in range(PRUNE_ROWS + 100)])
    before = UnixMillis(NOW + PRUNE_ROWS + 50)
    assert [await journal.prune(before, 10**9) for _ in range(3)] == [PRUNE_ROWS, 50, 0]
    page = await journal.read(JournalQuery(limit=1000))
    assert len(page.items) == 50


async def test_page_reads_a_bounded_number_of_rows_for_any_query(house: SqliteHouse) -> None:
    """Every statement that looks for entries walks the numbers of one stretch."""
    outbox = await house.open()
    given = dict.fromkeys(
        ("bottom", "top", "level", "name", "account", "order_id", "conversion_id", "since", "until", "limit"), 1
    )
    for statement in (module._NEWEST_FIRST, module._OLDEST_FIRST):
        plan = await outbox.reader.call(
            lambda db, statement=statement: db.execute(f"EXPLAIN QUERY PLAN {statement}", given).fetchall()
        )
        assert [row[3] for row in plan] == ["SEARCH journal USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"]
    assert STRETCH_ROWS <= 20_000
