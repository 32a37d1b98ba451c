"""What holds in each transaction. Set within it, since a pooler gives the next one another connection to the server."""

STATEMENT_SECONDS = 20
"""How long one statement may take, a COMMIT that waits for the standby included."""

LOCK_SECONDS = 15
"""How long it waits for rows that another replica changes: longer than that one may keep them without a word."""

IDLE_SECONDS = 10
"""How long a replica that stands still may keep its rows locked before the server ends its transaction."""

_LIMITS = (
    f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'; SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'; "
    "SET LOCAL jit = off"  # it compiles a look-up of a hundred keys for 15 ms, each time
)

WITHOUT_LIMITS = (
    "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
)
"""For work that takes as long as it takes, while no sidecar serves callers on the connection."""

READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; {_LIMITS}"
"""Begins a transaction that reads, and sees the same moment in each of its statements."""


def write(synchronous_commit: str) -> str:
    """Begin a transaction that is on disk, and on the synchronous standby, once its COMMIT is answered."""
    return f"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = {synchronous_commit}; {_LIMITS}"
