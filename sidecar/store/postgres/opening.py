"""Opening an outbox on a server: its schema, its connections, and the ports over them."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial

import psycopg

from sidecar.core.instant import UnixMillis
from sidecar.core.server_url import without_password
from sidecar.store.committer import Committer
from sidecar.store.postgres import migrations
from sidecar.store.postgres.connection import PostgresConnection
from sidecar.store.postgres.database import PostgresDatabase, connected, reader
from sidecar.store.postgres.engine import PostgresEngine
from sidecar.store.postgres.leases import PostgresLeases
from sidecar.store.postgres.move_fence import lower_fence
from sidecar.store.postgres.server_errors import refused
from sidecar.store.postgres.server_snapshot import ServerSnapshot
from sidecar.store.sql import clock_bounds, move_marks
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
from sidecar.store.store import Store, StoreLimits

OTHERS_AT_WORK = """
    SELECT EXISTS (SELECT 1 FROM replicas WHERE alive_until > extract(epoch FROM clock_timestamp()) * 1000)"""


@contextlib.asynccontextmanager
async def open_postgres(
    url: str, environment: str, now: Callable[[], UnixMillis], limits: StoreLimits
) -> AsyncIterator[Store]:
    """The store on the server that `url` names; OutboxRefused says why it cannot be opened."""
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(connected(url, "writer"))
        await database.call(lambda db: _prepare(db, url, environment))
        due_reader = await stack.enter_async_context(reader(url, "due reader"))
        list_reader = await stack.enter_async_context(reader(url, "list reader"))
        replica = await stack.enter_async_context(connected(url, "replica"))
        snapshot = ServerSnapshot()
        engine = PostgresEngine(database, snapshot.committed)
        intake = GroupWriter(snapshot, limits.adjustment_delay_millis).write
        committer: Committer[PostgresConnection, Incoming, Outcome] = Committer(engine, intake, limits.on_group)
        await database.call(lambda db: _take_over(db, snapshot, now()))
        database.on_return = partial(_take_up, snapshot=snapshot, url=url, environment=environment)
        yield Store(
            outbox=SqlOutbox(committer, due_reader, list_reader, snapshot, limits),
            clicks=SqlClicks(committer, due_reader),
            goals=SqlGoals(committer, list_reader),
            journal=SqlJournal(committer, list_reader),
            pauses=SqlPauses(committer, list_reader),
            secrets=SqlSecrets(committer, _wiped, list_reader, now),
            traces=SqlTraces(list_reader),
            erasures=SqlErasures(committer, _wiped, list_reader),
            unstored=SqlUnstored(committer, list_reader),
            shares=SqlShares(committer, list_reader),
            tallies=SqlTallies(committer, list_reader, snapshot),
            alerts=SqlAlerts(committer, list_reader),
            verdicts=SqlVerdicts(committer, list_reader),
            leases=PostgresLeases(PostgresEngine(replica, _unheeded), secrets.token_hex(8), snapshot, now),
            run=committer.run,
            stop=committer.stop,
            give_up=partial(_give_up, (database, due_reader, list_reader, replica)),
            check=_check,
        )


def _unheeded(db: PostgresConnection, state: Sequence[object]) -> None:
    """What a heartbeat leaves concerns no row."""


def _give_up(connections: Iterable[PostgresDatabase]) -> None:
    for connection in connections:
        connection.give_up()


async def _wiped() -> bool:
    return True


async def _check() -> None:
    """The server checks its own files."""


def _prepare(db: PostgresConnection, url: str, environment: str) -> None:
    """Make a database ours, with the newest schema; OutboxRefused when it is not for us."""
    label = without_password(url)
    try:
        migrations.migrate(db, label)
        move_marks.refuse_moved(db, label)
        migrations.pin_environment(db, label, environment)
        move_marks.begin_work(db, label)
        with db.transaction():
            lower_fence(db)
    except psycopg.Error as error:
        raise refused(error, url) from error


def _take_up(db: PostgresConnection, snapshot: Snapshot, url: str, environment: str) -> None:
    """Go on after a lost connection, perhaps on another server: it must have the same outbox."""
    label = without_password(url)
    move_marks.refuse_moved(db, label)
    migrations.refuse_other_environment(db, label, environment)
    snapshot.load(db)


def _take_over(db: PostgresConnection, snapshot: Snapshot, now: UnixMillis) -> None:
    """Bring back what a clock that was ahead wrote; not beside others at work, of whose clocks one is wrong."""
    if not db.execute(OTHERS_AT_WORK).fetchone()[0]:  # type: ignore[index]
        clock_bounds.bound_batches(db, now)
    snapshot.load(db)
