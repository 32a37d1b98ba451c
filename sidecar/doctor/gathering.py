"""Asks everything that a report needs, at the same time and each within a limit; one report at a time.

Calls to Microsoft keep the accounts' pace and use their token. A report is used again for a few seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sidecar.core.ad_accounts import AccountsUnread, VisibleAccounts
from sidecar.core.doctor.check import Area, Diagnosed
from sidecar.core.doctor.facts import (
    AccountFacts,
    ActiveFacts,
    DiskFacts,
    Endpoint,
    Facts,
    FailedCall,
    MappedGoalFacts,
    QueueFacts,
    ReadAccount,
    SignInFacts,
    StorageFacts,
)
from sidecar.core.doctor.report import diagnose
from sidecar.core.goals.rule import by_goal
from sidecar.core.instant import UnixMillis
from sidecar.core.verdict_words import first_recent_day
from sidecar.goals.catalogue import GoalCatalogue
from sidecar.goals.known import Failure
from sidecar.ports.ad_accounts import AdAccounts
from sidecar.ports.journal import Journal, JournalQuery
from sidecar.ports.outbox import Outbox
from sidecar.ports.reports import StoredVerdicts, VerdictQuery
from sidecar.telemetry import ActiveTrouble, Telemetry
from sidecar.telemetry.event_names import BATCH_SETTLED
from sidecar.troubles import CATALOGUE, Severity

T = TypeVar("T")

REUSED_SECONDS = 5.0
"""For how long a report is used again: a page that asks often causes no more calls."""

MOST_DAYS = 1_000
"""How many days of goals a report looks at in one account: those of over a hundred goals."""

LIMIT_SECONDS = 20.0
"""How long Microsoft may take for the calls of an account, the account's pace included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorSources:
    """What a report is made of; callables are called for each report."""

    now: Callable[[], UnixMillis]
    warnings: Callable[[], Sequence[str]]
    """Probable mistakes in the configuration that is in force."""
    storage: Callable[[], Awaitable[StorageFacts]]
    disk: Callable[[], DiskFacts]
    clock_unsettled: Callable[[], str | None]
    reach: Callable[[], Awaitable[Sequence[Endpoint]]]
    """Asks each host of Microsoft over a new connection."""
    renew: Callable[[], Awaitable[SignInFacts]]
    """Renews the access token."""
    ad_accounts: AdAccounts
    catalogue: GoalCatalogue
    ids: Callable[[], Mapping[str, tuple[str, str]]]
    """Customer id and account id of each configured account."""
    outbox: Outbox
    journal: Journal
    verdicts: StoredVerdicts
    telemetry: Telemetry


@dataclass(slots=True)
class Doctor:
    """Makes reports."""

    sources: DoctorSources
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _last: tuple[float, Diagnosed] | None = None

    async def report(self) -> Diagnosed:
        """Return a report that is at most some seconds old."""
        clock = asyncio.get_running_loop().time
        async with self._turn:
            if self._last is None or clock() - self._last[0] > REUSED_SECONDS:
                self._last = clock(), diagnose(await self._facts())
            return self._last[1]

    async def _facts(self) -> Facts:
        """Gather all facts; without a token Microsoft is not asked. Active troubles come last, as calls left them."""
        sources = self.sources
        storage, endpoints, sign_in = await asyncio.gather(sources.storage(), sources.reach(), self._signed_in())
        visible: VisibleAccounts | FailedCall | None = None
        ids = sources.ids()
        readings: Sequence[ReadAccount | FailedCall | None] = [None] * len(ids)
        if sign_in.connected:
            visible, readings = await asyncio.gather(self._visible(), asyncio.gather(*map(self._read, ids)))
        backlog, counts = await sources.outbox.backlog(), await sources.outbox.counts()
        return Facts(
            now=sources.now(),
            config_warnings=sources.warnings(),
            storage=storage,
            disk=sources.disk(),
            clock_unsettled=sources.clock_unsettled(),
            endpoints=endpoints,
            sign_in=sign_in,
            visible=visible,
            accounts=[
                await self._account(name, *ids[name], reading) for name, reading in zip(ids, readings, strict=True)
            ],
            active=[_active(one) for one in sources.telemetry.board.everywhere()],
            queue=QueueFacts(
                counts.pending,
                0.0 if backlog.oldest_due_at is None else max(0, sources.now() - backlog.oldest_due_at) / 1000,
                backlog.first_expiry_at,
            ),
        )

    async def _signed_in(self) -> SignInFacts:
        limit = failed_call("sign_in_unavailable", f"no answer within {LIMIT_SECONDS:g} s")
        found = await _within(self.sources.renew(), limit)
        return SignInFacts(connected=False, failure=found) if isinstance(found, FailedCall) else found

    async def _visible(self) -> VisibleAccounts | FailedCall:
        found = await _within(self.sources.ad_accounts.visible(fresh=True), _TOO_LATE)
        return failed_call(found.trouble, found.detail) if isinstance(found, AccountsUnread) else found

    async def _read(self, account: str) -> ReadAccount | FailedCall:
        """Read the account's goals, as the catalogue does it: what is found is in force at once."""
        known = self.sources.catalogue.known
        found = await _within(self.sources.catalogue.reader.read(account), _TOO_LATE)
        if found is _TOO_LATE:
            known.states[account].is_wanted = True  # the reading was broken off, and is due again
        if isinstance(found, Failure):
            return failed_call(found.trouble, found.detail)
        if isinstance(found, FailedCall):
            return found
        standing = known.account_goals(account)
        mapped = {rule.name: one for rule, one in standing.events.values()}
        rules = by_goal({event: rule for event, (rule, _) in standing.events.items()})
        goals = {name: MappedGoalFacts(tuple(of.names), of.rule, mapped[name]) for name, of in rules.items()}
        return ReadAccount(found.auto_tagging, found.goals, goals)

    async def _account(
        self, name: str, customer_id: str, account_id: str, reading: ReadAccount | FailedCall | None
    ) -> AccountFacts:
        board = self.sources.telemetry.board
        raised = frozenset(one.code for one in board.everywhere(account=name) if one.account == name)
        success = await self._last_success(name)
        query = VerdictQuery(account=name, since=first_recent_day(self.sources.now()), limit=MOST_DAYS)
        verdicts = (await self.sources.verdicts.find(query)).days
        return AccountFacts(name, customer_id, account_id, reading, raised, success, verdicts)

    async def _last_success(self, account: str) -> UnixMillis | None:
        """When a row was last accepted; before this start the journal remembers the last batches."""
        if at := self.sources.catalogue.gates.accounts.history(account).accepted_at:
            return UnixMillis(at)
        page = await self.sources.journal.read(JournalQuery(name=BATCH_SETTLED.name, account=account, limit=20))
        return next((each.entry.time for each in page.items if ": 0 of " not in each.entry.message), None)


def failed_call(code: str, detail: str) -> FailedCall:
    """The failed call, with the check that explains its trouble."""
    return FailedCall(code, detail, CATALOGUE[code].area if code in CATALOGUE else Area.DELIVERY)


_TOO_LATE = failed_call("unreachable", f"no answer within {LIMIT_SECONDS:g} s")


async def _within(call: Awaitable[T], too_late: FailedCall) -> T | FailedCall:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await call
    except TimeoutError:
        return too_late


def _active(one: ActiveTrouble) -> ActiveFacts:
    is_error = one.trouble.severity is Severity.ERROR
    return ActiveFacts(one.code, one.message, one.trouble.area, is_error, one.account, one.subject)
