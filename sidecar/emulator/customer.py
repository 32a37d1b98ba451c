"""Customer Management: the signed-in user, and the accounts of that user.

https://learn.microsoft.com/advertising/customer-management-service/getuser
https://learn.microsoft.com/advertising/customer-management-service/searchaccounts
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from sidecar.emulator.ad_accounts import StoredAccount, role_id, visible_accounts
from sidecar.emulator.admission import admit_user
from sidecar.emulator.call import Answer, Call, answer_json
from sidecar.emulator.error_bodies import FaultShape, Refused
from sidecar.emulator.json_rows import read_object
from sidecar.emulator.options import CUSTOMER_ID, EmulatorOptions
from sidecar.emulator.row_fields import read_list, read_long, read_number, read_text
from sidecar.emulator.tokens import USER_ID, USER_NAME

MAX_PAGE_SIZE = 1_000

_MIN_VALUE_LENGTH = 4  # a shorter value finds nothing
_ORDERS: Mapping[object, Callable[[StoredAccount], Any]] = {
    "Id": lambda account: int(account.account_id),
    "Name": lambda account: account.name,
    "Number": lambda account: account.number,
}
_STAMP = {"LastModifiedTime": "2026-01-01T00:00:00Z", "TimeStamp": "AAAAAAAAAAA="}


@dataclass(frozen=True, slots=True)
class Customer:
    """The two calls of Customer Management."""

    options: EmulatorOptions

    def query_user(self, db: Connection, call: Call) -> Answer:
        """`POST User/Query`: no user id means the caller; any other id is refused."""
        admit_user(db, call, self.options)
        if read_long(read_object(call.body), "UserId") not in (None, USER_ID):
            raise Refused("UserIsNotAuthorized", FaultShape.CUSTOMER)
        customers = list(dict.fromkeys(account.customer_id for account in visible_accounts(db)))
        roles = [_role(customer_id, role_id(db)) for customer_id in customers]
        return answer_json({"User": _user(next(iter(customers), CUSTOMER_ID)), "CustomerRoles": roles})

    def search_accounts(self, db: Connection, call: Call) -> Answer:
        """`POST Accounts/Search`: one predicate, and a second only together with AccountLifeCycleStatus."""
        admit_user(db, call, self.options)
        fields = read_object(call.body)
        predicates = [_predicate(item) for item in read_list(fields, "Predicates") or []]
        others = [field for field, _ in predicates if field != "AccountLifeCycleStatus"]
        if not predicates or len(predicates) > 2 or len(others) > 1:
            raise Refused("ApiInputValidationError", FaultShape.CUSTOMER, "exactly one predicate is expected")
        found = [one for one in visible_accounts(db) if all(_is_met(field, value, one) for field, value in predicates)]
        return answer_json({"Accounts": [_account(one) for one in _page(fields, _ordered(fields, found))]})


def _predicate(item: object) -> tuple[str, str]:
    if not isinstance(item, dict):
        raise Refused("ApiInputValidationError", FaultShape.CUSTOMER, "a predicate is not an object")
    if read_text(item, "Operator") != "Equals":
        raise Refused("ApiInputValidationError", FaultShape.CUSTOMER, "the emulator knows the operator Equals only")
    return read_text(item, "Field") or "", read_text(item, "Value") or ""


def _is_met(field: str, value: str, account: StoredAccount) -> bool:
    if len(value) < _MIN_VALUE_LENGTH:
        return False
    known = {
        "UserId": USER_ID,
        "AccountId": account.account_id,
        "CustomerId": account.customer_id,
        "AccountNumber": account.number,
        "AccountLifeCycleStatus": account.status,
    }
    return known.get(field) == value


def _ordered(fields: Mapping[str, Any], found: list[StoredAccount]) -> list[StoredAccount]:
    """The accounts by the one ordering that is allowed; without one, by id."""
    orders = read_list(fields, "Ordering") or []
    if not orders:
        return found
    order = orders[0]
    if len(orders) > 1 or not isinstance(order, dict) or order.get("Field") not in _ORDERS:
        raise Refused("ApiInputValidationError", FaultShape.CUSTOMER, "one ordering by Id, Name or Number is expected")
    return sorted(found, key=_ORDERS[order["Field"]], reverse=order.get("Order") == "Descending")


def _page(fields: Mapping[str, Any], found: list[StoredAccount]) -> list[StoredAccount]:
    """The requested page. A missing size is 0, which gives an empty page."""
    page = fields.get("PageInfo")
    if not isinstance(page, dict):
        raise Refused("NullParameter", FaultShape.CUSTOMER, "PageInfo is needed")
    size, index = int(read_number(page, "Size") or 0), int(read_number(page, "Index") or 0)
    if not 0 <= size <= MAX_PAGE_SIZE:
        raise Refused("ApiInputValidationError", FaultShape.CUSTOMER, f"Size must be at most {MAX_PAGE_SIZE}")
    return found[index * size : (index + 1) * size]


def _user(customer_id: str) -> dict[str, Any]:
    return _STAMP | {
        "Id": USER_ID,
        "UserName": USER_NAME,
        "CustomerId": customer_id,
        "Name": {"FirstName": "Emulator", "LastName": "User", "MiddleInitial": None},
        "ContactInfo": {"Email": USER_NAME, "Id": "1", "EmailFormat": "Html"},
        "UserLifeCycleStatus": "Active",
        "Lcid": "EnglishUS",
        "JobTitle": None,
        "LastModifiedByUserId": "0",
        "ForwardCompatibilityMap": None,
    }


def _role(customer_id: str, number: int) -> dict[str, Any]:
    return {
        "RoleId": number,
        "CustomerId": customer_id,
        "AccountIds": None,
        "LinkedAccountIds": None,
        "CustomerLinkPermission": None,
    }


def _account(account: StoredAccount) -> dict[str, Any]:
    return _STAMP | {
        "Id": account.account_id,
        "Number": account.number,
        "Name": account.name,
        "ParentCustomerId": account.customer_id,
        "BillToCustomerId": account.customer_id,
        "PrimaryUserId": USER_ID,
        "CurrencyCode": account.currency,
        "TimeZone": "EasternTimeUSCanada",
        "Language": "English",
        "AccountLifeCycleStatus": account.status,
        "AccountFinancialStatus": "ClearFinancialStatus",
        "AutoTagType": "Inactive",
        "PauseReason": None,
        "LinkedAgencies": None,
        "BusinessAddress": None,
        "TaxInformation": [],
    }
