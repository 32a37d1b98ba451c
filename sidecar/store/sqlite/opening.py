"""Opening an outbox in a file: its owner, its integrity, its connections, and the ports over them."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from sidecar.core.instant import UnixMillis
from sidecar.store.committer import Committer
from sidecar.store.sqlite import claiming, clock_bounds
from sidecar.store.sqlite.alerts import SqliteAlerts
from sidecar.store.sqlite.clicks import SqliteClicks
from sidecar.store.sqlite.database import reader, writer
from sidecar.store.sqlite.engine import SqliteEngine
from sidecar.store.sqlite.erasures import SqliteErasures
from sidecar.store.sqlite.figures import SqliteTallies
from sidecar.store.sqlite.goals import SqliteGoals
from sidecar.store.sqlite.intake_group import GroupWriter, Incoming, Outcome
from sidecar.store.sqlite.integrity import check_beside_work, last_commit, verified
from sidecar.store.sqlite.journal import SqliteJournal
from sidecar.store.sqlite.match_shares import SqliteShares
from sidecar.store.sqlite.outbox import SqliteOutbox
from sidecar.store.sqlite.outbox_file import owned
from sidecar.store.sqlite.pauses import SqlitePauses
from sidecar.store.sqlite.secrets import SqliteSecrets
from sidecar.store.sqlite.snapshot import Snapshot
from sidecar.store.sqlite.sqlite_errors import unusable
from sidecar.store.sqlite.tracing import SqliteTraces
from sidecar.store.sqlite.unstored import SqliteUnstored
from sidecar.store.store import Store, StoreLimits


@contextlib.asynccontextmanager
async def open_sqlite(
    path: Path, environment: str, now: Callable[[], UnixMillis], limits: StoreLimits
) -> AsyncIterator[Store]:
    """The store in the file `path`, owned by this process alone; OutboxRefused says why it cannot be."""
    async with contextlib.AsyncExitStack() as stack:
        path = stack.enter_context(owned(path))
        with verified(path):
            database = await stack.enter_async_context(writer(path, environment))
        last = stack.enter_context(last_commit(path))
        due_reader = await stack.enter_async_context(reader(path, "due reader"))
        list_reader = await stack.enter_async_context(reader(path, "list reader"))
        snapshot = Snapshot()
        engine = SqliteEngine(database, path.parent, limits.min_free_bytes, snapshot.committed, last.note)
        intake = GroupWriter(snapshot, limits.adjustment_delay_millis).write
        committer: Committer[sqlite3.Connection, Incoming, Outcome] = Committer(engine, intake, limits.on_group)
        due_reader.on_damage = list_reader.on_damage = committer.damaged
        try:
            await database.call(lambda db: _take_over(db, snapshot, now()))
        except sqlite3.DatabaseError as error:
            raise unusable(path, error) from error
        yield Store(
            outbox=SqliteOutbox(committer, due_reader, list_reader, snapshot, limits),
            clicks=SqliteClicks(committer, due_reader),
            goals=SqliteGoals(committer, list_reader),
            journal=SqliteJournal(committer, list_reader),
            pauses=SqlitePauses(committer, list_reader),
            secrets=SqliteSecrets(committer, engine, list_reader, now),
            traces=SqliteTraces(list_reader),
            erasures=SqliteErasures(committer, database, list_reader),
            unstored=SqliteUnstored(committer, list_reader),
            shares=SqliteShares(committer, list_reader),
            tallies=SqliteTallies(committer, list_reader, snapshot),
            alerts=SqliteAlerts(committer, list_reader),
            run=committer.run,
            stop=committer.stop,
            check=partial(check_beside_work, path, last, committer.damaged),
        )


def _take_over(db: sqlite3.Connection, snapshot: Snapshot, now: UnixMillis) -> None:
    """The file had another owner before, whose leases are void."""
    claiming.release_leases(db, now)
    clock_bounds.bound_batches(db, now)
    snapshot.load(db)
