"""The active troubles: since when and how often. `service` records them, `troubles` has their texts."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sidecar.core.instant import UnixMillis
from sidecar.troubles import CATALOGUE, End, HealthCheck, Scope, Symptom, Trouble

FADE_MILLIS = 3_600_000
"""Without being seen for this long a trouble that ends with `End.TIME` is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveTrouble:
    """A trouble that began at `since` and was last seen at `seen_at`, `count` times in all."""

    code: str
    account: str | None
    subject: str | None
    detail: str | None
    """The last message of Microsoft or the system about it."""
    since: UnixMillis
    seen_at: UnixMillis
    count: int = 1
    waiting: str | None = None
    """What waited for its end at the last look."""
    names_account: bool = False
    """Whether its message has to name the account."""

    @property
    def key(self) -> tuple[str, str | None, str | None]:
        """What makes it another trouble than others."""
        return self.code, self.account, self.subject

    @property
    def trouble(self) -> Trouble:
        """Its cause and remedy."""
        return CATALOGUE[self.code]

    @property
    def check(self) -> HealthCheck:
        """The health check that it degrades."""
        return self.trouble.check_of(self.account)

    @property
    def message(self) -> str:
        """One line for a person: its account if there are several, title, subject and detail."""
        return self._with(self.detail, self.waiting)

    @property
    def headline(self) -> str:
        """The same without what waited, for callers that have a newer number."""
        return self._with(self.detail)

    def _with(self, *details: str | None) -> str:
        account = f"{self.account}: " if self.names_account else ""
        subject = f": {self.subject}" if self.subject else ""
        detail = "; ".join(part for part in details if part)
        return f"{account}{self.trouble.title}{subject}{f' ({detail})' if detail else ''}"


S = TypeVar("S", ActiveTrouble, ActiveTrouble | None)


@dataclass(slots=True)
class Board:
    """The active troubles, one for each code, account and subject."""

    on_change: Callable[[], None] = lambda: None
    """Called when a trouble was added or removed."""
    _active: dict[tuple[str, str | None, str | None], ActiveTrouble] = field(default_factory=dict)
    _accounts: frozenset[str] = frozenset()
    _elsewhere: dict[tuple[str, str | None, str | None], ActiveTrouble] = field(default_factory=dict)
    """Those of other replicas."""

    def hear(self, troubles: Iterable[ActiveTrouble]) -> None:
        """Take these for the troubles of other replicas, in place of those before."""
        self._elsewhere = {one.key: one for one in troubles}
        self.on_change()

    def everywhere(self, account: str | None = None) -> Sequence[ActiveTrouble]:
        """Return the active troubles of all replicas, the oldest first; each once."""
        found = [
            self._shown(active)
            for active in (self._elsewhere | self._active).values()
            if account in (None, active.account)
        ]
        return sorted(found, key=lambda active: active.since)

    def set_accounts(self, accounts: Collection[str]) -> None:
        """Take the accounts that are configured now: with several, or one that left, a trouble names its account."""
        self._accounts = frozenset(accounts)

    def add(self, found: ActiveTrouble) -> ActiveTrouble | None:
        """Return the trouble if it is new; None if it was active already, and is only counted.

        ValueError if its code is not in the catalogue.
        """
        if found.code not in CATALOGUE:
            raise ValueError(f"no trouble is called {found.code}: add it to sidecar/troubles.py")
        known = self._active.get(found.key)
        if known is None:
            self._active[found.key] = found
            self.on_change()
            return self._shown(found)
        detail, waiting = found.detail or known.detail, found.waiting or known.waiting
        self._active[found.key] = replace(
            known, seen_at=found.seen_at, count=known.count + 1, detail=detail, waiting=waiting
        )
        return None

    def remove(self, active: ActiveTrouble) -> None:
        """Remove a trouble that is over."""
        if self._active.pop(active.key, None) is not None:
            self.on_change()

    def find(self, code: str, *, account: str | None = None, subject: str | None = None) -> ActiveTrouble | None:
        """Return that trouble, None if it is not active."""
        return self._shown(self._active.get((code, account, subject)))

    def active(self, *codes: str, account: str | None = None) -> Sequence[ActiveTrouble]:
        """Return the active troubles, the oldest first; only those of these codes and this account, where given."""
        found = (
            self._shown(active)
            for active in self._active.values()
            if (not codes or active.code in codes) and account in (None, active.account)
        )
        return sorted(found, key=lambda active: active.since)

    def ended_by(self, end: End, account: str | None = None) -> list[ActiveTrouble]:
        """Return the troubles that `end` ends; only those of the account, where given."""
        return [one for one in self.active(account=account) if end in one.trouble.ends]

    def faded(self, now: UnixMillis) -> list[ActiveTrouble]:
        """Return the troubles that end with time and were not seen for an hour."""
        return [one for one in self.ended_by(End.TIME) if now - one.seen_at >= FADE_MILLIS]

    def with_symptom(self, symptom: Symptom, account: str, *, but: str) -> list[ActiveTrouble]:
        """Return the account's explanations of a symptom but for the code `but`: only the newest stays."""
        found = self.active(account=account)
        return [one for one in found if one.trouble.symptom is symptom and one.code != but]

    def left(self, accounts: Collection[str], goals: Collection[tuple[str, str]]) -> list[ActiveTrouble]:
        """Return the troubles of accounts and goals that are not configured; `goals` are pairs with an account."""
        everywhere = {goal for _, goal in goals}

        def is_left(one: ActiveTrouble) -> bool:
            if one.account is not None and one.account not in accounts:
                return End.CONFIGURATION not in one.trouble.ends
            if one.trouble.scope is not Scope.GOAL:
                return False
            return one.subject not in everywhere if one.account is None else (one.account, one.subject) not in goals

        return [one for one in self.active() if is_left(one)]

    def _shown(self, active: S) -> S:
        """Return it as it is shown now: a reload may have added a second account since it was raised."""
        if active is None or active.account is None or active.account == active.subject:
            return active
        several = len(self._accounts) > 1 or active.account not in self._accounts
        return replace(active, names_account=True) if self._accounts and several else active
