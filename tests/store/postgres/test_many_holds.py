"""Holds of more accounts than a server has room for: few locks, and nothing of others in between."""

import postgres_kit
import psycopg
import pytest

from sidecar.store.postgres.holds import Holds

LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"


@pytest.mark.parametrize(("accounts", "locks"), [(3, 4), (20_000, 1)])
def test_many_accounts_are_held_with_one_lock_and_a_few_with_one_each(accounts: int, locks: int) -> None:
    if postgres_kit.binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    with psycopg.connect(postgres_kit.empty_database()) as db:
        holds = Holds(db)
        holds.begin(frozenset())
        assert holds.hold(f"shop{number}" for number in range(accounts))
        assert not holds.hold(["shop1"])
        assert db.execute(LOCKS).fetchall() == [(locks,)]
