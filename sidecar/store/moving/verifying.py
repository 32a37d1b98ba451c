"""Both sides compared: every row by a checksum, and the conversions by state."""

from collections.abc import Callable, Mapping

from sidecar.ports.errors import MoveFailed
from sidecar.store.moving.report import MovedTable
from sidecar.store.moving.row_pages import TablePages
from sidecar.store.moving.table_digest import TableDigest
from sidecar.store.sql.connection import SqlConnection

_STATES = "SELECT state, count(*) FROM entries GROUP BY state ORDER BY state"


def verified_table(
    pages: TablePages, source: SqlConnection, target: SqlConnection, watch: Callable[[int], None]
) -> MovedTable:
    """The table, equal on both sides; MoveFailed where it is not. `watch` gets the rows of each page read."""
    ours, theirs = _digest(pages, source, watch), _digest(pages, target, watch)
    if ours != theirs:
        raise _different(f"{pages.table} has {ours.rows:,} rows ({ours}) here and {theirs.rows:,} ({theirs}) there")
    return MovedTable(pages.table, ours.rows, str(ours))


def _digest(pages: TablePages, db: SqlConnection, watch: Callable[[int], None]) -> TableDigest:
    digest = TableDigest()
    for page in pages.after(db, None):
        digest = digest.with_rows(page)
        watch(len(page))
    return digest


def verified_states(source: SqlConnection, target: SqlConnection) -> Mapping[str, int]:
    """Conversions and adjustments by state, equal on both sides; MoveFailed where they are not."""
    ours, theirs = (dict(db.execute(_STATES).fetchall()) for db in (source, target))
    if ours != theirs:
        raise _different(f"by state there are {ours} here and {theirs} there")
    return ours


def _different(how: str) -> MoveFailed:
    return MoveFailed(
        f"source and target are not equal: {how}. Something else has written to one of them. The source is as it was, "
        "and the target is not released: stop what writes there, and run this again. It then begins from the start"
    )
