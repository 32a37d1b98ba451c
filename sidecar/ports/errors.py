"""The errors of stores and platforms."""

from sidecar.core.instant import UnixMillis


class StorageUnavailable(Exception):
    """The outbox cannot store now; whether it did is unknown. `code` is a trouble, or `stopping`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class StorageBroken(Exception):
    """The store can no longer be trusted: the process must end, and its supervisor restarts it.

    After a failed fsync SQLite may bring back a row that was refused. Another fsync of the same file may succeed
    without having written anything.
    """


class OutboxRefused(Exception):
    """The store cannot be opened; the text has the reason and the remedy."""


class MoveFailed(Exception):
    """An outbox was not moved, or not to the end; the text has the reason and what to do."""


class BackupFailed(Exception):
    """No copy was made; the text has the reason and the remedy."""


class NotConnected(Exception):
    """There is no access token now. `code` is a trouble of the catalogue, `retry_at` when Microsoft is asked again."""

    def __init__(self, code: str, message: str, retry_at: UnixMillis | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_at = retry_at


class LostKey(Exception):
    """A stored value cannot be unsealed: the key is another one, or it is damaged. The text has the remedy."""
