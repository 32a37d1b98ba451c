"""The catalogues of goals in SQLite, beside the outbox: an account's is replaced as a whole after each reading."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sidecar.core.goals.goal import Catalogue, Goal, Revenue
from sidecar.store.sql.connection import Reader, SqlConnection, Writer

CATALOGUES = "SELECT account, identity, read_at, auto_tagging FROM catalogues"

_COLUMNS = """
    id, name, type, status, count_type, window_seconds, category, revenue_type, revenue_value, revenue_currency,
    enhanced, externally_attributed, first_seen_at, is_new"""

# The goals of an account, those of the last reading or those that are only remembered.
GOALS = f"SELECT {_COLUMNS} FROM goals WHERE account = ? AND listed = ? ORDER BY id"  # noqa: S608 - constants

PUT_CATALOGUE = """
    INSERT INTO catalogues (account, identity, read_at, auto_tagging) VALUES (?, ?, ?, ?)
    ON CONFLICT (account) DO UPDATE
    SET identity = excluded.identity, read_at = excluded.read_at, auto_tagging = excluded.auto_tagging"""

FORGET = "DELETE FROM goals WHERE account = ?"

PUT_GOAL = f"INSERT INTO goals (account, listed, {_COLUMNS}) VALUES ({', '.join('?' * 16)})"  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class SqlGoals:
    """Implements `ports.Goals` through the outbox's committer."""

    committer: Writer
    reader: Reader

    async def load(self) -> Sequence[Catalogue]:
        return await self.reader.call(_load)

    async def save(self, catalogue: Catalogue) -> None:
        await self.committer.write(lambda db: _save(db, catalogue))


def _load(db: SqlConnection) -> list[Catalogue]:
    return [
        Catalogue(
            account=account,
            identity=identity,
            read_at=read_at,
            auto_tagging=_flag(auto_tagging),
            goals=tuple(_goals(db, account, listed=True)),
            gone=tuple(_goals(db, account, listed=False)),
        )
        for account, identity, read_at, auto_tagging in db.execute(CATALOGUES).fetchall()
    ]


def _goals(db: SqlConnection, account: str, *, listed: bool) -> Iterator[Goal]:
    for row in db.execute(GOALS, (account, listed)):
        yield Goal(
            id=row[0],
            name=row[1],
            type=row[2],
            status=row[3],
            count_type=row[4],
            window_seconds=row[5],
            category=row[6],
            revenue=None if row[7] is None else Revenue(row[7], row[8], row[9]),
            enhanced=_flag(row[10]),
            externally_attributed=_flag(row[11]),
            first_seen_at=row[12],
            is_new=bool(row[13]),
        )


def _save(db: SqlConnection, catalogue: Catalogue) -> None:
    account = catalogue.account
    db.execute(PUT_CATALOGUE, (account, catalogue.identity, catalogue.read_at, catalogue.auto_tagging))
    db.execute(FORGET, (account,))
    both = ((True, catalogue.goals), (False, catalogue.gone))
    db.executemany(PUT_GOAL, [(account, listed, *_values(goal)) for listed, goals in both for goal in goals])


def _values(goal: Goal) -> tuple[object, ...]:
    revenue = goal.revenue
    return (
        goal.id,
        goal.name,
        goal.type,
        goal.status,
        goal.count_type,
        goal.window_seconds,
        goal.category,
        revenue.type if revenue else None,
        revenue.value if revenue else None,
        revenue.currency if revenue else None,
        goal.enhanced,
        goal.externally_attributed,
        goal.first_seen_at,
        goal.is_new,
    )


def _flag(value: int | None) -> bool | None:
    return None if value is None else bool(value)
