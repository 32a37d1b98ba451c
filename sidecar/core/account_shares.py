"""Which accounts each replica has: an even spread that stays as it is while no replica joins or leaves.

A replica decides for itself alone. It knows who has what now, and replicas decide one after another.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountShare:
    """What one replica does with its accounts: it takes free ones, and gives back what others lack."""

    take: tuple[str, ...] = ()
    give: tuple[str, ...] = ()


def share_of(
    me: str,
    accounts: Sequence[str],
    holders: Mapping[str, str],
    replicas: Collection[str],
    giving: Collection[str] = (),
) -> AccountShare:
    """The next step of `me`, one of the live `replicas`, towards the even spread of `accounts`.

    `holders` has the replica that holds each account, if one does. Those in `giving` were chosen to be given back
    before, and are chosen first again.
    """
    held: dict[str, list[str]] = {replica: [] for replica in sorted(replicas)}
    for account in accounts:
        if (holder := holders.get(account)) in held:
            held[holder].append(account)
    most = _most(me, {replica: len(names) for replica, names in held.items()}, len(accounts))
    mine = held[me]
    free = [account for account in accounts if holders.get(account) not in held]
    surplus = [account for account in mine if account in giving] + [one for one in reversed(mine) if one not in giving]
    return AccountShare(tuple(free[: max(0, most - len(mine))]), tuple(surplus[: max(0, len(mine) - most)]))


def _most(me: str, numbers: Mapping[str, int], accounts: int) -> int:
    """How many accounts `me` may have: where they do not divide evenly, the first who have one more keep it."""
    least, with_more = divmod(accounts, len(numbers))
    full = [replica for replica, number in numbers.items() if number > least]
    before = full.index(me) if me in full else len(full)
    return least + (before < with_more)
