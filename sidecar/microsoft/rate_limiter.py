"""Waits for the pace of every Campaign call: evenly spaced permits per account, slower after Microsoft's "too many".

The rates are `core.adaptive_rate`'s matter, and belong to the state of each account, which is asked for them.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from aiolimiter import AsyncLimiter

from sidecar.core.adaptive_rate import Rate, RequestHistory


@dataclass(slots=True)
class _Lane:
    """The permits of one account at one rate."""

    rate: float
    limiter: AsyncLimiter
    departures: AsyncLimiter
    """Those that have their permit: what happens between permit and departure may take long, once."""
    at_once: int
    is_fresh: bool = True
    """Whether its first permit must wait too: the process before, or the pace before, may have sent just now."""

    @classmethod
    def of(cls, rate: Rate) -> "_Lane":
        limiter, departures = (AsyncLimiter(rate.at_once, rate.at_once * rate.interval_seconds) for _ in range(2))
        return cls(rate.current, limiter, departures, rate.at_once)


async def _own(account: str) -> bool:
    """Without replicas every permit is one's own."""
    return False


@dataclass(slots=True)
class RateLimiter:
    """Hands out permits; `monotonic` gives seconds.

    There is one permit an interval, and no bucket of permits: `AsyncLimiter(1000, 60)` lets nearly twice as many
    through in one sliding minute, since its bucket refills during the burst. Calls that are slightly late for their
    permit may catch up: at most `Rate.at_once` go together.
    """

    requests_per_minute: Callable[[], float]
    monotonic: Callable[[], float]
    shares_with: Callable[[str], Sequence[str]]
    """The accounts of the same customer, which share Microsoft's limit, with the account itself; none if unknown."""
    history: Callable[[str], RequestHistory]
    """That of an account, with its rate."""
    borrow: Callable[[str], Awaitable[bool]] = _own
    """Lets the replica that holds the account wait for one permit more; False where this one holds it."""
    on_throttled: Callable[[str], None] = lambda account: None
    """Called with the account whose call was one too many."""
    _lanes: dict[str, _Lane] = field(default_factory=dict)

    async def permit(self, account: str) -> None:
        """Wait until one more call of the account fits into the minute."""
        if await self.borrow(account):
            self.history(account).noted(self.monotonic())
            return
        lane = self._lane(account)
        if lane.is_fresh:
            lane.is_fresh = False
            await lane.limiter.acquire(lane.at_once)
        await lane.limiter.acquire()
        self.history(account).noted(self.monotonic())

    async def departure(self, account: str) -> None:
        """Wait until a call that has its permit may leave.

        A call whose claim took long leaves late, and the next one may have its permit by then. Without this both would
        leave together, so that a minute held one more than it may.
        """
        await self._lane(account).departures.acquire()

    def begin_again(self, accounts: Iterable[str]) -> None:
        """Let the first permit of these accounts wait: another replica may have sent for them just now.

        Their rates have climbed meanwhile, as far as is known here.
        """
        for account in accounts:
            self._lanes.pop(account, None)
            self.history(account).rate = self.rate(account).rested(self.monotonic())

    def slow_down(self, account: str, share: float, seconds_ago: float) -> None:
        """Go no faster than at a rate that was halved to `share` of the limit, here or elsewhere, some time ago."""
        now, rate = self.monotonic(), self.rate(account)
        halved = Rate(rate.limit, max(1.0, share * rate.limit), now - seconds_ago).rested(now)
        if halved.current < rate.current:
            self.history(account).rate = halved

    def last_minute(self, account: str) -> tuple[int, int]:
        """How many calls of the account were permitted in the last 60 s, and how many may be now."""
        return self.history(account).in_last_minute(self.monotonic()), int(self.rate(account).current)

    def sharing(self, account: str) -> Sequence[str]:
        """The accounts of the same customer, this one included."""
        return self.shares_with(account)

    def throttled(self, account: str) -> None:
        """Halve the rate of all accounts that share this one's limit."""
        for name in self.sharing(account):
            self.history(name).rate = self.rate(name).throttled(self.monotonic())
        self.on_throttled(account)

    def clean_answer(self, account: str) -> None:
        """Climb back towards the configured rate, a step a minute."""
        self.history(account).rate = self.rate(account).clean(self.monotonic())

    def rate(self, account: str) -> Rate:
        """The account's rate now; the full one where the configured limit is another than before."""
        history, limit = self.history(account), self.requests_per_minute()
        if history.rate.limit != limit:
            history.rate = Rate.full(limit, self.monotonic())
        return history.rate

    def _lane(self, account: str) -> _Lane:
        rate, lane = self.rate(account), self._lanes.get(account)
        if lane is None or lane.rate != rate.current:
            lane = self._lanes[account] = _Lane.of(rate)
        return lane
