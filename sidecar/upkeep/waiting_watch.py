"""Makes sure that rows which wait for long have an active trouble, after a restart too.

Most troubles are raised where their cause is found; this looks at the waiting rows themselves.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.core.entry import Lane
from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import Reason
from sidecar.core.waiting_summary import in_words
from sidecar.delivery.gates import Gates
from sidecar.microsoft import error_codes
from sidecar.ports.queries import Queries, Retried
from sidecar.telemetry import ActiveTrouble, Telemetry
from sidecar.troubles import CATALOGUE, Scope

UNMAPPED = "unmapped"


@dataclass(frozen=True, slots=True)
class WaitingWatch:
    """Looks at what waits, by the current configuration; the cost of a look does not grow with the rows."""

    queries: Queries
    gates: Gates
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    goal_of: Callable[[str, str], str | None]
    accounts: Callable[[], Collection[str]]
    identities: Callable[[], Mapping[str, str]] = dict
    """Which account each is at Microsoft now, as `111/222`."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> Sequence[ActiveTrouble]:
        """Raise what is missing, and clear what is over; return the troubles of rows that nothing maps any more."""
        for account in self.accounts():
            self._look_at_account(account)
        await self._look_at_retried()
        return await self.look_at_unmapped()

    async def look_at_unmapped(self) -> Sequence[ActiveTrouble]:
        """Rows whose event or account left the configuration, or whose account has other ids than they went to.

        They wait until it comes back, or 90 days are over. One look at a time: an older one knows no reload.
        """
        async with self._turn:
            return await self._look_at_unmapped()

    async def _look_at_unmapped(self) -> Sequence[ActiveTrouble]:
        board, wanted = self.telemetry.board, set()
        for (account, event), lanes in (await self._left()).items():
            waiting = await self.queries.at_stake(lanes)
            if waiting.rows:
                wanted.add((account, event))
                words = in_words(waiting)
                self.telemetry.service.trouble_raised(UNMAPPED, account=account, subject=event, waiting=words)
        for account, ids in await self._keeping():
            for former, waiting in (await self.queries.waiting_elsewhere(account, ids)).items():
                wanted.add((account, former))
                detail = f"what may be at {former} waits for these ids to return: accounts.{account} is {ids} now"
                facts = {"account": account, "subject": former, "waiting": in_words(waiting)}
                self.telemetry.service.trouble_raised(UNMAPPED, detail=detail, **facts)
        for active in board.active(UNMAPPED):
            if (active.account, active.subject) not in wanted:
                self.telemetry.service.trouble_cleared(UNMAPPED, account=active.account, subject=active.subject)
        return board.active(UNMAPPED)

    async def _keeping(self) -> Sequence[tuple[str, str]]:
        """Return the accounts that may have rows for other ids, with their ids now: of thousands mostly a few."""
        keeping = await self.queries.keeping_accounts()
        return [(account, ids) for account, ids in self.identities().items() if account in keeping]

    async def _left(self) -> dict[tuple[str, str], list[Lane]]:
        """Return the lanes that nothing maps any more, by account and event."""
        left: dict[tuple[str, str], list[Lane]] = {}
        for lane in await self.queries.lanes():
            if self.goal_of(lane.account, lane.event) is None:
                left.setdefault((lane.account, lane.event), []).append(lane)
        return left

    def _look_at_account(self, account: str) -> None:
        """Raise a trouble for a closed account that has none: the one that closed it may have been cleared."""
        now = self.now()
        if self.gates.throttled_until(account, now) is not None:
            self._raise_if_unexplained("throttled", account)
        elif self.gates.held(account, None) is Reason.ACCOUNT_PAUSED and not self.gates.lets_out(account, now):
            self._raise_if_unexplained("account_paused", account)

    def _raise_if_unexplained(self, code: str, account: str) -> None:
        """Raise it unless there is another trouble of the whole account, which names the cause more exactly."""
        active = self.telemetry.board.active(account=account)
        if not any(one.trouble.stops_account for one in active):
            self.telemetry.service.trouble_raised(code, account=account)

    async def _look_at_retried(self) -> None:
        """Repeat the troubles of retried rows: their pauses last up to six hours, and a trouble fades after one."""
        for found in await self.queries.retried(await self.queries.lanes(), self.now()):
            if found.account in self.accounts():
                code, fault = _trouble_of(found), found.fault
                subject = found.goal if CATALOGUE[code].scope is Scope.GOAL else fault.error
                facts = {"account": found.account, "subject": subject, "detail": fault.message}
                self.telemetry.service.trouble_raised(code, **facts)


def _trouble_of(found: Retried) -> str:
    """Return the trouble that would be raised if Microsoft repeated its last answer to the row."""
    if found.is_refused:
        return "poison"
    code = error_codes.find_code(found.fault)
    return code.trouble if code and code.meaning is not error_codes.Meaning.SERVER else "row_retried"
