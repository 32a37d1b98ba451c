"""What a transaction holds against other replicas: accounts whose rows it changes, or anything else by its name.

Advisory locks that end with the transaction, so that a pooler may lie between. Who holds an account is alone with its
rows, as SQLite's only writer is with its file: each statement sees what those before it left. New conversions need no
hold, for their key is the database's to guard.
"""

from collections.abc import Iterable
from typing import Any

import psycopg

_EVERYTHING, _NAMED = 0x6D73_0000, 0x6D73_0001
"""The first half of the locks' numbers."""

_ALL = "SELECT pg_advisory_xact_lock(%s, 0)"

# In one order for all replicas, so that no two of them wait for each other.
MOST_NAMES = 1_000
"""More are held as everything: a server has room for 6,400 locks as it is installed, for all transactions together."""

_SOME = """
    SELECT pg_advisory_xact_lock_shared(%s, 0), pg_advisory_xact_lock(%s, number) FROM (
        SELECT DISTINCT hashtext(name) AS number FROM unnest(CAST(%s AS text[])) AS name ORDER BY number) AS numbers"""


class HoldMore(Exception):
    """A transaction that holds something already has to hold these `names` as well, from its beginning."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__(f"holds also {sorted(names)}")
        self.names = names


class Holds:
    """The holds of the transaction at work on one connection."""

    def __init__(self, raw: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._raw = raw
        self._names: frozenset[str] = frozenset()
        self._has_all = False

    def begin(self, names: frozenset[str]) -> None:
        """A transaction begins, which has to hold these."""
        self._names, self._has_all = frozenset(), False
        self.hold(names)

    def hold(self, names: Iterable[str]) -> bool:
        if self._has_all or not (more := frozenset(names) - self._names):
            return False
        if self._names:
            raise HoldMore(self._names | more)
        if len(more) > MOST_NAMES:
            return self.hold_all()
        self._raw.execute(_SOME, (_EVERYTHING, _NAMED, sorted(more)), prepare=False)
        self._names = more
        return True

    def hold_all(self) -> bool:
        assert not self._names, "what needs everything holds it first"
        if not self._has_all:
            self._raw.execute(_ALL, (_EVERYTHING,), prepare=False)
        self._has_all = True
        return True
