"""Admits API calls: checks the required headers, and the calls per minute of each customer.

https://learn.microsoft.com/advertising/guides/services-protocol#throttling
"""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from sqlite3 import Connection

from sidecar.emulator import tokens
from sidecar.emulator.ad_accounts import StoredAccount, add_accounts, find_account
from sidecar.emulator.call import MINUTE_MS, Call
from sidecar.emulator.error_bodies import Refused
from sidecar.emulator.options import EmulatorOptions

_ID = re.compile(r"[1-9]\d{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Caller:
    """The account of a call to Campaign Management."""

    customer_id: str
    account_id: str


@dataclass(slots=True)
class SlidingMinute:
    """Counts the calls of each customer in the last 60 seconds. A refused call does not count."""

    limit: int
    _calls: dict[str, deque[int]] = field(default_factory=dict)

    def admit(self, customer_id: str, at: int) -> bool:
        """Counts one call at `at` (Unix ms); False when it exceeds the limit."""
        calls = self._calls.setdefault(customer_id, deque())
        while calls and calls[0] <= at - MINUTE_MS:
            calls.popleft()
        if len(calls) >= self.limit:
            return False
        calls.append(at)
        return True

    def clear(self) -> None:
        """Forgets all calls."""
        self._calls.clear()


def admit_user(db: Connection, call: Call, options: EmulatorOptions) -> None:
    """Checks access and developer token. Raises Refused with 105, 109 or 3101."""
    scheme, _, token = call.headers.get("Authorization", "").partition(" ")
    found = tokens.find_access_token(db, token) if scheme == "Bearer" else None
    if found is None:
        raise Refused("InvalidCredentials", detail="Authorization must be 'Bearer' and a token issued here")
    scope, expires_at = found
    if expires_at <= call.at:
        raise Refused("AuthenticationTokenExpired")
    if not tokens.can_manage(scope):
        raise Refused("OAuthTokenInvalid")
    if options.developer_token and call.headers.get("DeveloperToken") != options.developer_token:
        raise Refused("InvalidCredentials", detail="DeveloperToken is not the expected one")


def admit_caller(db: Connection, call: Call, options: EmulatorOptions, pace: SlidingMinute) -> Caller:
    """Checks every header of Campaign Management, then the pace. Raises Refused."""
    admit_user(db, call, options)
    caller = _caller(call.headers)
    _check_account(db, caller, only_known=bool(options.accounts))
    if not pace.admit(caller.customer_id, call.at):
        raise Refused("CallRateExceeded")
    return caller


def admit_upload(db: Connection, call: Call, options: EmulatorOptions, pace: SlidingMinute) -> Caller:
    """As `admit_caller`; an account that is known and not active takes no rows (1008)."""
    caller = admit_caller(db, call, options, pace)
    known = find_account(db, caller.account_id)
    if known is not None and known.status != "Active":
        raise Refused("CampaignServiceInvalidAccountStatus", detail=f"the account is {known.status}")
    return caller


def _caller(headers: Mapping[str, str]) -> Caller:
    customer_id = headers.get("CustomerId", "")
    account_id = headers.get("CustomerAccountId", "")
    if not customer_id:
        raise Refused("CampaignServiceCustomerIdHasToBeSpecified")
    if not account_id:
        raise Refused("CampaignServiceAccountIdMissingInRequestHeader")
    if not _ID.fullmatch(customer_id):
        raise Refused("CampaignServiceInvalidCustomerId")
    if not _ID.fullmatch(account_id):
        raise Refused("CampaignServiceInvalidAccountId")
    return Caller(customer_id, account_id)


def _check_account(db: Connection, caller: Caller, *, only_known: bool) -> None:
    """Raises Refused for an account that the user cannot reach; 105 for swapped ids, as users report.

    Unless `only_known`, one that was never heard of is the user's from now on.
    """
    known, other = find_account(db, caller.account_id), find_account(db, caller.customer_id)
    is_visible = known is not None and known.is_visible
    is_owner = known is not None and known.customer_id == caller.customer_id
    if is_visible and (is_owner or not only_known):
        return
    if other is not None and other.customer_id == caller.account_id:
        raise Refused("InvalidCredentials", detail="CustomerId and CustomerAccountId are swapped")
    if is_visible:
        raise Refused("UserIsNotAuthorized", detail="the account does not belong to this customer")
    if known is not None or only_known:
        raise Refused("CampaignServiceInvalidAccountId")
    add_accounts(db, [StoredAccount(caller.account_id, caller.customer_id)])
