"""Encodes and decodes the calls that list the user's ad accounts. Never raises, like `wire`.

https://learn.microsoft.com/advertising/customer-management-service/getuser
https://learn.microsoft.com/advertising/customer-management-service/searchaccounts
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.core.ad_accounts import AdAccount, UserRole
from sidecar.core.answer import Lost, RefusedBatch
from sidecar.microsoft.json_values import id_of, line_of
from sidecar.microsoft.reply import HttpReply
from sidecar.microsoft.wire import refusal

QUERY_USER = "/CustomerManagement/v13/User/Query"
SEARCH = "/CustomerManagement/v13/Accounts/Search"

PAGE_SIZE = 100
"""Accounts in one answer. Microsoft allows 1,000, but decoding those would hold up the event loop for some 20 ms."""

ROLES = {
    16: ("Advertiser Campaign Manager", True),
    33: ("Aggregator", None),
    41: ("Super Admin", True),
    100: ("Viewer", False),
    203: ("Standard", True),
}
"""Each role's name, and whether it may upload conversions.

https://learn.microsoft.com/advertising/customer-management-service/customerrole
"""

LONGEST_NAME = 300


@dataclass(frozen=True, slots=True)
class AdUser:
    """The signed-in user."""

    id: str
    name: str | None
    roles: tuple[UserRole, ...]


def encode_user() -> bytes:
    """The request for the user of the token, which no id means."""
    return json.dumps({"UserId": None}).encode("ascii")


def decode_user(reply: HttpReply) -> AdUser | RefusedBatch | Lost:
    """The user in the answer. The answer has members for passwords, too: they are not read."""
    if (refused := refusal(reply)) is not None:
        return refused
    document = reply.document or {}
    given = document.get("User")
    id_ = id_of(given.get("Id")) if isinstance(given, dict) else None
    if id_ is None or not isinstance(given, dict):
        return Lost(f"HTTP {reply.status} without a user", reply.tracking_id)
    roles = (_role(item) for item in _items(document.get("CustomerRoles")))
    return AdUser(id_, _line(given.get("UserName")), tuple(role for role in roles if role is not None))


def encode_search(user_id: str, page: int) -> bytes:
    """The request for one page, counted from 0, of the accounts that the user can reach."""
    body = {
        "Predicates": [{"Field": "UserId", "Operator": "Equals", "Value": user_id}],
        "Ordering": [{"Field": "Id", "Order": "Ascending"}],
        "PageInfo": {"Index": page, "Size": PAGE_SIZE},
    }
    return json.dumps(body).encode("ascii")


def decode_accounts(reply: HttpReply) -> tuple[AdAccount | None, ...] | RefusedBatch | Lost:
    """The accounts of one page, None for each that cannot be read: its place shows whether the page was full."""
    if (refused := refusal(reply)) is not None:
        return refused
    listed = (reply.document or {}).get("Accounts", "")
    if not isinstance(listed, list | None):
        return Lost(f"HTTP {reply.status} without a list of accounts", reply.tracking_id)
    return tuple(_account(item) for item in listed or ())


def _account(item: object) -> AdAccount | None:
    if not isinstance(item, dict):
        return None
    account_id, customer_id = id_of(item.get("Id")), id_of(item.get("ParentCustomerId"))
    if account_id is None or customer_id is None:
        return None
    return AdAccount(
        name=_line(item.get("Name")) or account_id,
        number=_line(item.get("Number")) or "",
        customer_id=customer_id,
        account_id=account_id,
        currency=_line(item.get("CurrencyCode")),
        status=_line(item.get("AccountLifeCycleStatus")),
    )


def _role(item: object) -> UserRole | None:
    customer_id = id_of(item.get("CustomerId")) if isinstance(item, dict) else None
    if customer_id is None or not isinstance(item, dict):
        return None
    number = id_of(item.get("RoleId"))
    name, may_upload = ROLES.get(int(number or -1), (f"role {number}", None))
    own, linked = _ids(item.get("AccountIds")), _ids(item.get("LinkedAccountIds"))
    return UserRole(customer_id, name, may_upload, own or None, linked)


def _items(listed: object) -> Sequence[Any]:
    return listed if isinstance(listed, list) else ()


def _ids(listed: object) -> frozenset[str]:
    return frozenset(id_ for item in _items(listed) if (id_ := id_of(item)) is not None)


def _line(value: object) -> str | None:
    return line_of(value, LONGEST_NAME)
