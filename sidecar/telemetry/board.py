"""Which troubles stand now. Knows since when and how often; leaves telling to `telemetry`, words to `troubles`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sidecar.core.instant import UnixMillis
from sidecar.troubles import CATALOGUE, HealthCheck, Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A trouble that began at `since` and was last seen at `seen_at`, `count` times in all."""

    code: str
    account: str | None
    subject: str | None
    detail: str | None
    """What Microsoft or the system said of it, last."""
    since: UnixMillis
    seen_at: UnixMillis
    count: int = 1
    waiting: str | None = None
    """What waited for its end when it was last looked at."""
    names_account: bool = False
    """Whether its message has to say which account it is of."""

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
        """One line for a person: of which account where there are several, what it is, of what, and what was said."""
        return self._with(self.detail, self.waiting)

    @property
    def headline(self) -> str:
        """The same without what waited, for whoever has a newer number of that."""
        return self._with(self.detail)

    def _with(self, *details: str | None) -> str:
        account = f"{self.account}: " if self.names_account else ""
        subject = f": {self.subject}" if self.subject else ""
        detail = "; ".join(part for part in details if part)
        return f"{account}{self.trouble.title}{subject}{f' ({detail})' if detail else ''}"


_Key = tuple[str, str | None, str | None]

S = TypeVar("S", Standing, Standing | None)


@dataclass(slots=True)
class Board:
    """The troubles that stand now, one for each code, account and subject."""

    _standing: dict[_Key, Standing] = field(default_factory=dict)
    _accounts: frozenset[str] = frozenset()

    def serves(self, accounts: Collection[str]) -> None:
        """These accounts are configured now: with several, or one that left, each trouble names its own."""
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
    ) -> Standing | None:
        """The trouble if it is new, None if it stood already: then it is only counted. `code` is in the catalogue."""
        key = (code, account, subject)
        known = self._standing.get(key)
        if known is not None:
            self._standing[key] = replace(
                known,
                seen_at=now,
                count=known.count + 1,
                detail=detail or known.detail,
                waiting=waiting or known.waiting,
            )
            return None
        if code not in CATALOGUE:
            raise ValueError(f"no trouble is called {code}: add it to sidecar/troubles.py")
        raised = Standing(
            code=code, account=account, subject=subject, detail=detail, since=now, seen_at=now, waiting=waiting
        )
        self._standing[key] = raised
        return self._named(raised)

    def clear(self, code: str, *, account: str | None = None, subject: str | None = None) -> Standing | None:
        """The trouble that is over; None if it did not stand."""
        return self._named(self._standing.pop((code, account, subject), None))

    def stands(self, code: str, *, account: str | None = None, subject: str | None = None) -> Standing | None:
        """That very trouble, if it stands."""
        return self._named(self._standing.get((code, account, subject)))

    def standing(self, *codes: str, account: str | None = None) -> Sequence[Standing]:
        """What stands, the oldest first; of these codes only, of this account only, where they are given."""
        found = (
            self._named(standing)
            for standing in self._standing.values()
            if (not codes or standing.code in codes) and account in (None, standing.account)
        )
        return sorted(found, key=lambda standing: standing.since)

    def _named(self, standing: S) -> S:
        """As it is shown now: a reload may have brought a second account since it was raised."""
        if standing is None or standing.account is None or standing.account == standing.subject:
            return standing
        several = bool(self._accounts - {standing.account}) or standing.account not in self._accounts
        return replace(standing, names_account=True) if self._accounts and several else standing
