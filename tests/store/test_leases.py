"""Who does what: the owner of a file everything, replicas over one database a share each."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import postgres_kit
import psycopg
import pytest
from conversion_kit import conversion
from instant_kit import NOW
from outbox_kit import claimed, put, retaken, seqs_of
from store_kit import House, running_store

from sidecar.ports.leases import TOKEN, UPKEEP, Held, News
from sidecar.store.store import Store

ACCOUNTS = [f"account-{number}" for number in range(5)]


@dataclass
class Replicas:
    """Stores over one database, each the one of another process."""

    url: str
    stack: AsyncExitStack
    stores: list[Store] = field(default_factory=list)

    async def join(self) -> Store:
        store = await self.stack.enter_async_context(running_store(self.url))
        self.stores.append(store)
        return store

    async def beats(self, rounds: int = 3, accounts: Sequence[str] = ACCOUNTS) -> list[Held]:
        """Heartbeats of all, who give back at once what they are asked for; what each holds then."""
        for _ in range(rounds):
            for store in self.stores:
                if surplus := (await store.leases.beat(accounts)).surplus:
                    await store.leases.release(surplus)
        return [await store.leases.beat(accounts) for store in self.stores]

    def end_lease_of(self, at: int) -> None:
        """As if its process had hung for longer than a lease."""
        holder = self.stores[at].leases.holder  # type: ignore[attr-defined]
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute("UPDATE replicas SET alive_until = 0 WHERE holder = %s", (holder,))


@pytest.fixture
async def replicas() -> AsyncIterator[Replicas]:
    if postgres_kit.binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    async with AsyncExitStack() as stack:
        yield Replicas(postgres_kit.empty_database(), stack)


async def test_replica_that_is_alone_holds_everything(house: House) -> None:
    await house.open()
    held = await house.leases.beat(ACCOUNTS)
    assert (held.accounts - held.surplus, held.duties) == (set(ACCOUNTS), {UPKEEP, TOKEN})
    assert (held.replicas, held.began_again) == (1, False)


async def test_account_that_left_the_configuration_is_given_back(replicas: Replicas) -> None:
    first = await replicas.join()
    await first.leases.beat(ACCOUNTS)
    held = await first.leases.beat(ACCOUNTS[1:])
    assert (held.accounts, held.surplus) == (set(ACCOUNTS), {ACCOUNTS[0]})
    await first.leases.release(held.surplus)
    assert (await first.leases.beat(ACCOUNTS[1:])).accounts == set(ACCOUNTS[1:])


async def test_nothing_is_new_to_a_replica_that_is_alone(house: House) -> None:
    await house.open()
    await house.leases.beat(ACCOUNTS)
    assert await house.leases.look() == News()


async def test_accounts_are_spread_evenly_and_duties_are_done_once(replicas: Replicas) -> None:
    for _ in range(3):
        await replicas.join()
    held = await replicas.beats()
    assert sorted(len(one.accounts) for one in held) == [1, 2, 2]
    assert frozenset.union(*(one.accounts for one in held)) == set(ACCOUNTS)
    assert sorted(duty for one in held for duty in one.duties) == sorted((UPKEEP, TOKEN))
    assert [one.replicas for one in held] == [3, 3, 3]


async def test_what_a_replica_has_too_much_is_taken_only_once_it_was_given_back(replicas: Replicas) -> None:
    first, second = await replicas.join(), await replicas.join()
    await first.leases.beat(ACCOUNTS)
    assert (await second.leases.beat(ACCOUNTS)).accounts == set()
    held = await first.leases.beat(ACCOUNTS)
    assert (held.accounts, len(held.surplus)) == (set(ACCOUNTS), 2)
    assert (await second.leases.beat(ACCOUNTS)).accounts == set()
    await first.leases.release(held.surplus)
    assert (await second.leases.look()).is_moved
    assert (await second.leases.beat(ACCOUNTS)).accounts == held.surplus


async def test_what_a_replica_leaves_others_take_at_their_next_heartbeat(replicas: Replicas) -> None:
    first, second = await replicas.join(), await replicas.join()
    await replicas.beats()
    await first.leases.leave()
    assert (await second.leases.look()).is_moved
    held = await second.leases.beat(ACCOUNTS)
    assert (held.accounts, held.duties, held.replicas) == (set(ACCOUNTS), {UPKEEP, TOKEN}, 1)


async def test_what_a_silent_replica_held_others_take_once_its_lease_is_over(replicas: Replicas) -> None:
    _, second = await replicas.join(), await replicas.join()
    (_, held) = await replicas.beats()
    assert not (await second.leases.look()).is_moved
    replicas.end_lease_of(0)
    assert (await second.leases.look()).is_moved
    taken = await second.leases.beat(ACCOUNTS)
    assert held.accounts < taken.accounts == set(ACCOUNTS)


async def test_replica_that_wakes_after_its_lease_begins_with_nothing(replicas: Replicas) -> None:
    first, second = await replicas.join(), await replicas.join()
    before, _ = await replicas.beats()
    replicas.end_lease_of(0)
    await second.leases.beat(ACCOUNTS)
    after = await first.leases.beat(ACCOUNTS)
    assert before.accounts
    assert (after.accounts, after.began_again) == (set(), True)


async def test_replica_whose_lease_was_over_and_untouched_learns_that_it_begins_again(replicas: Replicas) -> None:
    (first,) = [await replicas.join()]
    await first.leases.beat(ACCOUNTS)
    assert not (await first.leases.beat(ACCOUNTS)).began_again
    replicas.end_lease_of(0)
    held = await first.leases.beat(ACCOUNTS)
    assert (held.accounts, held.began_again) == (set(ACCOUNTS), True)


async def test_no_replica_has_what_another_one_has_when_all_beat_at_once(replicas: Replicas) -> None:
    stores = [await replicas.join() for _ in range(4)]
    for _ in range(5):
        held = await asyncio.gather(*(store.leases.beat(ACCOUNTS) for store in stores))
        assert sum(len(one.accounts) for one in held) == len(ACCOUNTS)
        for store, one in zip(stores, held, strict=True):
            await store.leases.release(one.surplus)
            await store.leases.beat(ACCOUNTS)
    assert sorted(len(one.accounts) for one in await replicas.beats()) == [1, 1, 1, 2]


async def test_batch_on_its_way_is_due_again_where_its_account_is_taken_over(replicas: Replicas) -> None:
    first, second = await replicas.join(), await replicas.join()
    await first.outbox.open_lanes([("main", "purchase")])
    await first.leases.beat(["main"])
    (seq,) = await seqs_of(first.outbox, conversion())
    await claimed(first.outbox)
    assert not await second.outbox.has_resend("main", NOW), "its lease goes on"
    replicas.end_lease_of(0)
    await second.leases.beat(["main"])
    assert await second.outbox.has_resend("main", NOW)
    again = await retaken(first.outbox, NOW)
    assert [(entry.seq, entry.maybe_sent) for entry in again.entries] == [(seq, True)]


async def test_start_of_a_replica_leaves_what_others_have_on_their_way(replicas: Replicas) -> None:
    first = await replicas.join()
    await first.outbox.open_lanes([("main", "purchase")])
    await first.leases.beat(["main"])
    await put(first.outbox, conversion())
    await claimed(first.outbox)
    second = await replicas.join()
    await second.leases.beat(["main"])
    assert not await second.outbox.has_resend("main", NOW)


async def test_what_a_replica_tells_each_other_one_hears_once(replicas: Replicas) -> None:
    first, second = await replicas.join(), await replicas.join()
    await first.leases.announce(["pauses", "arrived:main"])
    assert (await second.leases.look()).changes == {"pauses", "arrived:main"}
    assert (await second.leases.look()).changes == set()
    await second.leases.announce(["pauses"])
    assert (await second.leases.look()).changes == {"pauses"}
    assert (await first.leases.look()).changes == {"pauses", "arrived:main"}


async def test_look_shows_lanes_and_counts_of_other_replicas(replicas: Replicas) -> None:
    first, second = await replicas.join(), await replicas.join()
    await first.outbox.open_lanes([("main", "purchase")])
    await put(first.outbox, conversion())
    await second.leases.look()
    assert [(lane.account, lane.event) for lane in await second.outbox.lanes()] == [("main", "purchase")]
    assert (await second.outbox.counts()).pending == 1
