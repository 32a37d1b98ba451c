"""Starts the sidecar with one fault in it, as a mistake of ours would be: shows that the checker would find it.

python planted.py FAULT sidecar run --config …
"""

import sys
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sidecar.cli import main
from sidecar.ports.leases import TOKEN, UPKEEP, Held
from sidecar.store.postgres import leases, transactions
from sidecar.store.sql import intake, settling

HOUR_MILLIS = 3_600_000


def fence_off() -> None:
    """A settlement asks neither for the token of its claim nor whether the batch is over."""
    settling.FENCED = "SELECT leased FROM batches WHERE id = ? AND CAST(? AS bigint) > 0"


def key_check_off() -> None:
    """Nothing is looked up before it is stored; the test drops the unique index."""
    intake._known_rows = lambda db, keys: {}


def lease_ignored() -> None:
    """A replica takes every account for its own, no matter what others hold."""

    async def beat(self: object, accounts: Sequence[str], giving: Collection[str] = ()) -> Held:
        return Held(frozenset(accounts), frozenset((UPKEEP, TOKEN)))

    leases.PostgresLeases.beat = beat  # type: ignore[method-assign]


def own_clock() -> None:
    """Leases are made and compared by the replica's own clock, which is an hour behind."""
    beat: Callable[..., Any] = leases.PostgresLeases._beat

    def beat_by_own_clock(self: Any, *given: Any) -> Any:
        leases.NOW = f"SELECT CAST({time.time_ns() // 1_000_000 - HOUR_MILLIS} AS bigint)"
        return beat(self, *given)

    leases.PostgresLeases._beat = beat_by_own_clock  # type: ignore[method-assign]


def commit_unsafe() -> None:
    """A commit is answered before it is on disk."""
    safe = transactions.write
    transactions.write = lambda synchronous_commit: safe("off")


FAULTS = {
    "commit unsafe": commit_unsafe,
    "fence off": fence_off,
    "key check off": key_check_off,
    "lease ignored": lease_ignored,
    "own clock": own_clock,
}

if __name__ == "__main__":
    FAULTS[sys.argv[1]]()
    main(sys.argv[3:], prog_name="sidecar")
