"""When each account is looked at next: one queue for all of them, since ten thousand tasks cost memory."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class LookQueue:
    """Accounts by the time of their next look; `monotonic` gives seconds."""

    monotonic: Callable[[], float]
    _at: dict[str, float] = field(default_factory=dict)
    _heap: list[tuple[float, str]] = field(default_factory=list)
    """Also entries that are out of date: one counts only where `_at` agrees."""

    def put(self, account: str, seconds: float = 0.0) -> None:
        """Look at the account in that time, or sooner where it was so already."""
        at = self.monotonic() + seconds
        if at < self._at.get(account, float("inf")):
            self._at[account] = at
            heapq.heappush(self._heap, (at, account))

    def drop(self, account: str) -> None:
        """Look at the account no more."""
        self._at.pop(account, None)

    def take(self) -> str | None:
        """Take the account that has been due longest out of the queue; None where none is due."""
        self._tidy()
        if not self._heap or self._heap[0][0] > self.monotonic():
            return None
        _, account = heapq.heappop(self._heap)
        del self._at[account]
        return account

    def seconds(self) -> float | None:
        """How long nothing is due; None where nothing is queued."""
        self._tidy()
        return max(0.0, self._heap[0][0] - self.monotonic()) if self._heap else None

    def _tidy(self) -> None:
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
