"""The journal: what was stored is found again, newest first, at a bounded cost."""

from dataclasses import replace

import pytest
from store_kit import House

from sidecar.core.instant import UnixMillis
from sidecar.ports.journal import Journal, JournalEntry, JournalPage, JournalQuery

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
async def journal(house: House) -> Journal:
    await house.open()
    return house.journal


async def test_entry_comes_back_as_it_was_with_and_without_its_optional_fields(journal: Journal) -> None:
    kept = await journal.append([FULL, entry(1)])
    assert [one.seq for one in kept] == [1, 2]
    page = await journal.read(JournalQuery())
    assert page.items == tuple(reversed(kept))
    assert page.next_seq is None
    assert [one.entry for one in page.items] == [entry(1), FULL]


async def test_numbers_go_on_after_everything_was_pruned(journal: Journal) -> None:
    await journal.append([entry(number) for number in range(3)])
    assert await journal.prune(UnixMillis(NOW + 1_000), 10**9) == 3
    (kept,) = await journal.append([entry(4)])
    assert kept.seq == 4


async def test_empty_journal_is_an_empty_page(journal: Journal) -> None:
    assert await journal.read(JournalQuery()) == JournalPage((), None)
    assert await journal.read_on(JournalQuery(), 0) == JournalPage((), None)
    assert await journal.prune(NOW, 10**9) == 0


async def test_pages_join_without_gap_or_repeat(journal: Journal) -> None:
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


async def test_page_that_ends_exactly_at_the_end_has_no_cursor(journal: Journal) -> None:
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
async def test_every_filter_narrows(journal: Journal, query: JournalQuery, found: set[int]) -> None:
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


async def test_reading_on_goes_forward_from_a_number(journal: Journal) -> None:
    await journal.append([entry(number) for number in range(25)])
    first = await journal.read_on(JournalQuery(limit=10), 5)
    assert messages(first) == [f"fact {number}" for number in range(5, 15)]
    assert first.next_seq == 15
    second = await journal.read_on(JournalQuery(limit=10), 15)
    assert messages(second) == [f"fact {number}" for number in range(15, 25)]
    assert second.next_seq == 25
    assert await journal.read_on(JournalQuery(limit=10), 25) == JournalPage((), None)
    assert await journal.read_on(JournalQuery(limit=10), 10**9) == JournalPage((), None)


async def test_rare_entry_is_found_beyond_several_stretches(journal: Journal) -> None:
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


async def test_reading_ends_at_a_stretch_that_is_older_than_since(journal: Journal) -> None:
    journal = replace(journal, stretch_rows=10)
    await journal.append([entry(number) for number in range(100)])
    page = await journal.read(JournalQuery(since=UnixMillis(NOW + 95)))
    assert len(page.items) == 5
    assert page.next_seq is None


async def test_journal_beyond_its_size_loses_its_oldest(journal: Journal) -> None:
    await journal.append([entry(number, message="x" * 940, name="batch") for number in range(300)])
    room_for_100 = 100 * (60 + 5 + 940)
    while await journal.prune(UnixMillis(0), room_for_100):
        pass
    page = await journal.read(JournalQuery(limit=1000))
    assert len(page.items) == 100
    assert page.items[0].seq == 300
