"""What is closed now: accounts that cannot send, goals that cannot accept. Closing one touches no row.

A goal is closed by what Microsoft answered to its rows, and then probed; or by the catalogue, without a probe: the next
reading, or time, opens it. After a restart an account waits for its first reading, and as long as Microsoft asked for.
The first answer closes again what only an answer can close. `pauses` restores what an operator paused.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import Reason
from sidecar.delivery.account_state import AccountStates, Closure, GoalHold, GoalState

PROBE_MILLIS = 15 * 60_000
"""How often a closed goal or a paused account is tried again."""


class GoalGate(Enum):
    """Whether rows of a goal may go out."""

    OPEN = auto()
    PROBE = auto()  # one row may go, to see
    CLOSED = auto()


@dataclass(slots=True)
class Gates:
    """The gates of all accounts and goals.

    Couriers look again when something opens: `opened` is called with one account, `changed` where it may be any.
    """

    accounts: AccountStates = field(default_factory=AccountStates)
    changed: Callable[[], None] = lambda: None
    opened: Callable[[str], None] = lambda account: None
    connected: bool = True
    holds: Callable[[str], bool] = lambda account: True
    """Whether this replica alone may send for the account now."""
    elsewhere: Mapping[tuple[str, str | None], Reason] = field(default_factory=dict)
    """Why rows of accounts and goals wait that other replicas hold."""

    def close_account(self, account: str, reason: Reason | None, now: UnixMillis, until: UnixMillis) -> None:
        """Let nothing of the account out before `until`; `reason` is what its rows show, None for a short pause.

        What is closed for longer already stays so.
        """
        state = self.accounts[account]
        if state.closure is not None and state.closure.until > until:
            state.closure = replace(state.closure, since=now)
        else:
            state.closure = Closure(reason, now, until)

    def lets_out(self, account: str, now: UnixMillis) -> bool:
        """Whether the account may send now, as far as is known here."""
        state = self.accounts[account]
        is_closed = state.paused_since is not None or state.awaits_reading
        return self.connected and not is_closed and self.closed_until(account, now) <= now

    def may_send(self, account: str, now: UnixMillis) -> bool:
        """Whether this replica may send for the account now."""
        return self.lets_out(account, now) and self.holds(account)

    def closed_until(self, account: str, now: UnixMillis) -> UnixMillis:
        """When what closed the account last runs out, or ran out; 0 when nothing did."""
        state = self.accounts[account]
        if state.closure is None:
            return UnixMillis(0)
        state.closure = state.closure.at(now)
        return state.closure.until

    def throttled_until(self, account: str, now: UnixMillis) -> UnixMillis | None:
        """Until when Microsoft asked the account to wait, also where something else closes it; None if it did not."""
        until, closure = self.closed_until(account, now), self.accounts[account].closure
        return until if closure is not None and closure.reason is Reason.THROTTLED and until > now else None

    def open_account(self, account: str, started_at: UnixMillis) -> bool:
        """A request that left at `started_at` was answered: whether the account is open now.

        One that had left before the account was closed proves nothing.
        """
        state = self.accounts[account]
        if state.closure is not None and started_at <= state.closure.since:
            return False
        state.closure = None
        return True

    def pause(self, account: str, since: UnixMillis) -> None:
        """An operator wants nothing of the account out, until `resume`."""
        self.accounts[account].paused_since = since

    def resume(self, account: str) -> None:
        """The operator lets it out again; what Microsoft refused before is tried at once too."""
        state = self.accounts[account]
        state.paused_since = None
        state.closure = state.closure and state.closure.tried_at_once()
        self.opened(account)

    def paused_since(self, account: str) -> UnixMillis | None:
        """Since when an operator has paused the account; None if it is not paused."""
        return self.accounts[account].paused_since

    def await_reading(self, accounts: Iterable[str]) -> None:
        """Let nothing out of these accounts until the first reading of their goals has ended."""
        for account in accounts:
            self.accounts[account].awaits_reading = True

    def awaits_reading(self, account: str) -> bool:
        """Whether the first reading of its goals has not ended yet."""
        return self.accounts[account].awaits_reading

    def reading_ended(self, account: str) -> None:
        """The first reading has ended, well or badly."""
        if self.accounts[account].awaits_reading:
            self.accounts[account].awaits_reading = False
            self.opened(account)

    def close_goal(self, account: str, goal: str, reason: Reason, now: UnixMillis) -> None:
        """Hold the goal's rows back and try one in a while."""
        self._goal(account, goal).closure = Closure(reason, now, UnixMillis(now + PROBE_MILLIS))

    def goal(self, account: str, goal: str, now: UnixMillis) -> GoalGate:
        """Whether rows of the goal may go out now."""
        state = self._goal(account, goal)
        if state.is_held(now):
            return GoalGate.CLOSED
        if state.closure is None:
            return GoalGate.OPEN
        state.closure = state.closure.at(now)
        return GoalGate.PROBE if state.closure.until <= now else GoalGate.CLOSED

    def probing(self, account: str, goal: str, now: UnixMillis) -> None:
        """Note that a row is on its way to probe the goal: no second one goes before its answer is due."""
        state = self._goal(account, goal)
        if state.closure is not None:
            state.closure = replace(state.closure, since=now, until=UnixMillis(now + PROBE_MILLIS))

    def open_goal(self, account: str, goal: str) -> bool:
        """Note that the goal accepted a row; returns whether that opened it. What the catalogue holds stays held.

        Microsoft may accept a row of a goal that is too young, or paused, and drop it in silence.
        """
        state = self._goal(account, goal)
        if state.closure is None:
            return False
        state.closure = None
        self.opened(account)
        return state.hold is None

    def hold_goals(self, account: str, holds: Mapping[str, GoalHold]) -> None:
        """What the catalogue holds of the account's goals, in place of what it held before."""
        goals = self.accounts[account].goals
        released = [goal for goal, state in goals.items() if state.hold is not None and goal not in holds]
        for goal in released:
            goals[goal].hold = None
        for goal, hold in holds.items():
            goals[goal].hold = hold
        if released:
            self.opened(account)

    def seen_goal(self, account: str, goal: str, started_at: UnixMillis) -> None:
        """A reading that began at `started_at` shows the goal: that Microsoft did not know it before is over.

        That it is too young for Microsoft no reading can show: such a gate is opened by a probe.
        """
        state = self._goal(account, goal)
        closure = state.closure
        if closure is not None and closure.reason is Reason.GOAL_NOT_FOUND and started_at > closure.since:
            state.closure = None
            self.opened(account)

    def hold_of(self, account: str, goal: str) -> GoalHold | None:
        """Why the catalogue holds the goal's rows back, if it does."""
        return self._goal(account, goal).hold

    def refusal_reason(self, account: str, goal: str) -> Reason | None:
        """Why the goal's rows were refused, if Microsoft refused them last."""
        closure = self._goal(account, goal).closure
        return closure.reason if closure else None

    def _goal(self, account: str, goal: str) -> GoalState:
        return self.accounts[account].goals[goal]

    def connect(self, connected: bool) -> None:
        """The sign-in works, or does not; when it works again everything is tried at once.

        A mere refresh changes nothing: were it to open paused accounts, two of them would wake each other for ever.
        """
        is_back = connected and not self.connected
        self.connected = connected
        if is_back:
            self.retry_now()

    def retry_now(self) -> None:
        """Something may work again (after a sign-in, a reload): try closed accounts and goals at once."""
        self._replace(Closure.tried_at_once)
        self.changed()

    def shift(self, millis: int) -> None:
        """The clock was moved by `millis`: what is closed stays closed as long as it was meant to."""
        self._replace(lambda closure: closure.shifted(millis))

    def _replace(self, change: Callable[[Closure], Closure]) -> None:
        for account in self.accounts.values():
            account.closure = account.closure and change(account.closure)
            for goal in account.goals.values():
                goal.closure = goal.closure and change(goal.closure)

    def forget_but(self, accounts: Set[str], goals: Set[tuple[str, str]]) -> None:
        """After a reload: what the configuration does not name is closed no more; `goals` come with their account."""
        for name, account in self.accounts.items():
            for goal in [goal for goal in account.goals if (name, goal) not in goals]:
                del account.goals[goal]
            if name not in accounts:
                account.closure, account.awaits_reading = None, False

    def reasons(self) -> Iterator[tuple[str, str | None, Reason]]:
        """Why rows of accounts and goals wait that this replica holds: account, goal or none, reason."""
        for account, state in self.accounts.items():
            if self.holds(account):
                if state.closure is not None and state.closure.reason is not None:
                    yield account, None, state.closure.reason
                for goal in state.goals:
                    hold = self._goal(account, goal).hold
                    if (reason := hold.reason if hold else self.refusal_reason(account, goal)) is not None:
                        yield account, goal, reason

    def held(self, account: str, goal: str | None) -> Reason | None:
        """Why rows of this account and goal wait, as it is shown; None when nothing holds them."""
        state = self.accounts[account]
        if not self.connected:
            return Reason.NOT_CONNECTED
        if state.paused_since is not None:
            return Reason.ACCOUNT_PAUSED
        if not self.holds(account):
            return self.elsewhere.get((account, None)) or self.elsewhere.get((account, goal))
        if state.closure is not None and state.closure.reason is not None:
            return state.closure.reason
        if goal is None:
            return None
        hold = self._goal(account, goal).hold
        return hold.reason if hold else self.refusal_reason(account, goal)
