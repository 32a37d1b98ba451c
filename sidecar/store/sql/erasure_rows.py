"""The rows of SQLite as `store.erasures` needs them.

What stays of a redacted row is what the books need: state, numbers, times, and the hash of its key.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.erasure import Erasure, RowsOf, RowToErase
from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import State
from sidecar.store.row_primitives import NotedRow
from sidecar.store.sql import adjustment_rows, unstored
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.dialects import Dialects, sql
from sidecar.store.sql.tallies import COLUMNS, move

_IS_CONVERSION = "(SELECT kind = 'conversion' FROM lanes WHERE id = entries.lane)"

ADJUSTMENTS = sql("SELECT seq FROM entries WHERE original IN [numbers ?]")

# Retracts that have to go out.
MUST_SETTLE = "SELECT seq FROM erasure_rows WHERE erasure = ? AND must_settle = 1 AND waits = 1"

# A batch that an ended row was in goes without it.
END = sql(f"""
    UPDATE entries SET state = 'skipped', reason = 'erased', claimed = 0, settled_at = :now
    WHERE seq IN [numbers :seqs] AND state = 'pending' AND maybe_sent = 0 AND {_IS_CONVERSION}
        AND (claimed = 0 OR EXISTS (SELECT 1 FROM batches WHERE id = batch_id AND leased = 0))
    RETURNING {COLUMNS},
        seq, (SELECT account FROM lanes WHERE id = lane), (SELECT event FROM lanes WHERE id = lane), goal""")  # noqa: S608 - constants only

ROWS = sql(f"""
    SELECT seq, state, {_IS_CONVERSION},
        EXISTS (SELECT 1 FROM entries a WHERE a.original = entries.seq AND a.state = 'pending')
    FROM entries WHERE seq IN [numbers ?]""")  # noqa: S608 - constants only

ORDERS = sql("SELECT order_id FROM entries WHERE seq IN [numbers ?] AND order_id IS NOT NULL")

_REDACT = """
    UPDATE entries
    SET order_id = NULL, msclkid = NULL, click = NULL, clicked_at = NULL, visitor_id = NULL, visitor = NULL,
        email_sha256 = NULL, phone_sha256 = NULL, identity = NULL, meta = NULL, message = NULL, request_id = NULL,
        content = '', reason = CASE WHEN state = 'skipped' THEN 'erased' ELSE reason END,
        history = {}
    WHERE seq IN [numbers :seqs] AND state <> 'pending'"""

REDACT = Dialects(
    sqlite=sql(_REDACT).format("""json_insert((
            SELECT json_group_array(json(json_remove(past.value, '$.request_id', '$.message')))
            FROM json_each(coalesce(entries.history, '[]')) AS past), '$[#]', json_object('erased_at', :now))"""),
    postgres=sql(_REDACT).postgres.format("""'[' || coalesce((
            SELECT string_agg(CAST((
                SELECT json_object_agg(member.key, member.value ORDER BY member.place)
                FROM json_each(item.value) WITH ORDINALITY AS member (key, value, place)
                WHERE member.key NOT IN ('request_id', 'message')) AS text) || ', ', '' ORDER BY item.place)
            FROM json_array_elements(CAST(coalesce(entries.history, '[]') AS json))
            WITH ORDINALITY AS item (value, place)), '') || json_build_object('erased_at', :now) || ']'"""),
)

# Microsoft's messages about the requests that carried these rows may quote what was sent.
REDACT_REQUESTS = sql("""
    UPDATE requests SET message = NULL
    WHERE message IS NOT NULL AND batch_id IN (
        WITH RECURSIVE carried (id) AS (
            SELECT batch_id FROM entries WHERE seq IN [numbers :seqs]
            UNION
            SELECT CAST(past.value ->> 'batch_id' AS BIGINT) FROM entries, [items entries.history AS past]
            WHERE seq IN [numbers :seqs]
            UNION
            SELECT half.parent FROM carried CROSS JOIN [each batches half OF carried.id WHERE true]
            WHERE half.id = carried.id)
        SELECT id FROM carried)""")

NOTE = sql("""
    INSERT INTO erasure_rows (erasure, seq, waits, must_settle)
    SELECT ?, seq, waits, must_settle FROM [rows ? AS noted (seq bigint, waits bigint, must_settle bigint)] WHERE true
    ON CONFLICT (erasure, seq) DO UPDATE SET waits = excluded.waits""")

ADD_UP = """
    UPDATE erasures SET conversions = conversions + ?, skipped = skipped + ?, retracted = retracted + ? WHERE id = ?"""


@dataclass(frozen=True, slots=True)
class SqlErasureRows:
    """Implements `ErasureRows` inside the caller's transaction."""

    db: SqlConnection

    def adjustments_of(self, seqs: Sequence[int]) -> list[int]:
        return [row[0] for row in self.db.execute(ADJUSTMENTS, (json.dumps(seqs),))]

    def retracts_of(self, job: Erasure) -> set[int]:
        return {row[0] for row in self.db.execute(MUST_SETTLE, (job.id,))}

    def end_unsent(self, seqs: Sequence[int], now: UnixMillis) -> Mapping[int, RowsOf]:
        rows = self.db.execute(END, {"seqs": json.dumps(seqs), "now": now}).fetchall()
        ended: dict[int, RowsOf] = {seq: (account, event, goal) for *_, seq, account, event, goal in rows}
        move(self.db, State.PENDING, State.SKIPPED, (tallied for *tallied, _, _, _, _ in rows))
        # Nothing of what waited for them will be sent.
        adjustment_rows.release(self.db, ended, now, adjustment_delay_millis=0)
        return ended

    def rows(self, seqs: Iterable[int]) -> Sequence[RowToErase]:
        rows = self.db.execute(ROWS, (json.dumps(list(seqs)),))
        return [RowToErase(seq, State(state), bool(kind), bool(adjusted)) for seq, state, kind, adjusted in rows]

    def redact(self, seqs: Sequence[int], now: UnixMillis) -> None:
        rows = json.dumps(seqs)
        unstored.forget(self.db, [row[0] for row in self.db.execute(ORDERS, (rows,))])
        self.db.execute(REDACT, {"seqs": rows, "now": now})
        self.db.execute(REDACT_REQUESTS, {"seqs": rows})

    def note(self, job: Erasure, rows: Sequence[NotedRow]) -> None:
        self.db.execute(NOTE, (job.id, json.dumps([tuple(map(int, row)) for row in rows])))

    def add_up(self, job: Erasure, *, conversions: int, skipped: int, retracted: int) -> None:
        self.db.execute(ADD_UP, (conversions, skipped, retracted, job.id))
