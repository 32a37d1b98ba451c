"""Periodic maintenance: expire old rows, prune settled ones, watch the disk and the clock."""

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from sidecar import loops
from sidecar.core.clock import SteadyClock, jump_words
from sidecar.core.entry import LongestWaits
from sidecar.core.goal_days import day_of
from sidecar.core.instant import EPOCH, UnixMillis, seconds
from sidecar.core.tally import first_hourly
from sidecar.core.unstored import KEPT_MILLIS
from sidecar.ports.delivery import StoredMatchShares
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.intake import Clicks
from sidecar.ports.journal import Journal
from sidecar.ports.queries import Queries, Tallies, UnstoredItems
from sidecar.ports.reports import StoredVerdicts
from sidecar.ports.upkeep import Upkeep
from sidecar.telemetry import Telemetry

DISK_SECONDS = 5.0
EXPIRE_SECONDS = 60.0
LOOK_SECONDS = 60.0
SHARES_SECONDS = 60.0
"""How often what conversions could be matched by is stored; oftener where other replicas read it."""

SHARED_SHARES_SECONDS = 1.0
PRUNE_SECONDS = 15 * 60.0

CLOCK_STEP_MILLIS = 2_000
"""A clock that steps back by less needs no correction."""

SLICE_ROWS = 100
"""Rows in one transaction of pruning or expiring, which an answer may have to wait for: 500 took 50 ms and more."""


@dataclass(frozen=True, slots=True)
class HousekeepingRules:
    """How long data is kept, and when storage is too full. Durations in milliseconds."""

    folder: Path | None
    """Where the outbox lies; None where it is on a server, whose disk is watched there."""
    retention_millis: int
    click_millis: int
    min_free_bytes: int
    max_pending: int
    journal_millis: int
    journal_bytes: int
    waits: LongestWaits = field(default_factory=LongestWaits)
    """How long rows may wait for a click or an answer, by the configuration."""


@dataclass(slots=True)
class Housekeeping:
    """Runs each task at its own interval; `rules` is asked each time."""

    upkeep: Upkeep
    queries: Queries
    clicks: Clicks
    journal: Journal
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    rules: Callable[[], HousekeepingRules]
    clock: SteadyClock
    look: Callable[[], Awaitable[object]]
    """Looks for waiting rows that no trouble mentions."""
    shares: StoredMatchShares
    tallies: Tallies
    unstored: UnstoredItems | None = None
    verdicts: StoredVerdicts | None = None
    is_ours: Callable[[], bool] = lambda: True
    """Whether this replica alone does now what must be done once."""
    shares_seconds: float = SHARES_SECONDS
    shares_saved: Callable[[], None] = lambda: None
    """Tells the other replicas that the stored shares are others now."""
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _last_seen: UnixMillis = EPOCH
    """The latest time that `now` returned."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Run the tasks until `stopping` is set."""
        self._stopping = stopping
        async with asyncio.TaskGroup() as rounds:
            for name, seconds, work in (
                ("watch", DISK_SECONDS, self.watch),
                ("expire", EXPIRE_SECONDS, self._once(self.expire)),
                ("look", LOOK_SECONDS, self.look),
                ("shares", self.shares_seconds, self.save_shares),
                ("prune", PRUNE_SECONDS, self._once(self.prune)),
                ("gather", PRUNE_SECONDS, self._once(self.gather)),
            ):
                rounds.create_task(self._repeat(name, seconds, work))
        with contextlib.suppress(StorageUnavailable):
            await self.save_shares()

    def _once(self, work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """Work that one replica does for all."""

        async def work_of_one() -> None:
            if self.is_ours():
                await work()

        return work_of_one

    @property
    def _goes_on(self) -> bool:
        return not self._stopping.is_set() and self.is_ours()

    async def watch(self) -> None:
        """Raise or clear the troubles of clock, disk and outbox, and correct rows after the clock stepped back."""
        rules = self.rules()
        self._report_clock()
        await self._correct_rows()
        if rules.folder is not None:
            free = shutil.disk_usage(rules.folder).free
            self._report("disk_nearly_full", free < rules.min_free_bytes, f"{free // 2**20} MiB are free")
        pending = (await self.queries.counts()).pending
        self._report("outbox_growing", pending >= rules.max_pending, f"{pending} rows are waiting")

    async def expire(self) -> None:
        """End every waiting row that is older than Microsoft accepts, also those of closed goals and accounts."""
        while self._goes_on and (ended := await self.upkeep.expire(self.now(), SLICE_ROWS)):
            self.telemetry.delivery.rows_expired(ended)

    async def save_shares(self) -> None:
        """Add by what conversions could be matched to what is stored, if that has changed."""
        matches = self.telemetry.intake.matches
        if not matches.changed:
            return
        try:
            shares = await self.shares.add(matches.begin_saving())
        except BaseException:
            matches.not_stored()
            raise
        matches.stored(shares)
        self.shares_saved()

    async def gather(self) -> None:
        """Gather the figures of old hours into days."""
        before = first_hourly(seconds(self.now()))
        while self._goes_on and await self.tallies.gather(before):
            pass

    async def prune(self) -> None:
        """Delete rows, clicks, days and journal entries whose retention is over, and shares of goals that left."""
        rules, now = self.rules(), self.now()
        if (goals := self.telemetry.intake.matches.goals) is not None:
            await self.shares.retain(goals)
        after: int | None = 0
        while after is not None and self._goes_on:
            after = await self.upkeep.prune(UnixMillis(now - rules.retention_millis), after, SLICE_ROWS)
        after = 0
        while after is not None and self._goes_on:
            after = await self.clicks.prune(seconds(UnixMillis(now - rules.click_millis)), after, SLICE_ROWS)
        before = UnixMillis(now - rules.journal_millis)
        while self._goes_on and await self.journal.prune(before, rules.journal_bytes):
            pass
        if self.unstored is not None:
            before = max(before, UnixMillis(now - KEPT_MILLIS))
            while self._goes_on and await self.unstored.prune(before):
                pass
        if self.verdicts is not None:
            oldest = day_of(UnixMillis(now - rules.retention_millis))
            while self._goes_on and await self.verdicts.prune(oldest, SLICE_ROWS):
                pass

    def _report_clock(self) -> None:
        self.clock.look()
        away, unsettled = self.clock.away, self.clock.unsettled
        self._report("clock_jumped", bool(away or unsettled), unsettled or f"it was set {jump_words(away)}")

    async def _correct_rows(self) -> None:
        """Correct rows that are due too late, after the clock stepped back or at a start."""
        now, before = self.now(), self._last_seen
        self._last_seen = max(before, now)
        if before != EPOCH and now >= before - CLOCK_STEP_MILLIS:
            return
        waits = self.rules().waits
        for _ in range((await self.queries.counts()).pending // SLICE_ROWS + 1):
            if self._stopping.is_set() or await self.upkeep.clock_stepped_back(self.now(), SLICE_ROWS, waits):
                break
        self._last_seen = now

    def _report(self, code: str, is_active: bool, detail: str) -> None:
        if is_active:
            self.telemetry.service.trouble_raised(code, detail=detail)
        else:
            self.telemetry.service.trouble_cleared(code)

    async def _repeat(self, name: str, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        while not self._stopping.is_set():
            with loops.reported(self.telemetry.service, f"housekeeping {name}"):
                await work()
            await loops.wait_for(self._stopping, seconds)
