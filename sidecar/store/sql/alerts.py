"""What the alerts' webhook heard of each trouble, over restarts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.core.alerts import MOST_ALERTS, Alert, AlertKey
from sidecar.store.sql.connection import Reader, SqlConnection, Writer

ALL = """
    SELECT code, nullif(account, ''), nullif(subject, ''), raised_at, ended_at, taken_at, is_unsure
    FROM alerts ORDER BY raised_at LIMIT ?"""

PUT = """
    INSERT INTO alerts (code, account, subject, raised_at, ended_at, taken_at, is_unsure)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (code, account, subject) DO UPDATE
    SET raised_at = excluded.raised_at, ended_at = excluded.ended_at, taken_at = excluded.taken_at,
        is_unsure = excluded.is_unsure"""

FORGET = "DELETE FROM alerts WHERE code = ? AND account = ? AND subject = ?"


@dataclass(frozen=True, slots=True)
class SqlAlerts:
    """Implements `ports.StoredAlerts` through the outbox's committer, behind all other work."""

    committer: Writer
    reader: Reader

    async def load(self) -> Sequence[Alert]:
        return await self.reader.call(lambda db: [_alert(row) for row in db.execute(ALL, (MOST_ALERTS,))])

    async def save(self, changed: Collection[Alert], gone: Collection[AlertKey]) -> None:
        await self.committer.write(lambda db: _save(db, changed, gone), can_wait=True)


def _alert(row: Sequence[Any]) -> Alert:
    code, account, subject, raised_at, ended_at, taken_at, is_unsure = row
    return Alert(code, account, subject, raised_at, ended_at, taken_at, bool(is_unsure))


def _save(db: SqlConnection, changed: Collection[Alert], gone: Collection[AlertKey]) -> None:
    db.executemany(FORGET, [_texts(key) for key in gone])
    db.executemany(
        PUT,
        [(*_texts(one.key), one.raised_at, one.ended_at, one.taken_at, one.is_unsure) for one in changed],
    )


def _texts(key: AlertKey) -> tuple[str, str, str]:
    code, account, subject = key
    return code, account or "", subject or ""
