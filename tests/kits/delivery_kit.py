"""A whole sidecar without its HTTP edge, wired as the service wires it, against an emulator in the same process.

Both share a wall clock that can be moved, so that fifteen minutes or ninety days pass at once.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from delivery_ledger import ACCOUNT_IDS, adjusted_by, expected_entry, ledger_entry
from place_kit import OutboxPlace

from sidecar.config import Config
from sidecar.config.loader import parse
from sidecar.core.adjustment import Adjustment, ById
from sidecar.core.clock import SteadyClock
from sidecar.core.conversion import AdjustmentType, Conversion
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.delivery.courier import Courier
from sidecar.emulator import SEED_REFRESH_TOKEN, Emulator, EmulatorOptions, MappedGoal
from sidecar.emulator.fault_script import ActiveRule
from sidecar.emulator.faults import Rule
from sidecar.emulator.tokens import expire_access_tokens, revoke_refresh_tokens
from sidecar.ports.intake import Adjusting, AdjustResult, Arrival, Stored
from sidecar.ports.journal import JournalEntry, JournalQuery
from sidecar.ports.queries import Counts
from sidecar.service.settings import Settings
from sidecar.service.wiring import Components, Runtime, open_parts
from sidecar.telemetry import Telemetry

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
DEADLINE_SECONDS = 45.0
LOOKS = 3
"""How often each courier looks for work before a test says that there is none."""
APPLY = "OfflineConversions/Apply"
ADJUST = "OfflineConversionAdjustments/Apply"
GOALS = {"purchase": "Sidecar Purchase", "lead": "Sidecar Lead"}

MICROSOFT = """
microsoft:
  environment: emulator
  ca_bundle: {ca}
  endpoints: {{campaign: "{url}", customer: "{url}", authority: "{url}/common"}}
storage: {{url: "{store}", min_free_disk: 1KiB}}
"""
"""The head of a configuration: an emulator, and a store."""
CONFIG = (
    MICROSOFT
    + """
accounts:
  main:  {{customer_id: "100000001", account_id: "200000001"}}
  twin:  {{customer_id: "100000001", account_id: "200000002"}}
  other: {{customer_id: "100000009", account_id: "200000009"}}
events:
  purchase: {{goal: Sidecar Purchase, currency: USD, account: main}}
  lead: {{goal: Sidecar Lead, account: main}}
