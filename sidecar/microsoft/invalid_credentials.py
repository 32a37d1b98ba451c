"""The likely cause of error 105 (InvalidCredentials), which Microsoft also answers to swapped or wrong ids.

https://github.com/MicrosoftDocs/BingAds-docs/issues/555 and /1051 show it for ids.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.microsoft.account_ids import AccountIds

BLAMES_TOKEN = "developer_token_invalid"  # noqa: S105 - the code of a trouble
BLAMES_IDS = "wrong_account"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The trouble to raise, and the evidence for it."""

    trouble: str
    lead: str | None = None


@dataclass(slots=True)
class CredentialsHistory:
    """Which accounts Microsoft accepted with this developer token, and when it began to reject them."""

    _number: int = 0
    """Counts answers, to order them."""
    _accepted: dict[AccountIds, int] = field(default_factory=dict)
    _rejected: dict[AccountIds, int] = field(default_factory=dict)
    """The first rejection since the account was accepted last."""

    def accepted(self, ids: AccountIds) -> None:
        """Records that Microsoft read a request of the account."""
        self._number += 1
        self._accepted[ids] = self._number
        self._rejected.pop(ids, None)

    def rejected(self, ids: AccountIds) -> None:
        """Records a 105 for the account."""
        self._number += 1
        self._rejected.setdefault(ids, self._number)

    def was_accepted(self, ids: AccountIds) -> bool:
        """Whether the account was ever accepted."""
        return ids in self._accepted

    def accepted_since(self, ids: AccountIds) -> set[AccountIds]:
        """Other accounts that were accepted after this one's rejection; at any time, where it was never accepted."""
        since = self._rejected.get(ids, 0) if self.was_accepted(ids) else 0
        return {other for other, number in self._accepted.items() if other != ids and number > since}


def diagnose(account: str, accounts: Mapping[str, AccountIds], history: CredentialsHistory) -> Diagnosis:
    """The likely cause of a 105 of `account`, from the ids of all accounts and their earlier answers."""
    ids = accounts[account]
    others = {name: theirs for name, theirs in accounts.items() if name != account}
    if ids.customer_id == ids.account_id:
        return Diagnosis(BLAMES_IDS, "customer_id and account_id are the same, and must be two different numbers")
    for name, theirs in others.items():
        if ids.customer_id == theirs.account_id or ids.account_id == theirs.customer_id:
            return Diagnosis(BLAMES_IDS, f"an id of it is the other kind of id in account {name}: it looks swapped")
    accepted = history.accepted_since(ids)
    if (good := next((name for name, theirs in others.items() if theirs in accepted), None)) is not None:
        return Diagnosis(BLAMES_IDS, f"account {good} is answered with the same developer token: it must be the ids")
    if history.was_accepted(ids):
        return Diagnosis(BLAMES_TOKEN, "these ids were answered before: the developer token or the user has changed")
    return Diagnosis(BLAMES_TOKEN)
