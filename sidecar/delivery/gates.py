"""What is closed just now: accounts that cannot send, goals that cannot take. Closing one touches no row.

Kept in memory. A goal is closed by what Microsoft answered to its rows, and then probed; or by the catalogue, without
a probe: the next reading, or time, opens it. After a restart an account waits for its first reading, and for as long as
Microsoft told it to; the first answer closes again what only an answer can tell. What an operator paused is brought
back by `pausing`.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from sidecar.core.entry import Reason
from sidecar.core.instant import UnixMillis

PROBE_MILLIS = 15 * 60_000
"""How often a closed goal or a paused account is tried again."""


class GoalGate(Enum):
    """Whether rows of a goal may go out."""

    OPEN = auto()
    PROBE = auto()  # one row may go, to see
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class Closure:
    """Why something is closed, since when, and when it is tried again."""

    reason: Reason | None
    since: UnixMillis
    until: UnixMillis

    def at(self, now: UnixMillis) -> "Closure":
        """The same, begun anew where the clock was set back behind its beginning: it must not last longer for that."""
        if now >= self.since:
            return self
        return replace(self, since=now, until=UnixMillis(now + max(0, self.until - self.since)))

    def shifted(self, millis: int) -> "Closure":
        """The same by a clock that was set by so much; what is tried at once still is."""
        until = UnixMillis(self.until + millis) if self.until else self.until
        return replace(self, since=UnixMillis(self.since + millis), until=until)


@dataclass(frozen=True, slots=True)
class GoalHold:
    """Why the catalogue keeps a goal's rows back. `trouble` says it more exactly than the reason that rows show."""

    reason: Reason
    trouble: str
    until: UnixMillis | None = None
    """When it ends by itself; None where only another reading ends it."""


