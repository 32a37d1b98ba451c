"""The pace of every Campaign call: evenly spaced permits per account, slower for all that share a limit after a 117.

What the numbers should be is `core.pace`'s matter; here they are waited for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiolimiter import AsyncLimiter

from sidecar.core.pace import Rate


@dataclass(slots=True)
class _Lane:
    rate: Rate
    limiter: AsyncLimiter
    fresh: bool = True
    """Whether its first permit must wait too: the process before, or the pace before, may have sent just now."""

    @classmethod
    def of(cls, rate: Rate) -> "_Lane":
        return cls(rate, AsyncLimiter(rate.at_once, rate.at_once * rate.interval_seconds))


@dataclass(slots=True)
class Pacer:
    """Hands out permits; `monotonic` gives seconds.

    One permit an interval rather than a bucket of them: `AsyncLimiter(1000, 60)` would let nearly twice as many
    through in one sliding minute, since its bucket refills while the burst goes out. Only what came a moment too late
    for its permit is made up for: at most `Rate.at_once` go together.
    """

    requests_per_minute: Callable[[], float]
    monotonic: Callable[[], float]
    customers: Callable[[], Mapping[str, str]]
    """The customer id of each account: those of one customer share Microsoft's limit."""
    _lanes: dict[str, _Lane] = field(default_factory=dict)

    async def permit(self, account: str) -> None:
        """Wait until one more call of the account fits into the minute."""
        lane = self._lane(account)
        if lane.fresh:
            lane.fresh = False
            await lane.limiter.acquire(lane.rate.at_once)
        await lane.limiter.acquire()

    def sharing(self, account: str) -> Sequence[str]:
        """The accounts of the same customer, this one included."""
        customers = self.customers()
        customer = customers.get(account)
        return [name for name, other in customers.items() if name == account or other == customer]

    def throttled(self, account: str) -> None:
        """Halve the rate of all accounts that share this one's limit."""
        for name in self.sharing(account):
            lane = self._lane(name)
            self._set(lane, lane.rate.throttled(self.monotonic()))

    def answered(self, account: str) -> None:
        """A clean answer: climb back towards the configured rate, a step a minute."""
        lane = self._lane(account)
        self._set(lane, lane.rate.clean(self.monotonic()))

    def _lane(self, account: str) -> _Lane:
        limit = self.requests_per_minute()
        lane = self._lanes.get(account)
        if lane is None or lane.rate.limit != limit:
            lane = self._lanes[account] = _Lane.of(Rate.full(limit, self.monotonic()))
        return lane

    def _set(self, lane: _Lane, rate: Rate) -> None:
        if rate.current != lane.rate.current:
            lane.limiter, lane.fresh = _Lane.of(rate).limiter, True
        lane.rate = rate
