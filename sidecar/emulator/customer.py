"""Customer Management: the signed-in user, and the accounts of that user.

https://learn.microsoft.com/advertising/customer-management-service/getuser
https://learn.microsoft.com/advertising/customer-management-service/searchaccounts
"""

from collections.abc import Mapping
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from sidecar.emulator.admission import admit_user
from sidecar.emulator.call import Answer, Call, answer_json
from sidecar.emulator.error_bodies import FaultShape, Refused
from sidecar.emulator.json_rows import read_object
from sidecar.emulator.options import ACCOUNT_ID, CUSTOMER_ID, EmulatorOptions
from sidecar.emulator.row_fields import read_list, read_long, read_number, read_text
from sidecar.emulator.tokens import USER_ID, USER_NAME

MAX_PAGE_SIZE = 1_000

_SUPER_ADMIN = 41
_MIN_VALUE_LENGTH = 4  # a shorter value finds nothing
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
        customers = dict.fromkeys(customer_id for customer_id, _ in _accounts(self.options))
        return answer_json({"User": _user(next(iter(customers))), "CustomerRoles": [_role(one) for one in customers]})

    def search_accounts(self, db: Connection, call: Call) -> Answer:
        """`POST Accounts/Search`: one predicate, and a second only together with AccountLifeCycleStatus."""
        admit_user(db, call, self.options)
        fields = read_object(call.body)
        predicates = [_predicate(item) for item in read_list(fields, "Predicates") or []]
        others = [field for field, _ in predicates if field != "AccountLifeCycleStatus"]
        if not predicates or len(predicates) > 2 or len(others) > 1:
            raise Refused("ApiInputValidationError", FaultShape.CUSTOMER, "exactly one predicate is expected")
        found = [
            _account(customer_id, account_id)
            for customer_id, account_id in _accounts(self.options)
            if all(_is_met(field, value, customer_id, account_id) for field, value in predicates)
        ]
        return answer_json({"Accounts": _page(fields, found)})


def _accounts(options: EmulatorOptions) -> tuple[tuple[str, str], ...]:
    return options.accounts or ((CUSTOMER_ID, ACCOUNT_ID),)


def _predicate(item: object) -> tuple[str, str]:
    if not isinstance(item, dict):
        raise Refused("ApiInputValidationError", FaultShape.CUSTOMER, "a predicate is not an object")
    return read_text(item, "Field") or "", read_text(item, "Value") or ""


def _is_met(field: str, value: str, customer_id: str, account_id: str) -> bool:
    if len(value) < _MIN_VALUE_LENGTH:
        return False
    known = {
        "UserId": USER_ID,
        "AccountId": account_id,
        "CustomerId": customer_id,
        "AccountNumber": _number(account_id),
        "AccountLifeCycleStatus": "Active",
    }
    return known.get(field) == value


def _page(fields: Mapping[str, Any], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
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


def _role(customer_id: str) -> dict[str, Any]:
    return {
        "RoleId": _SUPER_ADMIN,
        "CustomerId": customer_id,
        "AccountIds": None,
        "LinkedAccountIds": None,
        "CustomerLinkPermission": None,
    }


def _account(customer_id: str, account_id: str) -> dict[str, Any]:
    return _STAMP | {
        "Id": account_id,
        "Number": _number(account_id),
        "Name": f"Emulated account {account_id}",
        "ParentCustomerId": customer_id,
        "BillToCustomerId": customer_id,
        "PrimaryUserId": USER_ID,
        "CurrencyCode": "USD",
        "TimeZone": "EasternTimeUSCanada",
        "Language": "English",
        "AccountLifeCycleStatus": "Active",
        "AccountFinancialStatus": "ClearFinancialStatus",
        "AutoTagType": "Inactive",
        "PauseReason": None,
        "LinkedAgencies": None,
        "BusinessAddress": None,
        "TaxInformation": [],
    }


def _number(account_id: str) -> str:
    """The eight-character account number, which is not the id."""
    return f"X{int(account_id) % 10_000_000:07d}"