@dataclass(slots=True)
class Gates:
    """The gates of all accounts and goals; `changed` is called when one opens, so that couriers look again."""

    changed: Callable[[], None] = lambda: None
    connected: bool = True
    _accounts: dict[str, Closure] = field(default_factory=dict)
    _goals: dict[tuple[str, str], Closure] = field(default_factory=dict)
    _paused: dict[str, UnixMillis] = field(default_factory=dict)
    """Accounts that an operator paused, and since when: no answer and no reload opens them."""
    _holds: dict[tuple[str, str], GoalHold] = field(default_factory=dict)
    _unread: set[str] = field(default_factory=set)

    def shift(self, millis: int) -> None:
        """The clock was set by so much: what is closed stays closed as long as it was meant to."""
        self._accounts = {name: closure.shifted(millis) for name, closure in self._accounts.items()}
        self._goals = {key: closure.shifted(millis) for key, closure in self._goals.items()}

    # --- Accounts ----------------------------------------------------------------------------------------------------

    def close_account(self, account: str, reason: Reason | None, now: UnixMillis, until: UnixMillis) -> None:
        """Let nothing of the account out before `until`; `reason` is what its rows show, None for a short pause.

        What is closed for longer already stays so.
        """
        standing = self._accounts.get(account)
        if standing is not None and standing.until > until:
            self._accounts[account] = replace(standing, since=now)
        else:
            self._accounts[account] = Closure(reason, now, until)

    def lets_out(self, account: str, now: UnixMillis) -> bool:
        """Whether the account may send now."""
        closed = account in self._paused or account in self._unread
        return self.connected and not closed and self.closed_until(account, now) <= now

    def closed_until(self, account: str, now: UnixMillis) -> UnixMillis:
        """When what closed the account last runs out, or ran out; 0 when nothing did."""
        if (closure := self._accounts.get(account)) is None:
            return UnixMillis(0)
        self._accounts[account] = closure = closure.at(now)
        return closure.until

    def open_account(self, account: str, started_at: UnixMillis) -> bool:
        """A request that left at `started_at` was answered: whether the account is open now.

        One that had left before the account was closed says nothing about it.
        """
        closure = self._accounts.get(account)
        if closure is not None and started_at <= closure.since:
            return False
        self._accounts.pop(account, None)
        return True

    def pause(self, account: str, since: UnixMillis) -> None:
        """An operator wants nothing of the account out, until `resume`."""
        self._paused[account] = since

    def resume(self, account: str) -> None:
        """The operator lets it out again; what Microsoft refused before is tried at once too."""
        self._paused.pop(account, None)
        if (closure := self._accounts.get(account)) is not None:
            self._accounts[account] = _at_once(closure)
        self.changed()

    def paused_since(self, account: str) -> UnixMillis | None:
        """Since when an operator has paused the account; None if nobody has."""
        return self._paused.get(account)

    def await_reading(self, accounts: Iterable[str]) -> None:
        """Let nothing out of these accounts until the first reading of their goals has ended."""
        self._unread.update(accounts)

    def awaits_reading(self, account: str) -> bool:
        """Whether only the first reading of its goals is waited for."""
        return account in self._unread

    def reading_ended(self, account: str) -> None:
        """The first reading has ended, well or badly."""
        if account in self._unread:
            self._unread.discard(account)
            self.changed()

    # --- Goals -------------------------------------------------------------------------------------------------------

    def close_goal(self, account: str, goal: str, reason: Reason, now: UnixMillis) -> None:
        """Hold the goal's rows back and try one in a while."""
        self._goals[account, goal] = Closure(reason, now, UnixMillis(now + PROBE_MILLIS))

    def goal(self, account: str, goal: str, now: UnixMillis) -> GoalGate:
        """Whether rows of the goal may go out now."""
        if self._holds_now(account, goal, now):
            return GoalGate.CLOSED
        closure = self._goals.get((account, goal))
        if closure is None:
            return GoalGate.OPEN
        self._goals[account, goal] = closure = closure.at(now)
        return GoalGate.PROBE if closure.until <= now else GoalGate.CLOSED

    def probing(self, account: str, goal: str, now: UnixMillis) -> None:
        """A row is on its way to see whether the goal takes it: no second one before its answer is due."""
        closure = self._goals.get((account, goal))
        if closure is not None:
            self._goals[account, goal] = replace(closure, since=now, until=UnixMillis(now + PROBE_MILLIS))

    def open_goal(self, account: str, goal: str) -> bool:
        """The goal took a row: whether that opened it. What the catalogue holds stays held.

        Microsoft may take a row of a goal that is too young, or paused, and drop it without a word.
        """
        opened = self._goals.pop((account, goal), None) is not None
        if opened:
            self.changed()
        return opened and (account, goal) not in self._holds

    def throttled_until(self, account: str, now: UnixMillis) -> UnixMillis | None:
        """Until when Microsoft told the account to wait, whatever else closes it; None when it did not."""
        closure = self._accounts.get(account)
        until = self.closed_until(account, now)
        return until if closure is not None and closure.reason is Reason.THROTTLED and until > now else None

    def hold_goals(self, account: str, holds: Mapping[str, GoalHold]) -> None:
        """What the catalogue holds of the account's goals, in place of what it held before."""
        before = {goal for name, goal in self._holds if name == account}
        self._holds = {key: hold for key, hold in self._holds.items() if key[0] != account}
        self._holds |= {(account, goal): hold for goal, hold in holds.items()}
        if before - holds.keys():
            self.changed()

    def seen_goal(self, account: str, goal: str, started_at: UnixMillis) -> None:
        """A reading that began at `started_at` shows the goal: that Microsoft did not know it before is over.

        That it is too young for Microsoft no reading can tell: such a gate is opened by a probe.
        """
        closure = self._goals.get((account, goal))
        if closure is not None and closure.reason is Reason.GOAL_NOT_FOUND and started_at > closure.since:
            del self._goals[account, goal]
            self.changed()

    def hold_of(self, account: str, goal: str) -> GoalHold | None:
        """What the catalogue holds against the goal."""
        return self._holds.get((account, goal))

    def answered(self, account: str, goal: str) -> Reason | None:
        """Why the goal's rows were refused, if Microsoft refused them last."""
        closure = self._goals.get((account, goal))
        return closure.reason if closure else None

    def _holds_now(self, account: str, goal: str, now: UnixMillis) -> bool:
        hold = self._holds.get((account, goal))
        return hold is not None and (hold.until is None or now < hold.until)

    # --- All of them -------------------------------------------------------------------------------------------------

    def connect(self, connected: bool) -> None:
        """The sign-in works, or does not; when it works again everything is tried at once.

        A mere refresh mends nothing: were it to open paused accounts, two of them would wake each other for ever.
        """
        mended = connected and not self.connected
        self.connected = connected
        if mended:
            self.retry_now()

    def retry_now(self) -> None:
        """Something was mended (a sign-in, a reload): try closed accounts and goals at once."""
        self._accounts = {name: _at_once(closure) for name, closure in self._accounts.items()}
        self._goals = {key: _at_once(closure) for key, closure in self._goals.items()}
        self.changed()

    def forget_but(self, accounts: Set[str], goals: Set[tuple[str, str]]) -> None:
        """After a reload: what nothing names any more is no longer held; `goals` are those of each account."""
        self._accounts = {name: closure for name, closure in self._accounts.items() if name in accounts}
        self._goals = {key: closure for key, closure in self._goals.items() if key in goals}
        self._holds = {key: hold for key, hold in self._holds.items() if key in goals}
        self._unread &= accounts

    def held(self, account: str, goal: str | None) -> Reason | None:
        """Why rows of this account and goal wait, as it is shown; None when nothing holds them."""
        if not self.connected:
            return Reason.NOT_CONNECTED
        if account in self._paused:
            return Reason.ACCOUNT_PAUSED
        if (closure := self._accounts.get(account)) is not None and closure.reason is not None:
            return closure.reason
        if goal is None:
            return None
        hold = self._holds.get((account, goal))
        return hold.reason if hold else self.answered(account, goal)


def _at_once(closure: Closure) -> Closure:
    """The same, tried at once; only Microsoft's own "wait" is kept."""
    return closure if closure.reason is Reason.THROTTLED else replace(closure, until=UnixMillis(0))
