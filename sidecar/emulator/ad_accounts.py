"""Stores the ad accounts that the one user can reach, and the user's role.

https://learn.microsoft.com/advertising/customer-management-service/advertiseraccount
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from sqlite3 import Connection
from typing import Any

from sidecar.emulator.options import ACCOUNT_ID, CUSTOMER_ID, EmulatorOptions

SUPER_ADMIN = 41


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """One ad account."""

    account_id: str
    customer_id: str
    name: str = ""
    number: str = ""
    currency: str = "USD"
    status: str = "Active"
    is_visible: bool = True
    """Whether the user can reach it; False once it was taken away."""

    def filled(self) -> "StoredAccount":
        """The same with a name and a number, made of the id where none are given."""
        name = self.name or f"Emulated account {self.account_id}"
        number = self.number or f"X{int(self.account_id) % 10_000_000:07d}"
        return replace(self, name=name, number=number)


DEFAULT_ACCOUNTS = (
    StoredAccount(ACCOUNT_ID, CUSTOMER_ID, name="Example Shop"),
    StoredAccount("200000002", "100000002", name="Example Client", currency="EUR"),
    StoredAccount("200000900", CUSTOMER_ID, name="Example Shop (closed)", status="Inactive"),
)
"""What the user can reach where no accounts are named: two customers, and an account that is no longer active."""


def put_accounts(db: Connection, options: EmulatorOptions) -> None:
    """Adds the default accounts, unless they are there. Where the options name some, these replace all others."""
    if not options.accounts:
        return add_accounts(db, DEFAULT_ACCOUNTS)
    db.execute("DELETE FROM accounts")
    add_accounts(db, [StoredAccount(account_id, customer_id) for customer_id, account_id in options.accounts])
    return None


def add_accounts(db: Connection, accounts: Iterable[StoredAccount]) -> None:
    """Adds accounts that the user can reach. Existing ones are unchanged, and swapped ids of one add nothing."""
    statement = (
        "INSERT OR IGNORE INTO accounts SELECT :account_id, :customer_id, :name, :number, :currency, :status, "
        ":is_visible WHERE NOT EXISTS "
        "(SELECT 1 FROM accounts WHERE account_id = :customer_id AND customer_id = :account_id)"
    )
    db.executemany(statement, [asdict(account.filled()) for account in accounts])


def replace_account(db: Connection, account: StoredAccount) -> None:
    """Stores the account in place of the one with its id, if there is one."""
    db.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(account))


def find_account(db: Connection, account_id: str) -> StoredAccount | None:
    """The account of that id, also one that was taken away."""
    row = db.execute("SELECT * FROM accounts WHERE account_id = ?", (account_id,)).fetchone()
    return None if row is None else _account(row)


def visible_accounts(db: Connection) -> list[StoredAccount]:
    """Every account that the user can reach, by id."""
    rows = db.execute("SELECT * FROM accounts WHERE is_visible ORDER BY length(account_id), account_id")
    return [_account(row) for row in rows]


def _account(row: Sequence[Any]) -> StoredAccount:
    *named, is_visible = row
    return replace(StoredAccount(*named), is_visible=bool(is_visible))


def role_id(db: Connection) -> int:
    """The user's role for every customer."""
    row = db.execute("SELECT value FROM facts WHERE name = 'role_id'").fetchone()
    return SUPER_ADMIN if row is None else int(row[0])


def set_role(db: Connection, number: int) -> None:
    """Gives the user another role."""
    db.execute("INSERT OR REPLACE INTO facts VALUES ('role_id', ?)", (str(number),))
