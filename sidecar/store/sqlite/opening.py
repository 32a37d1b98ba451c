"""Opening an outbox in a file: its owner, its integrity, its connections, and the ports over them."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from sidecar.core.instant import UnixMillis
from sidecar.store.committer import Committer
from sidecar.store.sql import claiming, clock_bounds
from sidecar.store.sql.alerts import SqlAlerts
from sidecar.store.sql.clicks import SqlClicks
from sidecar.store.sql.erasures import SqlErasures
from sidecar.store.sql.figures import SqlTallies
from sidecar.store.sql.goals import SqlGoals
from sidecar.store.sql.intake_group import GroupWriter, Incoming, Outcome
from sidecar.store.sql.journal import SqlJournal
from sidecar.store.sql.match_shares import SqlShares
from sidecar.store.sql.outbox import SqlOutbox
from sidecar.store.sql.pauses import SqlPauses
from sidecar.store.sql.secrets import SqlSecrets
from sidecar.store.sql.snapshot import Snapshot
from sidecar.store.sql.tracing import SqlTraces
from sidecar.store.sql.unstored import SqlUnstored
from sidecar.store.sql.verdicts import SqlVerdicts
from sidecar.store.sqlite.connection import SqliteConnection
from sidecar.store.sqlite.database import reader, writer
from sidecar.store.sqlite.engine import SqliteEngine
from sidecar.store.sqlite.integrity import check_beside_work, last_commit, verified
from sidecar.store.sqlite.leases import OwnersLeases
from sidecar.store.sqlite.outbox_file import owned
from sidecar.store.sqlite.sqlite_errors import unusable
from sidecar.store.sqlite.wiping import vacuum
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
        committer: Committer[SqliteConnection, Incoming, Outcome] = Committer(engine, intake, limits.on_group)
        due_reader.on_damage = list_reader.on_damage = committer.damaged
        try:
            await database.call(lambda db: _take_over(db, snapshot, now()))
        except sqlite3.DatabaseError as error:
            raise unusable(path, error) from error
        yield Store(
            outbox=SqlOutbox(committer, due_reader, list_reader, snapshot, limits),
            clicks=SqlClicks(committer, due_reader),
            goals=SqlGoals(committer, list_reader),
            journal=SqlJournal(committer, list_reader),
            pauses=SqlPauses(committer, list_reader),
            secrets=SqlSecrets(committer, engine.checkpoint, list_reader, now),
            traces=SqlTraces(list_reader),
            erasures=SqlErasures(committer, lambda: database.call(vacuum), list_reader),
            unstored=SqlUnstored(committer, list_reader),
            shares=SqlShares(committer, list_reader),
            tallies=SqlTallies(committer, list_reader, snapshot),
            alerts=SqlAlerts(committer, list_reader),
            verdicts=SqlVerdicts(committer, list_reader),
            leases=OwnersLeases(due_reader, now),
            run=committer.run,
            stop=committer.stop,
            check=partial(check_beside_work, path, last, committer.damaged),
        )


def _take_over(db: SqliteConnection, snapshot: Snapshot, now: UnixMillis) -> None:
    """The file had another owner before, whose leases are void."""
    claiming.release_leases(db, now)
    clock_bounds.bound_batches(db, now)
    snapshot.load(db)
