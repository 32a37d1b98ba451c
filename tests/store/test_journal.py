"""The journal in SQLite: what was kept is found again, newest first, at a bounded cost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.core.instant import UnixMillis
from sidecar.ports.journal import JournalEntry, JournalPage, JournalQuery
from sidecar.store.sqlite import journal as module
from sidecar.store.sqlite.database import reader
from sidecar.store.sqlite.journal import PRUNE_ROWS, STRETCH_ROWS, SqliteJournal
from sidecar.store.sqlite.outbox import open_outbox

NOW = UnixMillis(1_790_000_000_000)

FULL = JournalEntry(
    time=NOW,
    level="warning",
    name="row_died",
    message='a "quoted" line, naïve ☃',
    account="main",
    conversion_id="conv_1",
    order_id="ORDER-1",
    batch_id=7,
    tracking_id="3f1c-test",
    error="OfflineConversionCurrencyInvalid",
    fix="Mend it.",
    count=3,
)


def entry(number: int, **fields: object) -> JournalEntry:
    basic = JournalEntry(time=UnixMillis(NOW + number), level="info", name="batch_settled", message=f"fact {number}")
    return replace(basic, **fields)  # type: ignore[arg-type]


def messages(page: JournalPage) -> list[str]:
    return [kept.entry.message for kept in page.items]


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    path = tmp_path / "outbox.db"
    async with open_outbox(path, "emulator", NOW) as outbox, reader(path) as read:
        writing = asyncio.create_task(outbox.committer.run())
        yield SqliteJournal(outbox.committer, read)
        outbox.committer.stop()
        await writing


async def test_entry_comes_back_as_it_was_with_and_without_its_optional_fields(journal: SqliteJournal) -> None:
    kept = await journal.append([FULL, entry(1)])
    assert [one.seq for one in kept] == [1, 2]
    page = await journal.read(JournalQuery())
    assert page.items == tuple(reversed(kept))
    assert page.next_seq is None
    assert [one.entry for one in page.items] == [entry(1), FULL]


async def test_numbers_go_on_after_everything_was_pruned(journal: SqliteJournal) -> None:
    await journal.append([entry(number) for number in range(3)])
    assert await journal.prune(UnixMillis(NOW + 1_000), 10**9) == 3
    (kept,) = await journal.append([entry(4)])
    assert kept.seq == 4


async def test_empty_journal_is_an_empty_page(journal: SqliteJournal) -> None:
    assert await journal.read(JournalQuery()) == JournalPage((), None)
    assert await journal.read_on(JournalQuery(), 0) == JournalPage((), None)
    assert await journal.prune(NOW, 10**9) == 0


async def test_pages_join_without_gap_or_repeat(journal: SqliteJournal) -> None:
    await journal.append([entry(number) for number in range(25)])
    seen: list[str] = []
    cursor: int | None = None
    for expected in (10, 10, 5):
        page = await journal.read(JournalQuery(limit=10, before_seq=cursor))
        assert len(page.items) == expected
        seen += messages(page)
        cursor = page.next_seq
    assert cursor is None
    assert seen == [f"fact {number}" for number in reversed(range(25))]


async def test_page_that_ends_exactly_at_the_end_has_no_cursor(journal: SqliteJournal) -> None:
    await journal.append([entry(number) for number in range(10)])
    assert (await journal.read(JournalQuery(limit=10))).next_seq is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (JournalQuery(level="debug"), {0, 1, 2, 3}),
        (JournalQuery(level="warning"), {1, 2}),
        (JournalQuery(level="error"), {2}),
        (JournalQuery(name="started"), {2}),
        (JournalQuery(account="main"), {1}),
        (JournalQuery(order_id="ORDER-1"), {1}),
        (JournalQuery(conversion_id="conv_9"), {3}),
        (JournalQuery(since=UnixMillis(NOW + 2)), {2, 3}),
        (JournalQuery(until=UnixMillis(NOW + 2)), {0, 1}),
        (JournalQuery(since=UnixMillis(NOW + 1), until=UnixMillis(NOW + 3), level="error"), {2}),
        (JournalQuery(account="main", name="started"), set()),
    ],
)
async def test_every_filter_narrows(journal: SqliteJournal, query: JournalQuery, found: set[int]) -> None:
    entries = [
        entry(0),
        replace(FULL, time=UnixMillis(NOW + 1), message="fact 1"),
        entry(2, level="error", name="started"),
        entry(3, conversion_id="conv_9"),
    ]
    await journal.append(entries)
    expected = {f"fact {number}" for number in found}
    assert set(messages(await journal.read(query))) == expected
    assert set(messages(await journal.read_on(query, 0))) == expected


async def test_reading_on_goes_forward_from_a_number(journal: SqliteJournal) -> None:
    await journal.append([entry(number) for number in range(25)])
    first = await journal.read_on(JournalQuery(limit=10), 5)
    assert messages(first) == [f"fact {number}" for number in range(5, 15)]
    assert first.next_seq == 15
    second = await journal.read_on(JournalQuery(limit=10), 15)
    assert messages(second) == [f"fact {number}" for number in range(15, 25)]
    assert second.next_seq == 25
    assert await journal.read_on(JournalQuery(limit=10), 25) == JournalPage((), None)
    assert await journal.read_on(JournalQuery(limit=10), 10**9) == JournalPage((), None)


async def test_rare_entry_is_found_beyond_several_stretches(journal: SqliteJournal) -> None:
    journal = replace(journal, stretch_rows=10, max_stretches=3)
    await journal.append([entry(0, order_id="ORDER-1"), *(entry(number) for number in range(1, 50))])
    query = JournalQuery(order_id="ORDER-1")
    page = await journal.read(query)
    assert page.items == ()
    assert page.next_seq is not None, "a short page must tell that there is more"
    page = await journal.read(replace(query, before_seq=page.next_seq))
    assert messages(page) == ["fact 0"]
    assert page.next_seq is None
    forward = await journal.read_on(JournalQuery(since=UnixMillis(NOW + 49)), 0)
    assert forward == JournalPage((), 10)


async def test_reading_ends_at_a_stretch_that_is_older_than_since(journal: SqliteJournal) -> None:
    journal = replace(journal, stretch_rows=10)
    await journal.append([entry(number) for number in range(100)])
    page = await journal.read(JournalQuery(since=UnixMillis(NOW + 95)))
    assert len(page.items) == 5
    assert page.next_seq is None


async def test_old_entries_are_pruned_in_slices_and_young_ones_stay(journal: SqliteJournal) -> None:
    await journal.append([entry(number) for number in range(PRUNE_ROWS + 100)])
    before = UnixMillis(NOW + PRUNE_ROWS + 50)
    assert [await journal.prune(before, 10**9) for _ in range(3)] == [PRUNE_ROWS, 50, 0]
    page = await journal.read(JournalQuery(limit=1000))
    assert len(page.items) == 50


async def test_journal_beyond_its_size_loses_its_oldest(journal: SqliteJournal) -> None:
    await journal.append([entry(number, message="x" * 940, name="batch") for number in range(300)])
    room_for_100 = 100 * (60 + 5 + 940)
    while await journal.prune(UnixMillis(0), room_for_100):
        pass
    page = await journal.read(JournalQuery(limit=1000))
    assert len(page.items) == 100
    assert page.items[0].seq == 300


async def test_a_page_costs_a_bounded_number_of_rows_whatever_is_asked(journal: SqliteJournal) -> None:
    """Every statement that looks for entries walks the numbers of one stretch."""
    given = dict.fromkeys(
        ("bottom", "top", "level", "name", "account", "order_id", "conversion_id", "since", "until", "limit"), 1
    )
    for statement in (module._NEWEST_FIRST, module._OLDEST_FIRST):
        plan = await journal.reader.call(
            lambda db, statement=statement: db.execute(f"EXPLAIN QUERY PLAN {statement}", given).fetchall()
        )
        assert [row[3] for row in plan] == ["SEARCH journal USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"]
    assert STRETCH_ROWS <= 20_000
