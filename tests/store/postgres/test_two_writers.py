"""Two replicas write to one database at once: each conversion once, each batch to one, and no wake-up is lost."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from adjusting_kit import wish
from conversion_kit import captured, conversion, orders, trace
from instant_kit import HOUR, MINUTE, NOW, later
from outbox_kit import TAKEN, claim, claimed, due, put, record_of
from store_kit import PostgresHouse, added_up, running_store
from two_stores_kit import Two, outboxes, two_stores

from sidecar.core.adjustment import ByOrder
from sidecar.core.attribution import Deferral, WaitForClick
from sidecar.core.erasure import ErasureRequest, Subject
from sidecar.core.instant import UnixSeconds, seconds
from sidecar.core.states_and_reasons import Reason, State
from sidecar.core.tally import HOUR_SECONDS, period_start
from sidecar.ports.intake import Conflict, Replayed, Stored
from sidecar.ports.journal import JournalEntry, JournalQuery
from sidecar.store.postgres.connection import PostgresConnection
from sidecar.store.postgres.server_snapshot import TAKE_NUMBERS
from sidecar.store.sql.account_holds import JOURNAL
from sidecar.store.sql.claiming import release_leases_of
from sidecar.store.sql.dialects import INTAKE_LOCK

ROUNDS = 15


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    house = PostgresHouse(tmp_path)
    async with two_stores(house) as opened:
        yield opened
    await house.remove()


def stored_states(two: Two) -> dict[str, int]:
    rows = two.rows("SELECT state, count(*) AS rows FROM entries GROUP BY state")
    return {row["state"]: row["rows"] for row in rows}


def counted_states(two: Two) -> dict[str, int]:
    return {row["state"]: row["rows"] for row in added_up(two.rows("SELECT * FROM counts")) if row["rows"]}


# --- Intake ----------------------------------------------------------------------------------------------------------


async def test_same_orders_at_both_at_once_are_stored_once(two: Two) -> None:
    first, second = outboxes(two)
    for number in range(ROUNDS):
        given = orders(20, number * 20)
        results = await asyncio.gather(put(first, *given), put(second, *reversed(given)))
        kinds = Counter(type(result) for each in results for result in each)
        assert kinds == {Stored: 20, Replayed: 20}
        by_order = zip(results[0], reversed(results[1]), strict=True)
        assert all(one.record.seq == other.record.seq for one, other in by_order)
    assert stored_states(two) == counted_states(two) == {"pending": 20 * ROUNDS}


async def test_other_content_under_the_same_key_at_once_is_a_conflict(two: Two) -> None:
    for number in range(ROUNDS):
        (one,), (other,) = await asyncio.gather(
            *(
                put(outbox, conversion(f"A-{number}", value=value))
                for outbox, value in zip(outboxes(two), "12", strict=True)
            )
        )
        assert {type(one), type(other)} == {Stored, Conflict}


async def test_what_waits_is_exact_at_the_other_at_the_moment_of_each_answer(two: Two) -> None:
    first, second = outboxes(two)
    for number in range(ROUNDS):
        await put((first, second)[number % 2], *orders(3, number * 3))
        assert [(await each.counts()).pending for each in (first, second)] == [3 * number + 3] * 2


async def test_dead_row_that_both_replace_at_once_is_replaced_once(two: Two) -> None:
    first, second = outboxes(two)
    for number in range(ROUNDS):
        old = UnixSeconds(seconds(NOW) - 89 * 86_400)
        await put(first, conversion(f"OLD-{number}", time=old))
        assert await first.expire(later(30 * 24 * HOUR), 10)
        again = [conversion(f"OLD-{number}", value=value) for value in ("1", "2")]
        (one,), (other,) = await asyncio.gather(put(first, again[0]), put(second, again[1]))
        assert {type(one), type(other)} == {Stored, Conflict}
    assert stored_states(two) == counted_states(two) == {"pending": ROUNDS}


# --- Adjustments -----------------------------------------------------------------------------------------------------


async def test_adjustments_of_one_order_at_both_stay_in_order_and_the_last_one_counts(two: Two) -> None:
    first, second = outboxes(two)
    for number in range(ROUNDS):
        target = ByOrder(f"A-{number}", None)
        [stored] = await put(first, conversion(f"A-{number}", value="99"))
        await asyncio.gather(
            *(
                (first, second)[value % 2].adjust([wish(str(value), target=target, key=f"K-{number}-{value}")])
                for value in range(6)
            )
        )
        adjustments = await second.adjustments(stored.record.seq)
        assert {each.state for each in adjustments} == {State.CANCELED}
        assert (await record_of(first, stored.record.seq)).value == adjustments[-1].value


async def test_one_adjustment_at_most_of_what_was_delivered_is_on_its_way(two: Two) -> None:
    first, second = outboxes(two)
    await put(first, *orders(ROUNDS))
    assert await first.settle(await claimed(first), {}, TAKEN, NOW)
    for number in range(ROUNDS):
        wanted = [wish(str(value), target=ByOrder(f"ORDER-{number}", None), at=later(HOUR)) for value in (1, 2)]
        one, other = await asyncio.gather(first.adjust(wanted[:1]), second.adjust(wanted[1:]))
        assert all(isinstance(result, Stored) for result in (*one, *other))
        ended = [each.state for each in await first.adjustments(number + 1)]
        assert ended == [State.CANCELED, State.PENDING]


async def test_first_adjustment_of_an_account_at_one_is_carried_by_the_other(two: Two) -> None:
    first, second = outboxes(two)
    await put(first, *orders(1))
    assert await first.settle(await claimed(first), {}, TAKEN, NOW)
    await second.adjust([wish("5", target=ByOrder("ORDER-0", None), at=later(HOUR))])
    await two.hear()
    at = later(7 * HOUR)
    taken = await claim(second, await due(second, at), at)
    assert taken is not None
    again = await first.claim_resend("main", later(8 * HOUR), later(9 * HOUR))
    assert again is not None
    assert [entry.lane.event for entry in again.entries] == ["purchase"]


# --- Delivery --------------------------------------------------------------------------------------------------------


async def test_row_that_both_claim_at_once_is_in_one_batch(two: Two) -> None:
    first, second = outboxes(two)
    for number in range(ROUNDS):
        await put(first, *orders(20, 20 * number))
        read = await two.due_at_both()
        both = await asyncio.gather(
            *(claim(each, entries) for each, entries in zip((first, second), read, strict=True))
        )
        taken = [[entry.seq for entry in each.entries] for each in both if each]
        assert sorted(seq for each in taken for seq in each) == list(range(20 * number + 1, 20 * number + 21))


async def test_batch_is_settled_by_its_last_claim_alone(two: Two) -> None:
    first, second = outboxes(two)
    for number in range(ROUNDS):
        await put(first, *orders(5, 5 * number))
        stale = await claimed(first)
        await second.committer.write(lambda db: release_leases_of(db, ["main"], NOW))  # type: ignore[attr-defined]
        last = await second.claim_resend("main", NOW, later(MINUTE))
        assert last is not None
        settled = await asyncio.gather(first.settle(stale, {}, TAKEN, NOW), second.settle(last, {}, TAKEN, NOW))
        assert settled == [False, True]
    assert counted_states(two) == {"delivered": 5 * ROUNDS}


async def test_click_that_comes_in_while_its_conversion_is_set_aside_wakes_it(two: Two) -> None:
    """In either order: the row is set aside and woken, or the click is there when it would be set aside."""
    first, second = outboxes(two)
    for number in range(2 * ROUNDS):
        visitor = f"v-{number}"
        [stored] = await put(first, conversion(f"A-{number}", msclkid=None, visitor_id=visitor))
        aside = Deferral(stored.record.seq, WaitForClick(Reason.AWAITING_CLICK, later(HOUR)))
        await asyncio.gather(
            first.defer([aside], NOW),
            two.second.clicks.capture([captured(f"{number:032x}", visitor_id=visitor)]),
        )
        row = await record_of(second, stored.record.seq)
        assert (row.state, row.reason, row.due_at) == (State.PENDING, None, NOW)


# --- Walks by number -------------------------------------------------------------------------------------------------


async def waits_for_a_lock(two: Two, task: "asyncio.Task[Any]") -> bool:
    """Whether the task comes to wait for what another transaction holds; False where it ends first."""
    while not task.done():
        if two.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            return True
        await asyncio.sleep(0)
    return False


async def test_erasure_waits_for_the_rows_whose_numbers_are_given_out(two: Two) -> None:
    """One that is stored later under an earlier number would else be passed over."""
    with psycopg.connect(two.url) as other:
        [(number,)] = PostgresConnection(other).execute(TAKE_NUMBERS, (INTAKE_LOCK, 1))
        await put(two.first.outbox, conversion(email_sha256="e1" * 32))
        wanted = ErasureRequest(Subject.EMAIL, "e1" * 32, retract=False)
        adding = asyncio.create_task(two.second.erasures.add(wanted, NOW))
        assert await waits_for_a_lock(two, adding)
        other.commit()
    await adding
    assert two.rows("SELECT last_seq FROM erasures") == [{"last_seq": number + 1}]


async def test_reader_of_the_journal_misses_no_fact_that_is_stored_late_under_an_early_number(two: Two) -> None:
    fact = JournalEntry(time=NOW, level="info", name="noted", message="from the first")
    with psycopg.connect(two.url) as other:
        db = PostgresConnection(other)
        db.hold((JOURNAL,))
        db.execute("INSERT INTO journal (time, level, name, message) VALUES (?, 20, 'noted', 'from another')", (NOW,))
        appending = asyncio.create_task(two.first.journal.append([fact]))
        assert await waits_for_a_lock(two, appending)
        assert (await two.second.journal.read_on(JournalQuery(), 0)).items == ()
        other.commit()
    await appending
    found = (await two.second.journal.read_on(JournalQuery(), 0)).items
    assert [each.entry.message for each in found] == ["from another", "from the first"]


# --- Counting --------------------------------------------------------------------------------------------------------


async def test_what_both_count_is_gathered_into_one_line(two: Two) -> None:
    for store, start in ((two.first, 0), (two.second, 10)):
        await put(store.outbox, *orders(10, start, value="0.1"))
    since = period_start(seconds(NOW), HOUR_SECONDS)
    [before] = await two.first.tallies.by_period(since, HOUR_SECONDS)
    while await two.first.tallies.gather(UnixSeconds(since + 2 * 86_400)):
        pass
    [(hour, shard)] = {(row["at"] > 0, row["shard"]) for row in two.rows("SELECT * FROM tallies WHERE at > 0")}
    assert (hour, shard) == (True, 0)
    [after] = await two.second.tallies.by_period(UnixSeconds(since // 86_400 * 86_400), 86_400)
    assert (after.rows, after.value) == (before.rows, before.value)


async def test_storm_of_everything_at_both_ends_with_books_that_balance(two: Two) -> None:
    """Also with locks taken from many sides: no transaction waits for ever, and nothing fails."""
    chance = random.Random(3)
    stores = (two.first, two.second)

    async def act(number: int) -> None:
        store = stores[number % 2]
        given = chance.sample(range(40), 5)
        match number % 5:
            case 0 | 1:
                await put(store.outbox, *(conversion(f"S-{one}", msclkid=None, visitor_id=f"v-{one}") for one in given))
            case 2:
                await store.clicks.capture([captured(f"{one:032x}", visitor_id=f"v-{one}") for one in given])
            case 3:
                targets = [ByOrder(f"S-{one}", None) for one in given]
                await store.outbox.adjust([wish(str(number), target=target, key=f"{number}") for target in targets[:1]])
            case _:
                if (taken := await claim(store.outbox, await due(store.outbox, limit=3))) is not None:
                    assert await store.outbox.settle(taken, {}, TAKEN, NOW)

    async with asyncio.timeout(60):
        await asyncio.gather(*(act(number) for number in range(200)))
    assert stored_states(two) == counted_states(two)
    tallies = [row for row in added_up(two.rows("SELECT * FROM tallies")) if row["at"] == 0 and row["rows"]]
    by_state = Counter[str]()
    for row in tallies:
        by_state[row["state"]] += row["rows"]
    assert dict(by_state) == stored_states(two)


async def test_both_keep_no_more_traces_together_than_one_may(two: Two) -> None:
    for store in (two.first, two.second):
        store.unstored.most = 10  # type: ignore[attr-defined]
    for number in range(20):
        await (two.first, two.second)[number % 2].unstored.append([trace(f"R-{number}")])
    assert len(two.rows("SELECT seq FROM unstored")) == 10


async def test_replica_whose_clock_is_an_hour_behind_shortens_no_lease_at_its_start(two: Two) -> None:
    await two.first.leases.beat(["main"])
    await put(two.first.outbox, *orders(3))
    await claimed(two.first.outbox)
    leases = "SELECT due_at, sent_at FROM batches"
    before = two.rows(leases)
    async with running_store(two.url, lambda: later(-HOUR)):
        assert two.rows(leases) == before
