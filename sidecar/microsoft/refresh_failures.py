"""The failed attempts in a row to get a token: the latest one, and when the next attempt may follow."""

import math
from dataclasses import dataclass

from sidecar import loops
from sidecar.core.instant import UnixMillis
from sidecar.microsoft.sign_in_error_codes import Remedy
from sidecar.microsoft.sign_in_errors import SignInFailure, pause_seconds
from sidecar.troubles import CATALOGUE


@dataclass(slots=True)
class RefreshFailures:
    """The latest failure, which stays until an attempt succeeds; each in a row pauses longer."""

    latest: SignInFailure | None = None
    retry_at: float = -math.inf
    """On the event loop's clock."""
    retry_at_wall: UnixMillis | None = None
    """The same as a time of day; None where time alone does not help."""
    _in_a_row: int = 0

    @property
    def asks_to_wait(self) -> bool:
        """Whether Microsoft said how long to wait."""
        return self.latest is not None and self.latest.retry_seconds is not None

    def add(self, failure: SignInFailure, now: UnixMillis) -> None:
        """Take in the failure of an attempt that ended at `now`."""
        self.latest = failure
        self._in_a_row += 1
        pause = pause_seconds(failure, self._in_a_row)
        self.retry_at = loops.monotonic() + pause
        self.retry_at_wall = UnixMillis(now + int(pause * 1000)) if math.isfinite(pause) else None

    def start_over(self) -> None:
        """Let the next pause be a first one: a person did something."""
        self._in_a_row = 0

    def end(self) -> None:
        """Forget all: an attempt succeeded."""
        self.latest, self._in_a_row = None, 0


def final(why: str) -> SignInFailure:
    """A failure that only a sign-in or a restart ends: it is never tried again by itself."""
    return SignInFailure(Remedy.RECONNECT, "not_connected", f"{CATALOGUE['not_connected'].title}: {why}", math.inf)
