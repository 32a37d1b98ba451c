"""Every statement of the outbox by its name, as the modules that carry it out have it."""

from sidecar.store.sql import (
    account_holds,
    adjustment_rows,
    batch_requests,
    claiming,
    clicks,
    clock_bounds,
    due_rows,
    erasure_rows,
    erasures,
    expiry,
    figures,
    fixed_goals,
    goals,
    intake,
    journal,
    match_shares,
    outbox,
    pauses,
    pruning,
    replaying,
    row_counts,
    row_lists,
    secrets,
    sent_days,
    settling,
    tallies,
    tracing,
    unstored,
    verdicts,
    waiting_rows,
)
from sidecar.store.sql.connection import BulkStatement

MODULES = (
    *(account_holds, adjustment_rows, batch_requests, claiming, clicks, clock_bounds, due_rows, erasure_rows, erasures),
    *(expiry, figures, fixed_goals, goals, intake, journal, match_shares, outbox, pauses, pruning, replaying),
    *(row_counts, row_lists, secrets, sent_days, settling, tallies, tracing, unstored, verdicts, waiting_rows),
)
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


def statements() -> dict[str, str | BulkStatement]:
    """By module and name, without those that the sources still put something into."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": each
        for module in MODULES
        for name, each in vars(module).items()
        if isinstance(each, BulkStatement) or (isinstance(each, str) and _is_statement(each))
    }


def _is_statement(text: str) -> bool:
    return text.split()[:1] != [] and text.split()[0] in VERBS and "{}" not in text
