"""Sees to it that no row waits unseen: whatever keeps rows back for long is a trouble that stands, after a restart too.

Most troubles are raised where they are found out; this looks for the rows that wait all the same.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.entry import Lane, Reason
from sidecar.core.instant import UnixMillis
from sidecar.core.waiting import told
from sidecar.delivery.gates import Gates
from sidecar.microsoft import error_codes
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Retried
from sidecar.telemetry import Standing, Telemetry
from sidecar.troubles import CATALOGUE, Scope

UNMAPPED = "unmapped"


@dataclass(frozen=True, slots=True)
class WaitingWatch:
    """Looks at what waits; the cost of a look does not grow with the rows. Every look asks the configuration anew."""

    outbox: Outbox
    gates: Gates
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    goal_of: Callable[[str, str], str | None]
    accounts: Callable[[], Collection[str]]
    identities: Callable[[], Mapping[str, str]] = dict
    """Which account each is at Microsoft now, as `111/222`."""

    async def look(self) -> Sequence[Standing]:
        """Raise what is missing, and clear what is over; the rows that the configuration left behind."""
        for account in self.accounts():
            self._look_at_account(account)
        await self._look_at_retried()
        return await self.look_at_unmapped()

    async def look_at_unmapped(self) -> Sequence[Standing]:
        """Rows whose event or account left the configuration, or whose account has other ids than they went to.

        They wait until it comes back, or 90 days are over.
        """
        board, wanted = self.telemetry.board, set()
        for (account, event), lanes in self._left().items():
            waiting = await self.outbox.at_stake(lanes)
            if waiting.rows:
                wanted.add((account, event))
                self.telemetry.service.trouble_raised(UNMAPPED, account=account, subject=event, waiting=told(waiting))
        for account, ids in self.identities().items():
            for former, waiting in (await self.outbox.waiting_elsewhere(account, ids)).items():
                wanted.add((account, former))
                self.telemetry.service.trouble_raised(
                    UNMAPPED,
                    account=account,
                    subject=former,
                    detail=f"what may be at {former} waits for these ids to return: accounts.{account} is {ids} now",
                    waiting=told(waiting),
                )
        for standing in board.standing(UNMAPPED):
            if (standing.account, standing.subject) not in wanted:
                self.telemetry.service.trouble_cleared(UNMAPPED, account=standing.account, subject=standing.subject)
        return board.standing(UNMAPPED)

    def _left(self) -> dict[tuple[str, str], list[Lane]]:
        """The lanes that nothing maps any more, by account and event."""
        left: dict[tuple[str, str], list[Lane]] = {}
        for lane in self.outbox.lanes:
            if self.goal_of(lane.account, lane.event) is None:
                left.setdefault((lane.account, lane.event), []).append(lane)
        return left

    def _look_at_account(self, account: str) -> None:
        """An account that is closed has a trouble, whoever cleared the one that closed it, and whenever it was."""
        now = self.now()
        if self.gates.throttled_until(account, now) is not None:
            self._raise_unless_told("throttled", account)
        elif self.gates.held(account, None) is Reason.ACCOUNT_PAUSED and not self.gates.lets_out(account, now):
            self._raise_unless_told("account_paused", account)

    def _raise_unless_told(self, code: str, account: str) -> None:
        """Any trouble of the whole account will do: it names the cause more exactly."""
        standing = self.telemetry.board.standing(account=account)
        if not any(one.trouble.stops_account for one in standing):
            self.telemetry.service.trouble_raised(code, account=account)

    async def _look_at_retried(self) -> None:
        """Rows that are tried again, with pauses of up to six hours: a trouble that is not repeated ends before."""
        for found in await self.outbox.retried(self.outbox.lanes, self.now()):
            if found.account in self.accounts():
                code = _trouble_of(found)
                subject = found.goal if CATALOGUE[code].scope is Scope.GOAL else found.fault.error
                self.telemetry.service.trouble_raised(
                    code, account=found.account, subject=subject, detail=found.fault.message
                )


def _trouble_of(found: Retried) -> str:
    """The trouble that would be raised if Microsoft gave the row's last answer once more."""
    if found.is_refused:
        return "poison"
    code = error_codes.find_code(found.fault)
    return code.trouble if code and code.meaning is not error_codes.Meaning.SERVER else "row_retried"
