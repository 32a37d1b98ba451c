"""What most likely stands behind a 105: Microsoft answers it to swapped ids as it does to a bad developer token.

https://github.com/MicrosoftDocs/BingAds-docs/issues/555 and /1051 show it for ids.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

BLAMES_TOKEN = "developer_token_invalid"  # noqa: S105 - the code of a trouble
BLAMES_IDS = "wrong_account"


@dataclass(frozen=True, slots=True)
class AccountIds:
    """Which account, in Microsoft's numbers; an empty one is not sent."""

    customer_id: str
    account_id: str

    @property
    def identity(self) -> str:
        """Both, as they are kept and shown."""
        return f"{self.customer_id}/{self.account_id}"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The trouble to raise, and what speaks for it."""

    trouble: str
    lead: str | None = None


@dataclass(slots=True)
class Answers:
    """Which accounts Microsoft let in with this developer token, and since when it does so no more; in their order."""

    _number: int = 0
    _let_in: dict[AccountIds, int] = field(default_factory=dict)
    _kept_out: dict[AccountIds, int] = field(default_factory=dict)
    """The first refusal since the account was let in last."""

    def let_in(self, ids: AccountIds) -> None:
        """Microsoft read a request of the account."""
        self._number += 1
        self._let_in[ids] = self._number
        self._kept_out.pop(ids, None)

    def keep_out(self, ids: AccountIds) -> None:
        """Microsoft answered 105 to it."""
        self._number += 1
        self._kept_out.setdefault(ids, self._number)

    def had(self, ids: AccountIds) -> bool:
        """Whether the account was ever let in."""
        return ids in self._let_in

    def others_since(self, ids: AccountIds) -> set[AccountIds]:
        """Those that were let in since this one is not; where it never was, those that ever were."""
        since = self._kept_out.get(ids, 0) if self.had(ids) else 0
        return {other for other, number in self._let_in.items() if other != ids and number > since}


def diagnosed(account: str, accounts: Mapping[str, AccountIds], answers: Answers) -> Diagnosis:
    """What a 105 of `account` means, by the ids of all accounts and by what became of their requests."""
    ids = accounts[account]
    others = {name: theirs for name, theirs in accounts.items() if name != account}
    if ids.customer_id == ids.account_id:
        return Diagnosis(BLAMES_IDS, "customer_id and account_id are the same, and must be two different numbers")
    for name, theirs in others.items():
        if ids.customer_id == theirs.account_id or ids.account_id == theirs.customer_id:
            return Diagnosis(BLAMES_IDS, f"an id of it is the other kind of id in account {name}: it looks swapped")
    well = answers.others_since(ids)
    if (good := next((name for name, theirs in others.items() if theirs in well), None)) is not None:
        return Diagnosis(BLAMES_IDS, f"account {good} is answered with the same developer token: it must be the ids")
    if answers.had(ids):
        return Diagnosis(BLAMES_TOKEN, "these ids were answered before: the developer token or the user has changed")
    return Diagnosis(BLAMES_TOKEN)
