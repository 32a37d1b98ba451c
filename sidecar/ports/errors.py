"""Why a store or the platform cannot do it now."""

from sidecar.core.instant import UnixMillis
from sidecar.core.waiting import Waiting as Waiting  # what `Outbox` answers with


class StorageUnavailable(Exception):
    """The outbox cannot take it now; whether it is stored is unknown. `code` is a trouble, or `stopping`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotConnected(Exception):
    """There is no access token now. `code` is a trouble of the catalogue, `retry_at` when Microsoft is asked again."""

    def __init__(self, code: str, message: str, retry_at: UnixMillis | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_at = retry_at


class LostKey(Exception):
    """A value is there that cannot be used: another key sealed it, or it was damaged; the text says what to do."""
