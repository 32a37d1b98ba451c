"""Raw sqlite3: our schema, FULL, the same rows in each commit. `python -m bench.raw 100` prints a line of JSON."""

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.bodies import Bodies
from bench.store import NOW, RULES, opened
from sidecar.core.intake.conversion import Accepted, read
from sidecar.core.intake.json_text import parse
from sidecar.ports.intake import Arrival
from sidecar.store.sql.rows import INSERT_COLUMNS, new_row

ROWS = 40_000

INSERT = f"INSERT INTO entries ({', '.join(INSERT_COLUMNS)}) VALUES ({', '.join('?' * len(INSERT_COLUMNS))})"


def groups(size: int) -> list[list[tuple[Any, ...]]]:
    """Rows as they lie in the table, made beforehand."""
    bodies, seq, made = Bodies(size), 0, []
    for _ in range(ROWS // size):
        group = []
        for item in parse(bodies.next()):
            reading = read(item, now=NOW, rules=RULES)
            assert isinstance(reading, Accepted)
            seq += 1
            conversion = reading.conversion
            group.append(new_row(Arrival(conversion, NOW, "bench"), conversion.key(), conversion.content(), seq, 1))
        made.append(group)
    return made


async def _schema(path: Path) -> None:
    async with opened(path):
        pass


def main() -> None:
    rows = groups(int(sys.argv[1]))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "outbox.db"
        asyncio.run(_schema(path))
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        used, began = time.process_time(), time.perf_counter()
        for group in rows:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(INSERT, group)
            db.execute("COMMIT")
        took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
        db.close()
    print(json.dumps({"rows": ROWS, **took}))


if __name__ == "__main__":
    main()
