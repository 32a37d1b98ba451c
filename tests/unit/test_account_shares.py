"""How accounts are shared out among replicas that come and go."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.account_shares import share_of

ACCOUNTS = [f"account-{number:02}" for number in range(20)]

EVENTS = st.lists(
    st.tuples(st.sampled_from(["join", "leave", "crash", "decide"]), st.integers(0, 9)), min_size=1, max_size=40
)


def decide(me: str, accounts: list[str], holders: dict[str, str], replicas: list[str]) -> bool:
    """One replica's step, carried out at once; whether it changed anything."""
    share = share_of(me, accounts, holders, replicas)
    holders.update(dict.fromkeys(share.take, me))
    for account in share.give:
        del holders[account]
    return bool(share.take or share.give)


def settled(accounts: list[str], holders: dict[str, str], replicas: list[str]) -> int:
    """The rounds until no replica changes anything."""
    for number in range(10):
        if sum(decide(replica, accounts, holders, replicas) for replica in replicas) == 0:
            return number
    raise AssertionError(f"they never come to rest: {holders}")


def differences(holders: dict[str, str], replicas: list[str]) -> int:
    numbers = [Counter(holders.values())[replica] for replica in replicas]
    return max(numbers) - min(numbers)


@given(st.integers(0, 20), EVENTS)
def test_accounts_are_all_held_and_evenly_spread_as_replicas_join_and_leave(
    count: int, events: list[tuple[str, int]]
) -> None:
    accounts, replicas = ACCOUNTS[:count], ["r0"]
    holders: dict[str, str] = {}
    for number, (event, which) in enumerate(events, start=1):
        one = replicas[which % len(replicas)]
        if event == "join":
            replicas.insert(which % (len(replicas) + 1), f"r{number}")
        elif event == "decide":
            decide(one, accounts, holders, replicas)
        elif len(replicas) > 1:
            replicas.remove(one)
            if event == "leave":
                holders = {account: holder for account, holder in holders.items() if holder != one}
    settled(accounts, holders, replicas)
    assert set(holders) == set(accounts)
    assert set(holders.values()) <= set(replicas)
    assert differences(holders, replicas) <= 1


@given(st.integers(1, 20), st.integers(1, 9))
def test_who_joins_gets_a_share_and_nothing_else_moves(count: int, number: int) -> None:
    accounts, replicas = ACCOUNTS[:count], [f"r{at}" for at in range(number)]
    holders: dict[str, str] = {}
    settled(accounts, holders, replicas)
    before = dict(holders)
    settled(accounts, holders, [*replicas, "new"])
    moved = {account for account in accounts if before[account] != holders[account]}
    assert {holders[account] for account in moved} <= {"new"}
    assert len(moved) == count // (number + 1)


@given(st.integers(1, 20), st.integers(2, 9))
def test_what_others_have_stays_with_them_when_one_leaves(count: int, number: int) -> None:
    accounts, replicas = ACCOUNTS[:count], [f"r{at}" for at in range(number)]
    holders: dict[str, str] = {}
    settled(accounts, holders, replicas)
    before = dict(holders)
    settled(accounts, holders, replicas[1:])
    moved = {account for account in accounts if before[account] != holders[account]}
    assert moved == {account for account, holder in before.items() if holder == "r0"}


def test_what_is_being_given_back_is_chosen_again_until_it_is_free() -> None:
    accounts = ACCOUNTS[:4]
    holders = dict.fromkeys(accounts, "a")
    first = share_of("a", accounts, holders, ["a", "b"])
    assert first.give == (ACCOUNTS[3], ACCOUNTS[2])
    assert set(share_of("a", accounts, holders, ["a", "b"], giving={ACCOUNTS[0]}).give) == {ACCOUNTS[0], ACCOUNTS[3]}
    assert share_of("b", accounts, holders, ["a", "b"]).take == (), "they are not free yet"


def test_account_of_a_replica_that_is_gone_is_free() -> None:
    assert share_of("b", ["one"], {"one": "gone"}, ["b"]).take == ("one",)
