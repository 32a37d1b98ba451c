"""A record that the database keeps itself: each claim, each outcome of a batch, each row in one, each new holder.

Triggers write it in the transaction of the change, so that it holds neither more nor less than what was committed.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
from history_check.events import Carried, Claimed, Counted, Event, Place, Row, Settled, StoredClick, TookOver

from sidecar.core.conversion import Kind
from sidecar.core.record import public_id

INSTALL = """
CREATE TABLE IF NOT EXISTS trial_audit (
    number bigserial PRIMARY KEY,
    at bigint NOT NULL DEFAULT floor(extract(epoch FROM now()) * 1000),
    step text NOT NULL, batch bigint NOT NULL, seq bigint, tracking_id text, answer text);
CREATE OR REPLACE FUNCTION trial_claimed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO trial_audit (step, batch) VALUES ('claimed', NEW.id); RETURN NULL; END $$;
CREATE OR REPLACE FUNCTION trial_settled() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO trial_audit (step, batch, tracking_id, answer)
    VALUES (TG_ARGV[0], NEW.id, NEW.tracking_id, NEW.answer); RETURN NULL; END $$;
CREATE OR REPLACE FUNCTION trial_carried() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO trial_audit (step, batch, seq) VALUES ('carried', NEW.batch_id, NEW.seq); RETURN NULL; END $$;
CREATE TABLE IF NOT EXISTS trial_holders (
    at bigint NOT NULL DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000),
    name text NOT NULL, holder text NOT NULL);
CREATE OR REPLACE FUNCTION trial_took() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO trial_holders (name, holder) VALUES (NEW.name, NEW.holder); RETURN NULL; END $$;
CREATE OR REPLACE TRIGGER trial_held AFTER INSERT ON leases FOR EACH ROW EXECUTE FUNCTION trial_took();
CREATE OR REPLACE TRIGGER trial_new AFTER INSERT ON batches
    FOR EACH ROW WHEN (NEW.token > 0) EXECUTE FUNCTION trial_claimed();
CREATE OR REPLACE TRIGGER trial_again AFTER UPDATE OF token ON batches
    FOR EACH ROW EXECUTE FUNCTION trial_claimed();
CREATE OR REPLACE TRIGGER trial_closed AFTER UPDATE OF settled_at ON batches
    FOR EACH ROW EXECUTE FUNCTION trial_settled('closed');
CREATE OR REPLACE TRIGGER trial_postponed AFTER UPDATE OF answer ON batches
    FOR EACH ROW WHEN (NEW.settled_at IS NULL AND NEW.token = OLD.token) EXECUTE FUNCTION trial_settled('postponed');
CREATE OR REPLACE TRIGGER trial_row AFTER UPDATE OF batch_id ON entries
    FOR EACH ROW WHEN (NEW.batch_id IS NOT NULL) EXECUTE FUNCTION trial_carried();
"""

ROWS = """
    SELECT e.seq, l.kind, e.state, l.account, e.order_id, e.goal, e.sent_time, e.click, e.original, e.adjusted_at,
        e.maybe_sent
    FROM entries e JOIN lanes l ON l.id = e.lane"""

STEPS = "SELECT step, at, number, batch, seq, tracking_id, answer FROM trial_audit ORDER BY number"

HOLDERS = "SELECT at, substr(name, 9), holder FROM trial_holders WHERE name LIKE 'account:%' ORDER BY at"

COUNTS = "SELECT state, sum(rows)::bigint FROM counts GROUP BY state"


def install(url: str) -> None:
    """Let the database at `url`, which has the product's tables, keep the record from now on."""
    with psycopg.connect(url, autocommit=True) as db:
        for statement in INSTALL.split(";\n"):  # each alone: together they would deadlock with a replica at work
            db.execute(statement.encode())


def recorded(url: str, clicks: dict[str, tuple[str, str]]) -> list[Event]:
    """The record, and what the database holds in the end; `clicks` has account and visitor of each posted click id."""
    with psycopg.connect(url, autocommit=True) as db:
        rows = db.execute(ROWS).fetchall()
        seen = [clicks[click] for (click,) in db.execute("SELECT msclkid FROM clicks") if click in clicks]
        found = {clicks[click]: click for click in clicks}
        steps = db.execute(STEPS).fetchall()
        holders = [TookOver(*row) for row in db.execute(HOLDERS)]
        states = dict(db.execute(COUNTS).fetchall())
    kinds = {row[0]: row[1] for row in rows}
    stored = [StoredClick(account, visitor, found[account, visitor]) for account, visitor in seen]
    return [
        *(_row(row, kinds) for row in rows),
        *stored,
        *holders,
        *_steps(steps, kinds),
        Counted("the database", states),
    ]


def _steps(steps: list[Any], kinds: dict[int, str]) -> Iterator[Event]:
    for step, at, number, batch, seq, tracking_id, answer in steps:
        if step == "claimed":
            yield Claimed(at, number, batch)
        elif step == "carried":
            yield Carried(at, number, batch, public_id(Kind(kinds.get(seq, "conversion")), seq))
        else:
            yield Settled(at, number, batch, tracking_id, answer, is_closed=step == "closed")


def _row(row: Any, kinds: dict[int, str]) -> Row:
    seq, kind, state, account, order, goal, second, click, original, adjusted_at, maybe_sent = row
    place: Place | None = None if goal is None or second is None else (account, click or "", goal, second)
    of = None if original is None else public_id(Kind.CONVERSION, original)
    return Row(public_id(Kind(kind), seq), kind, state, account, order, place, of, adjusted_at, bool(maybe_sent))
