"""Which account each name of the configuration is at Microsoft, looked up once for each configuration.

Every claim and every call asks for it. With a thousand accounts, a table that is built for each question takes longer
than the answer.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import count
from zlib import crc32

from sidecar.config import Config
from sidecar.emulator import ACCOUNT_ID, CUSTOMER_ID
from sidecar.microsoft.account_ids import NO_IDS, AccountIds


@dataclass(frozen=True, slots=True)
class AccountDirectory:
    """The accounts that have ids, by their names; accounts of one customer share Microsoft's limit."""

    ids: Mapping[str, AccountIds]
    identities: Mapping[str, str]
    """Each as `111/222`: its customer and account ids."""
    customers: Mapping[str, Sequence[str]]
    """The names of the accounts of each customer."""

    @classmethod
    def of(cls, config: Config) -> "AccountDirectory":
        """The accounts of a configuration. The emulator gets ids for accounts without any."""
        ids = _emulated(config) if config.microsoft.environment == "emulator" else _configured(config)
        customers: defaultdict[str, list[str]] = defaultdict(list)
        for name, one in ids.items():
            customers[one.customer_id].append(name)
        return cls(ids, {name: one.identity for name, one in ids.items()}, customers)

    def sharing(self, account: str) -> Sequence[str]:
        """The accounts of the same customer, this one included; none for an account without ids."""
        ids = self.ids.get(account)
        return self.customers[ids.customer_id] if ids else ()


def _configured(config: Config) -> dict[str, AccountIds]:
    every = {name: AccountIds(one.customer_id, one.account_id) for name, one in config.accounts.items()}
    return {name: ids for name, ids in every.items() if ids != NO_IDS}


def _emulated(config: Config) -> dict[str, AccountIds]:
    found: dict[str, AccountIds] = {}
    taken = {account.account_id for account in config.accounts.values()}
    for name, account in config.accounts.items():
        account_id = account.account_id or _free_id(name, taken)
        taken.add(account_id)
        found[name] = AccountIds(account.customer_id or CUSTOMER_ID, account_id)
    return found


def _free_id(name: str, taken: Set[str]) -> str:
    """Return the emulator's own account for the first name, and an id derived from the name for each further one.

    Two names never share an account at the emulator.
    """
    if ACCOUNT_ID not in taken:
        return ACCOUNT_ID
    wanted = int(ACCOUNT_ID) + 1 + crc32(name.encode()) % 90_000_000
    return next(id_ for number in count(wanted) if (id_ := str(number)) not in taken)
