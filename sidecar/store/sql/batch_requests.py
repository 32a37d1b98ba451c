"""The requests that carried a batch and did not settle it: one line each, so that its cost is one for all its rows.

Most batches have none. One that goes again for months has fifty, and from then on one for each kind of answer.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sidecar.core.attempts import UNANSWERED, RequestFacts
from sidecar.core.instant import UnixMillis
from sidecar.ports.delivery import Claim, Note
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.dialects import sql

SEPARATE_REQUESTS = 50
"""This many requests of a batch have a line of their own; later ones are gathered by their answer."""

# From the batch as it was claimed: when the request was made ready.
NOTE = """
    INSERT INTO requests (
        batch_id, number, last, times, rows, sent_at, ended_at, due_at, answer, tracking_id, error, error_code, message)
    SELECT id, token, token, 1, coalesce(:rows, rows), sent_at, :ended_at, :due_at, :answer, :tracking_id, :error,
        :error_code, :message
    FROM batches WHERE id = :batch
    ON CONFLICT (batch_id, number) DO UPDATE
    SET last = excluded.last, times = excluded.times, rows = excluded.rows, sent_at = excluded.sent_at,
        ended_at = excluded.ended_at, due_at = excluded.due_at, answer = excluded.answer,
        tracking_id = excluded.tracking_id, error = excluded.error, error_code = excluded.error_code,
        message = excluded.message"""

# One more of the same answer, in the line that gathers those; its details are the last one's.
GATHER = """
    UPDATE requests
    SET last = :token, times = times + 1, ended_at = :ended_at, due_at = :due_at, tracking_id = :tracking_id,
        error = :error, error_code = :error_code, message = :message
    WHERE batch_id = :batch AND number = (
        SELECT max(number) FROM requests WHERE batch_id = :batch AND number >= :apart AND answer = :answer)"""

OF_BATCHES = sql("""
    SELECT batch_id, number, last, times, rows, sent_at, ended_at, due_at, answer, tracking_id, error, error_code,
        message
    FROM requests WHERE batch_id IN [numbers ?]""")


def note(db: SqlConnection, claim: Claim, given: Note, at: UnixMillis | None, due_at: UnixMillis | None) -> None:
    """Write down the answer to a claim whose batch goes on: as it is at `due_at`, or in halves."""
    _note(db, claim.batch_id, claim.token, len(claim.entries), given, at, due_at)


def note_unanswered(db: SqlConnection, batch_id: int, token: int) -> None:
    """Write down that the claim `token` of a batch got no answer before the next one."""
    _note(db, batch_id, token, None, Note(UNANSWERED), None, None)


def _note(
    db: SqlConnection,
    batch_id: int,
    token: int,
    rows: int | None,
    given: Note,
    at: UnixMillis | None,
    due_at: UnixMillis | None,
) -> None:
    values = {
        "batch": batch_id,
        "token": token,
        "apart": SEPARATE_REQUESTS,
        "rows": rows,
        "ended_at": at,
        "due_at": due_at,
        "answer": given.answer,
        "tracking_id": given.tracking_id,
        "error": given.error,
        "error_code": given.error_code,
        "message": given.message,
    }
    if token <= SEPARATE_REQUESTS or not db.execute(GATHER, values).rowcount:
        db.execute(NOTE, values)


def of_batches(db: SqlConnection, ids: Iterable[int]) -> Mapping[int, Sequence[RequestFacts]]:
    """What was noted of the requests of these batches, each batch's in their order."""
    found: dict[int, list[RequestFacts]] = {}
    for batch_id, facts in sorted(_facts(db.execute(OF_BATCHES, (json.dumps(list(ids)),))), key=_place):
        found.setdefault(batch_id, []).append(facts)
    return found


def _facts(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, RequestFacts]]:
    return ((row[0], RequestFacts(*row[1:])) for row in rows)


def _place(one: tuple[int, RequestFacts]) -> tuple[int, int]:
    return one[0], one[1].number
