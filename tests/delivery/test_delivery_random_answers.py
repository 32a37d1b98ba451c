"""Random errors over random batches, from the answer's bytes to the rows on disk: no row is lost or mistaken."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from importlib import resources

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from promises import Show

from sidecar.core.answer import Taken
from sidecar.core.batch import as_sent, with_goals
from sidecar.core.entry import Lane, next_step
from sidecar.core.instant import UnixMillis
from sidecar.microsoft.wire import decode
from sidecar.ports.delivery import Claim, Note
from sidecar.store.sql import claiming, settling
from sidecar.store.sql.due_rows import due
from sidecar.store.sql.row_counts import counts
from sidecar.store.sqlite.connection import SqliteConnection

NOW = UnixMillis(1_795_000_000_000)
DAY = 86_400_000
LANE = Lane(1, "main", "purchase")
SCHEMA = "".join(
    path.read_text()
    for path in sorted((resources.files("sidecar.store.sqlite") / "schema").iterdir(), key=lambda p: p.name)
)
INSERT = """
    INSERT INTO entries (lane, state, content, time, time_given, msclkid, received_at, due_at)
    VALUES (1, 'pending', '', ?, 1, ?, ?, ?)"""

MEANINGS = {5604: "dead", 5610: "dead", 5606: "pending", 5615: "pending", 5614: "pending", 9999: "pending"}
"""What a row ends as, by the gravest of its errors: one that is permanent outweighs all others."""

Errors = Sequence[tuple[int, int]]

batches = st.integers(2, 40).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.lists(
            st.lists(st.tuples(st.integers(0, size - 1), st.sampled_from(sorted(MEANINGS))), max_size=size * 2),
            min_size=1,
            max_size=3,
        ),
    )
)


def outbox_of(rows: int) -> SqliteConnection:
    """An outbox with `rows` rows, each of a click of its own."""
    db = sqlite3.connect(":memory:", isolation_level=None, factory=SqliteConnection)
    db.executescript(SCHEMA)
    db.execute("INSERT INTO lanes VALUES (1, 'main', 'purchase', 'conversion')")
    db.executemany(INSERT, [(NOW // 1000 - 60, f"{seq:032x}", NOW, NOW) for seq in range(rows)])
    db.execute("UPDATE counts SET rows = ? WHERE state = 'pending'", (rows,))
    return db


def claimed(db: SqliteConnection, now: UnixMillis) -> Claim | None:
    candidates = with_goals(due(db, [LANE], now, 1_000), {"purchase": "Goal"})
    frozen, identities = [as_sent(one) for one in candidates], [one.identity for one in candidates]
    return claiming.take(db, "main", frozen, identities, now, UnixMillis(now + 1))


def answer(errors: Errors) -> bytes:
    listed = [{"Index": index, "Code": code, "ErrorCode": f"Code{code}", "Message": "x"} for index, code in errors]
    return json.dumps({"PartialErrors": listed}).encode()


def expected(claim: Claim, errors: Errors) -> Mapping[int, str]:
    """The state of each row after such an answer."""
    found: dict[int, str] = {}
    for place, entry in enumerate(claim.entries):
        said = [MEANINGS[code] for index, code in errors if index == place]
        found[entry.seq] = "dead" if "dead" in said else "pending" if said else "delivered"
    return found


def _settle_all(batch: tuple[int, list[Errors]]) -> tuple[int, int]:
    """Settle a batch, and again as long as rows are left; how many batches and rows that were."""
    size, answers = batch
    settled = 0
    db = outbox_of(size)
    states = dict.fromkeys(range(1, size + 1), "pending")
    now = NOW
    for errors in answers:
        claim = claimed(db, now)
        if claim is None:
            break
        fitting = [(index, code) for index, code in errors if index < len(claim.entries)]
        decoded = decode(200, {}, answer(fitting), len(claim.entries))
        assert isinstance(decoded, Taken)
        said = [(claim.entries[place], outcome) for place, outcome in decoded.named.items()]
        steps = {entry.seq: next_step(entry, outcome, now, 0.5) for entry, outcome in said}
        assert settling.settle(db, claim, steps, Note("taken"), now, adjustment_delay_millis=0)
        states |= expected(claim, fitting)
        settled += 1
        assert dict(db.execute("SELECT seq, state FROM entries")) == states
        now = UnixMillis(now + DAY)
    kept = counts(db)
    assert (kept.pending, kept.delivered, kept.dead) == tuple(
        list(states.values()).count(state) for state in ("pending", "delivered", "dead")
    )
    assert db.execute("SELECT count(*) FROM entries WHERE claimed = 1").fetchone() == (0,)
    db.close()
    return settled, size


@given(batches)
@settings(max_examples=500, deadline=None)
def test_every_row_gets_its_own_outcome_and_no_other(batch: tuple[int, list[Errors]]) -> None:
    _settle_all(batch)


@pytest.mark.faults
@pytest.mark.promise("B3")
@pytest.mark.timeout(3_600)
def test_every_row_of_10000_batches_gets_its_own_outcome_and_no_other(shown: Show) -> None:
    done = [0, 0]

    @given(batches)
    @settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
    def settle(batch: tuple[int, list[Errors]]) -> None:
        batches, rows = _settle_all(batch)
        done[0] += batches
        done[1] += rows

    settle()
    shown(f"{done[0]:,} batches", lost=0, figure=f"{done[1]:,} rows")
