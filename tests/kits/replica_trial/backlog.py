"""How many rows of each account wait, so that callers keep every account busy and none for long."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

PENDING = """
    SELECT l.account, count(*) FROM entries e JOIN lanes l ON l.id = e.lane
    WHERE e.state = 'pending' GROUP BY l.account"""

LOOK_SECONDS = 1.0


@dataclass
class Backlog:
    """Looks each second; while the database is away, the last look counts."""

    url: Callable[[], str]
    enough: int
    """How many rows keep an account busy."""
    _pending: dict[str, int] = field(default_factory=dict)

    def is_full(self, account: str) -> bool:
        return self._pending.get(account, 0) >= self.enough

    async def watch(self, over: asyncio.Event) -> None:
        """Look until it is over."""
        while not over.is_set():
            with contextlib.suppress(psycopg.Error):
                self._pending = await asyncio.to_thread(self._look)
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self) -> dict[str, int]:
        with psycopg.connect(self.url(), autocommit=True, connect_timeout=2) as db:
            return dict(db.execute(PENDING).fetchall())
