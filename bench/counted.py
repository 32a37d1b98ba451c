"""Work whose instructions can be counted: `python -m bench.counted ours 2000`, `python -m bench.counted plain 2000`.

`ours` is the path of that many orders from bytes to settled, without HTTP and TLS. `plain` is the least that any script
in Python would do with them: parse, hash twice, write the row into our table, write an answer.
"""

import asyncio
import hashlib
import json
import sqlite3
import sys
import tempfile
from pathlib import Path

from bench.bodies import Bodies
from bench.raw import INSERT
from bench.steps import ARRAY, BATCH, Steps, send_off, take_in
from bench.store import NOW, opened


async def ours(path: Path, rows: int) -> None:
    """A thousand at a time."""
    steps, bodies = Steps(), Bodies(ARRAY)
    async with opened(path) as outbox:
        for _ in range(rows // BATCH):
            await take_in(outbox, bodies, steps)
            await send_off(outbox, steps)


async def plain(path: Path, rows: int) -> None:
    """The same orders, an array in each transaction."""
    async with opened(path):
        pass
    db, bodies, seq = sqlite3.connect(path, isolation_level=None), Bodies(ARRAY), 0
    for _ in range(rows // ARRAY):
        values = []
        for order in json.loads(bodies.next()):
            seq += 1
            user = order["user"]
            hashes = [hashlib.sha256(user[name].encode()).hexdigest() for name in ("email", "phone")]
            key = (hash(order["order_id"]), *hashes)
            computed = (seq, 1, "pending", None, *key, 1, str(order["value"]), None, None, "bench", NOW, NOW, None)
            given = (NOW // 1000, order["order_id"], order["currency"], order["msclkid"], None, *hashes, None)
            values.append((*computed, *given))
        db.execute("BEGIN")
        db.executemany(INSERT, values)
        db.execute("COMMIT")
        json.dumps([{"id": row[0], "state": row[2], "order_id": row[16]} for row in values])
    db.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        asyncio.run({"ours": ours, "plain": plain}[sys.argv[1]](Path(folder) / "outbox.db", int(sys.argv[2])))
