"""The active troubles: since when and how often. `service` records them, `troubles` has their texts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sidecar.core.instant import UnixMillis
from sidecar.troubles import CATALOGUE, HealthCheck, Trouble


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


_Key = tuple[str, str | None, str | None]

S = TypeVar("S", ActiveTrouble, ActiveTrouble | None)


@dataclass(slots=True)
class Board:
    """The active troubles, one for each code, account and subject."""

    _active: dict[_Key, ActiveTrouble] = field(default_factory=dict)
    _accounts: frozenset[str] = frozenset()

    def set_accounts(self, accounts: Collection[str]) -> None:
        """Take the accounts that are configured now: with several, or one that left, a trouble names its account."""
        self._accounts = frozenset(accounts)

    def raise_(
        self,
        code: str,
        now: UnixMillis,
        *,
        account: str | None = None,
        subject: str | None = None,
        detail: str | None = None,
        waiting: str | None = None,
    ) -> ActiveTrouble | None:
        """Return the trouble if it is new; None if it was active, and is only counted. ValueError for no known code."""
        key = (code, account, subject)
        known = self._active.get(key)
        if known is not None:
            self._active[key] = replace(
                known,
                seen_at=now,
                count=known.count + 1,
                detail=detail or known.detail,
                waiting=waiting or known.waiting,
            )
            return None
        if code not in CATALOGUE:
            raise ValueError(f"no trouble is called {code}: add it to sidecar/troubles.py")
        raised = ActiveTrouble(
            code=code, account=account, subject=subject, detail=detail, since=now, seen_at=now, waiting=waiting
        )
        self._active[key] = raised
        return self._shown(raised)

    def clear(self, code: str, *, account: str | None = None, subject: str | None = None) -> ActiveTrouble | None:
        """Remove and return a trouble; None if it is not active."""
        return self._shown(self._active.pop((code, account, subject), None))

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

    def _shown(self, active: S) -> S:
        """Return it as it is shown now: a reload may have added a second account since it was raised."""
        if active is None or active.account is None or active.account == active.subject:
            return active
        several = bool(self._accounts - {active.account}) or active.account not in self._accounts
        return replace(active, names_account=True) if self._accounts and several else active