"""
)


@dataclass
class Clock:
    """The real time, and how far it was moved; once it is stopped, only the test moves it."""

    offset: int = 0
    stopped_at: int | None = None

    def __call__(self) -> UnixMillis:
        return UnixMillis((_real_millis() if self.stopped_at is None else self.stopped_at) + self.offset)

    def stop(self) -> None:
        """Stand still: what the machine takes for a step does not count."""
        self.stopped_at = _real_millis()


def _real_millis() -> int:
    return time.time_ns() // 1_000_000


@dataclass(repr=False)  # a signal handler shows what an async fixture gave
class Rig:
    """One emulator and one sidecar that can crash, stop and start again."""

    place: OutboxPlace
    emulator: Emulator
    clock: Clock
    config: Config
    parts: Components
    accepted: int = 0
    reads_goals: bool = True
    """Whether the catalogue of goals runs; without it only Microsoft's answers open and close goals."""
    chance: Callable[[], float] = field(default_factory=lambda: random.Random(7).random)
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _orders: int = 0

    # --- life --------------------------------------------------------------------------------------------------------

    @classmethod
    async def of(
        cls, place: OutboxPlace, emulator: Emulator, clock: Clock, *, text: str = CONFIG, **delivery: Any
    ) -> "Rig":
        ca = place.folder / "ca.pem"
        ca.write_text(emulator.ca_pem)
        config = parse(text.format(ca=ca, url=emulator.url, store=place.url), {})
        rig = cls(place, emulator, clock, config, parts=None)  # type: ignore[arg-type]
        rig.configure(**{"linger": 0.02, "requests_per_minute": 30_000, "request_timeout": 60.0, **delivery})
        return rig

    @property
    def folder(self) -> Path:
        return self.place.folder

    def configure(self, **delivery: Any) -> None:
        """Other settings of `delivery:`, in force from now on; wider ones too than a file may have."""
        changed = self.config.delivery.model_copy(update=delivery)
        self._take_up(self.config.model_copy(update={"delivery": changed}))

    def keep(self, *, rows: int, clicks: int, journal: int) -> None:
        """How many days each is kept."""
        retained = {"storage": rows, "clicks": clicks, "logging": journal}
        sections = {
            name: getattr(self.config, name).model_copy(update={"retention": days * 86_400.0})
            for name, days in retained.items()
        }
        self._take_up(self.config.model_copy(update=sections))

    def map(self, **goals: str) -> None:
        """Other goals for some events, as a reload does it."""
        self.remap(**goals)
        if self.reads_goals:
            self.parts.catalogue.reloaded()
        self.parts.gates.forget_but(set(self.config.accounts), self.parts.settings.goals_of_accounts())
        self.parts.gates.retry_now()

    def remap(self, **goals: str) -> None:
        """Other goals for some events, in a file that was not read again yet."""
        events = {
            name: event.model_copy(update={"goal": goals.get(name, event.goal)})
            for name, event in self.config.events.items()
        }
        self._take_up(self.config.model_copy(update={"events": events}))

    def move(self, account_id: str, account: str = "main") -> None:
        """The account is another one at Microsoft from now on, as a reload does it."""
        moved = self.config.accounts[account].model_copy(update={"account_id": account_id})
        self._take_up(self.config.model_copy(update={"accounts": {**self.config.accounts, account: moved}}))
        self.map()

    def _take_up(self, config: Config) -> None:
        self.config = config
        if self.parts is not None:
            self.parts.settings.config = config

    async def start(self, *, steady: bool = False) -> None:
        """Open everything and begin to carry; `steady` through jumps of the clock, as the service is."""
        telemetry = Telemetry(self.clock, level="error")
        clock = SteadyClock(self.clock, time.monotonic) if steady else None
        chances = Runtime(clock.now if clock else self.clock, time.monotonic, lambda: self.chance(), clock)
        self.parts = await open_parts(self._stack, Settings(self.config), telemetry, chances)
        parts = self.parts
        for name, work in (
            ("committer", parts.store.run()),
            ("tokens", parts.tokens.run()),
            ("flusher", parts.flusher.run()),
        ):
            self._tasks[name] = asyncio.create_task(work)
        await parts.store.outbox.open_lanes(parts.settings.lanes())
        await parts.store.outbox.know_ids(parts.settings.identities())
        if self.reads_goals:
            self._tasks["catalogue"] = asyncio.create_task(parts.catalogue.run())
        if parts.store.leases.is_shared:
            for account in () if self.reads_goals else self.config.accounts:
                parts.catalogue.known.states[account].is_expected = True  # no reading of it has to end first
            await parts.holdings.beat()
        self._tasks["holdings"] = asyncio.create_task(parts.holdings.run())
        if parts.store.leases.is_shared:
            return
        if self.reads_goals:
            parts.catalogue.expect(tuple(self.config.accounts))
        parts.flusher.serve(tuple(self.config.accounts))

    async def crash(self) -> None:
        """End the process abruptly: no answer to what is on its way arrives."""
        for name in ("holdings", "catalogue", "flusher", "tokens", "committer"):
            if name in self._tasks:
                await _ended(self._tasks.pop(name))
        await self._stack.aclose()
        self.place.end_leases()
        self.parts.telemetry.close()

    async def stop(self) -> None:
        """End in order, as the service does."""
        self.parts.flusher.stop()
        await self._tasks.pop("flusher")
        await self.parts.holdings.leave()
        for name in ("holdings", "catalogue", "tokens"):
            if name in self._tasks:
                await _ended(self._tasks.pop(name))
        self.parts.store.stop()
        await self._tasks.pop("committer")
        await self._stack.aclose()
        self.parts.telemetry.close()

    async def close(self) -> None:
        if self._tasks:
            await self.crash()

    def pass_time(self, millis: int) -> None:
        """So much time passes at once, here and at Microsoft."""
        self.clock.offset += millis
        self.wake_couriers()
        self.parts.catalogue.wake()

    def wake_couriers(self) -> None:
        """Each looks for what is due now; an idle account has had none."""
        for account in self.parts.flusher._served:
            self.parts.flusher.wake(account)

    def stop_clock(self) -> None:
        """From now on only `pass_time` moves the clock: no pause ends before its test has looked. Nothing lingers."""
        self.clock.stop()
        self.configure(linger=0)

    async def hurry(self, count: int = 0, step: int = 500) -> None:
        """Until no more than `count` rows are pending: pauses pass twenty times as fast."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (await self.parts.store.outbox.counts()).pending > count:
                await asyncio.sleep(0.025)  # real time for the requests between two steps of the clock
                self.pass_time(step)

    async def pass_in_steps(self, step: int = 500) -> None:
        """Until nothing is pending, with a stopped clock: each step once all that was due has its answer on disk."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (await self.parts.store.outbox.counts()).pending:
                await self.give_time(0)
                await self.until(lambda: self.under_way() == 0)
                self.pass_time(step)

    # --- what comes in -----------------------------------------------------------------------------------------------

    def order(self, **given: Any) -> Conversion:
        """A purchase of a minute ago, each with a click of its own."""
        self._orders += 1
        event = given.pop("event", "purchase")
        value = given.pop("value", f"{self._orders}.{self._orders % 1000:03}")
        fields: dict[str, Any] = {
            "account": "main",
            "goal": GOALS[event],
            "order_id": f"ORDER-{self._orders}",
            "time": UnixSeconds(self.clock() // 1000 - 60),
            "time_given": True,
            "currency": "USD",
            "msclkid": f"{self._orders:032x}",
            **given,
        }
        return Conversion(event=event, value=Decimal(value), given_value=Decimal(value), **fields)

    async def post(self, count: int = 1, **given: Any) -> list[int]:
        """`count` conversions come in with one request; their numbers."""
        arrivals = [Arrival(self.order(**given), self.clock(), "request-1") for _ in range(count)]
        return await self.put(arrivals)

    async def post_unanswered(self, count: int = 1, *, times: int | None = 1, **given: Any) -> list[int]:
        """`count` conversions come in, and the answer to their request is lost: they may have been sent.

        They go again once the test lets time pass.
        """
        self.stop_clock()
        self.fault(times, type="reset_before")
        seqs = await self.post(count, **given)
        await self.until(lambda: any(row["maybe_sent"] for row in self.rows()))
        return seqs

    async def put(self, arrivals: Sequence[Arrival]) -> list[int]:
        results = await self.parts.store.outbox.put(arrivals)
        assert all(isinstance(result, Stored) for result in results)
        self.accepted += len(results)
        for arrival in arrivals:
            self.parts.flusher.arrived({arrival.conversion.account: 1})
        return [result.record.seq for result in results]

    async def adjust(self, seq: int | None, value: str | None = None, **given: Any) -> AdjustResult:
        """A restate to `value`, else a retract, of the conversion with that number; `target` names another one."""
        target = given.pop("target", None) or ById(seq or 0, None)
        wanted = Adjustment(
            type=AdjustmentType.RETRACT if value is None else AdjustmentType.RESTATE,
            target=target,
            value=None if value is None else Decimal(value),
            currency=given.pop("currency", None),
            time=UnixSeconds(self.clock() // 1000),
            time_given=False,
            **given,
        )
        (result,) = await self.parts.store.outbox.adjust([Adjusting(wanted, self.clock(), "request-2")])
        if isinstance(result, Stored):
            self.accepted += 1
            self.parts.flusher.arrived({result.record.account: 1})
        return result

    # --- what Microsoft does -----------------------------------------------------------------------------------------

    def fault(
        self, times: int | None = 1, after: int = 0, match: dict[str, str] | None = None, **action: Any
    ) -> ActiveRule:
        """Something goes wrong with uploads: `times` of them, after `after` that pass."""
        rule = {"match": {"operation": APPLY} | (match or {}), "times": times, "after": after, "action": action}
        return self.emulator.script.add(Rule.model_validate(rule))

    def hold(self, times: int = 1, **given: Any) -> ActiveRule:
        """`times` requests arrive, as `fired` counts, and are answered once the faults are gone."""
        self.configure(request_timeout=600.0)
        return self.fault(times, type="slow", seconds=600, **given)

    def clear_faults(self) -> None:
        """Nothing goes wrong any more; what was held is answered."""
        self.emulator.script.clear()

    async def expire_tokens(self) -> None:
        await self.emulator._state().transact(lambda db: expire_access_tokens(db, self.clock()))

    async def sign_in(self) -> None:
        """Someone signs in again."""
        grant = await self.parts.tokens._sign_in.refresh(SEED_REFRESH_TOKEN)  # type: ignore[attr-defined]
        await self.parts.tokens.signed_in(grant)

    async def revoke_sign_in(self) -> None:
        await self.emulator._state().transact(revoke_refresh_tokens)

    async def requests(self, operation: str = APPLY, account: str | None = None) -> list[dict[str, Any]]:
        """Every request that arrived, oldest first."""
        page = await self.emulator.ledger("requests", account=ACCOUNT_IDS.get(account or ""), limit=10_000)
        return [item for item in page["items"] if item["operation"] == operation]

    async def ledger(self) -> list[dict[str, Any]]:
        """Every conversion that Microsoft keeps."""
        page = await self.emulator.ledger("conversions", limit=10_000)
        return page["items"]

    async def adjustments(self) -> list[dict[str, Any]]:
        """Every adjustment that Microsoft keeps, with the one that counts at each conversion in `ledger`."""
        page = await self.emulator.ledger("adjustments", limit=10_000)
        return page["items"]

    # --- what became of it -------------------------------------------------------------------------------------------

    async def until(self, holds: Callable[[], Any], seconds: float = DEADLINE_SECONDS) -> None:
        """Wait for a condition, plain or awaitable."""
        async with asyncio.timeout(seconds):
            while True:
                found = holds()
                if await found if asyncio.iscoroutine(found) else found:
                    return
                await asyncio.sleep(0.01)

    async def give_time(self, seconds: float) -> None:
        """Time in which what must not happen would happen: nothing marks an absence.

        However loaded the machine is, each courier has looked for work three times by then. Some real time has passed
        for what it might have sent.
        """
        for _ in range(LOOKS + 1):  # the first one may have been half way through a look
            self.wake_couriers()
            await self.until(lambda: not any(one._wake.is_set() for one in self._couriers()))
        await asyncio.sleep(seconds)

    def _couriers(self) -> list[Courier]:
        """Those that run; one that ended looks no more."""
        return [one for one in self.parts.flusher._couriers.values() if not one.is_over] if self._tasks else []

    async def until_counts(self, hold: Callable[[Counts], Any], seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until the counts of the rows are like that."""

        async def there() -> bool:
            return bool(hold(await self.parts.store.outbox.counts()))

        await self.until(there, seconds)

    async def until_pending(self, count: int = 0, seconds: float = DEADLINE_SECONDS) -> None:
        await self.until_counts(lambda counts: counts.pending == count, seconds)

    async def until_requests(self, count: int, **which: Any) -> None:
        async def there() -> bool:
            return len(await self.requests(**which)) >= count

        await self.until(there)

    def rows(self, where: str = "true") -> list[dict[str, Any]]:
        """Rows as they lie on disk, with their lane."""
        query = f"SELECT e.*, l.account, l.event FROM entries e JOIN lanes l ON l.id = e.lane WHERE {where}"
        return self.place.query(f"{query} ORDER BY seq")

    def rows_of(self, table: str) -> list[Any]:
        """What lies in another table."""
        return [tuple(row.values()) for row in self.place.query(f"SELECT * FROM {table}")]

    def count(self, where: str) -> int:
        """How many rows are like that."""
        return int(self.place.scalar(f"SELECT count(*) FROM entries WHERE {where}"))

    def under_way(self) -> int:
        """How many batches may be on their way, or have an answer that is not on disk yet."""
        return int(self.place.scalar("SELECT count(*) FROM batches WHERE settled_at IS NULL AND leased = 1"))

    def _answering(self) -> int:
        """How many requests are on their way, or have an answer that was not recorded yet."""
        return sum(len(account.in_flight._requests) for account in self.parts.gates.accounts.values())

    def row(self, seq: int) -> dict[str, Any]:
        (found,) = self.rows(f"seq = {seq}")
        return found

    async def journal(self, name: str | None = None) -> list[JournalEntry]:
        """What was recorded, oldest first, of every answer that is on disk."""
        await self.until(lambda: self._answering() <= self.under_way())
        await self.parts.telemetry.flush(self.parts.store.journal)
        page = await self.parts.store.journal.read(JournalQuery(name=name, limit=1_000))
        return [kept.entry for kept in reversed(page.items)]

    async def troubles(self) -> set[str | None]:
        """Codes of the troubles that were raised so far."""
        return {entry.error for entry in await self.journal("trouble_raised")}

    def active_troubles(self) -> set[str]:
        """Codes of the troubles that stand now."""
        return {standing.code for standing in self.parts.telemetry.board.active()}

    def metric(self, name: str, **labels: str) -> float:
        """What a scrape would show now; 0 for what was never counted."""
        return self.parts.telemetry.metrics.registry.get_sample_value(f"sidecar_{name}", labels) or 0.0

    async def balance(self, kept_besides: Sequence[int] = ()) -> None:
        """accepted = delivered + pending + dead + skipped + canceled, and Microsoft's ledger agrees, row by row.

        `kept_besides` are rows that Microsoft took although they did not end as delivered.
        """
        counts = await self.parts.store.outbox.counts()
        sums = (counts.delivered, counts.pending, counts.dead, counts.skipped, counts.canceled)
        assert sum(sums) == self.accepted == len(self.rows())
        assert counts.delivered == len(self.rows("state = 'delivered'"))
        ours = [
            row for row in self.rows("original IS NULL") if row["state"] == "delivered" or row["seq"] in kept_besides
        ]
        theirs = await self.ledger()
        assert sorted(map(expected_entry, ours)) == sorted(map(ledger_entry, theirs))
        assert [item["changed"] for item in theirs] == [0] * len(theirs)
        # What reached Microsoft twice had an unknown outcome.
        unknown = {expected_entry(row) for row in self.rows("original IS NULL AND maybe_sent = 1")}
        assert {ledger_entry(item) for item in theirs if item["seen"] > 1} <= unknown
        adjusted = await self.adjustments()
        assert sorted(item["raw"] for item in adjusted) == sorted(map(adjusted_by, self.rows(TAKEN_ADJUSTMENTS)))
        assert [(item["changed"], item["unattributed"]) for item in adjusted] == [(0, None)] * len(adjusted)


TAKEN_ADJUSTMENTS = "state = 'delivered' AND original IS NOT NULL"


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


MAPPED = tuple(MappedGoal(name=name) for name in GOALS.values())


def options(**given: Any) -> EmulatorOptions:
    """An emulator with the mapped goals and room for many requests; tokens outlast what passes at once in a test."""
    usual = {"goals": MAPPED, "requests_per_minute": 1_000_000, "access_token_seconds": 30 * 86_400}
    return EmulatorOptions(**{**usual, **given})


DEFINITE: dict[str, dict[str, Any]] = {
    "throttled": {"type": "status", "status": 429, "retry_after": "5"},
    "not allowed": {"type": "status", "status": 403},
}
