"""The ad accounts that the signed-in user can reach, and whether configured ids are among them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple, assert_never

from sidecar.core.instant import UnixMillis


class AdAccount(NamedTuple):
    """One ad account, in Microsoft's words. `currency` and `status` are None where Microsoft does not say."""

    name: str
    number: str
    """The eight characters beside the name in Microsoft Advertising; the API takes the id only."""
    customer_id: str
    account_id: str
    currency: str | None = None
    status: str | None = None

    @property
    def is_active(self) -> bool:
        """Whether it can run ads; an account without a status counts as active."""
        return self.status in (None, "Active")


class UserRole(NamedTuple):
    """What the user may do for one customer."""

    customer_id: str
    name: str
    may_upload: bool | None
    """Whether the role may upload conversions; None for a role that is not documented."""
    account_ids: frozenset[str] | None = None
    """The customer's accounts that the role is limited to; None for all of them."""
    linked_account_ids: frozenset[str] = frozenset()
    """Accounts of other customers that it extends to, as an agency has them."""


@dataclass(frozen=True)
class VisibleAccounts:
    """All that the signed-in user can reach."""

    accounts: tuple[AdAccount, ...]
    roles: tuple[UserRole, ...]
    user: str | None
    """The user's name at Microsoft, mostly an e-mail address."""
    read_at: UnixMillis
    is_complete: bool = True
    """Whether these are all; an account may be missing otherwise."""

    @cached_property
    def by_id(self) -> dict[str, AdAccount]:
        """The accounts by account id."""
        return {account.account_id: account for account in self.accounts}

    @cached_property
    def customer_ids(self) -> frozenset[str]:
        """The customers of the accounts, and those that the user has a role for."""
        of_roles = {role.customer_id for role in self.roles}
        return frozenset(of_roles | {account.customer_id for account in self.accounts})

    def role_for(self, account: AdAccount) -> UserRole | None:
        """The user's role for the account; None where no role names it."""
        own = (role for role in self.roles if role.customer_id == account.customer_id)
        fitting = [role for role in own if role.account_ids is None or account.account_id in role.account_ids]
        linked = [role for role in self.roles if account.account_id in role.linked_account_ids]
        return next(iter([*fitting, *linked]), None)


@dataclass(frozen=True, slots=True)
class AccountsUnread:
    """Why the accounts are not known: a code of the catalogue of troubles, and a detail."""

    trouble: str
    detail: str
    tracking_id: str | None = None
    error: str | None = None
    """Microsoft's symbol, if it refused the call."""


class ConfiguredAccount(NamedTuple):
    """An account of the configuration; ids are empty where none are set."""

    name: str
    customer_id: str
    account_id: str
    goals: Mapping[str, str] = MappingProxyType({})
    """The account's own names of goals, by event."""


class Reach(StrEnum):
    """Whether the user can reach the account of two configured ids."""

    VISIBLE = "visible"
    SWAPPED = "swapped"  # each id stands in the place of the other
    UNKNOWN = "unknown"  # the user can reach no such account, or it belongs to another customer
    NO_IDS = "no_ids"  # none are configured yet
    NOT_READ = "not_read"  # the list of accounts is not complete


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What became of two configured ids."""

    reach: Reach
    account: AdAccount | None = None
    """The account that is meant, with its right ids; None where that cannot be told."""


def look_up(customer_id: str, account_id: str, visible: VisibleAccounts) -> LookedUp:
    """Look up two configured ids, which are compared as numbers.

    The customer may also be a manager through which the user reaches the account.
    """
    customer, account = _number(customer_id), _number(account_id)
    if not customer and not account:
        return LookedUp(Reach.NO_IDS)
    found, by_mistake = visible.by_id.get(account), visible.by_id.get(customer)
    if found is not None:
        is_reached = customer == found.customer_id or customer in visible.customer_ids
        return LookedUp(Reach.VISIBLE if is_reached else Reach.UNKNOWN, found)
    if customer != account and (by_mistake is not None or account in visible.customer_ids):
        return LookedUp(Reach.SWAPPED, by_mistake)
    return LookedUp(Reach.UNKNOWN if visible.is_complete else Reach.NOT_READ)


def remedy(configured: ConfiguredAccount, found: LookedUp, user: str | None) -> str | None:
    """What to do about the account's ids; None where they are right, or nothing is known of them."""
    key, who = f"accounts.{configured.name}", user or "the signed-in user"
    match found.reach:
        case Reach.VISIBLE | Reach.NOT_READ:
            return None
        case Reach.NO_IDS:
            return f"Choose one of the accounts that {who} can reach, put its ids into {key}, and reload with SIGHUP."
        case Reach.SWAPPED:
            right = found.account
            to = f" to {{customer_id: {right.customer_id}, account_id: {right.account_id}}}" if right else " right"
            return f"customer_id and account_id of {key} are swapped. Set it{to}, and reload with SIGHUP."
        case Reach.UNKNOWN if found.account is not None:
            owner = found.account.customer_id
            return (
                f"The account {found.account.account_id} ({found.account.name}) belongs to the customer {owner}. "
                f"Set {key}.customer_id to {owner} and reload with SIGHUP."
            )
        case Reach.UNKNOWN:
            return (
                f"{who} can reach no account {configured.account_id}. Put the ids of one that is listed into {key} and "
                "reload with SIGHUP, or sign in at /connect as a user who can reach it."
            )
        case _:
            assert_never(found.reach)


def _number(id_: str) -> str:
    """The id without leading zeros: to Microsoft it is a number."""
    return id_.lstrip("0") or id_[:1]
