"""The user and the accounts on the wire; Microsoft's own SDK judges from outside, as it does for uploads."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_client.api_client import ApiClient
from openapi_client.models.customer.advertiser_account import AdvertiserAccount
from openapi_client.models.customer.api_fault import ApiFault
from openapi_client.models.customer.customer_role import CustomerRole
from openapi_client.models.customer.get_user_request import GetUserRequest
from openapi_client.models.customer.get_user_response import GetUserResponse
from openapi_client.models.customer.operation_error import OperationError
from openapi_client.models.customer.search_accounts_request import SearchAccountsRequest
from openapi_client.models.customer.search_accounts_response import SearchAccountsResponse
from openapi_client.models.customer.user import User

from sidecar.core.ad_accounts import AdAccount, UserRole
from sidecar.core.answer import Lost, RefusedBatch, Verdict
from sidecar.microsoft.ad_accounts import (
    PAGE_SIZE,
    AdUser,
    decode_accounts,
    decode_user,
    encode_search,
    encode_user,
)
from sidecar.microsoft.reply import HttpReply


def reply(body: object, status: int = 200) -> HttpReply:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpReply(status, {"TrackingId": "test-tracking"}, text)


def answer(model: Any) -> HttpReply:
    """An answer as the SDK writes it."""
    return reply(json.dumps(ApiClient().sanitize_for_serialization(model)).encode())


# --- The user ---------------------------------------------------------------------------------------------------------


def test_the_sdk_reads_that_the_user_of_the_token_is_wanted() -> None:
    sent = json.loads(encode_user())
    assert GetUserRequest.from_dict(sent).user_id is None
    assert sent.keys() <= GetUserRequest.model_construct().to_dict().keys() | {"UserId"}


def test_user_and_roles_are_read_from_what_the_sdk_writes() -> None:
    roles = [
        CustomerRole(RoleId=41, CustomerId="11"),
        CustomerRole(RoleId=100, CustomerId="12", AccountIds=["2003"], LinkedAccountIds=["2009"]),
        CustomerRole(RoleId=5, CustomerId="13", AccountIds=[]),
    ]
    found = decode_user(answer(GetUserResponse(User=User(Id="300", UserName="ads@example.com"), CustomerRoles=roles)))
    assert found == AdUser(
        "300",
        "ads@example.com",
        (
            UserRole("11", "Super Admin", may_upload=True),
            UserRole("12", "Viewer", False, frozenset({"2003"}), frozenset({"2009"})),
            UserRole("13", "role 5", may_upload=None),
        ),
    )


def test_password_beside_the_user_is_not_read() -> None:
    given = {"Id": "300", "UserName": "ads@example.com", "Password": "test-password", "AuthenticationToken": "test-t"}
    assert "test-" not in repr(decode_user(reply({"User": given, "CustomerRoles": None})))


# --- The accounts -----------------------------------------------------------------------------------------------------


def test_the_sdk_reads_which_page_is_wanted() -> None:
    """Exactly one predicate, at most one ordering, and a size: without it the page is empty."""
    sent = json.loads(encode_search("300000001", 2))
    model = SearchAccountsRequest.from_dict(sent)
    (predicate,) = model.predicates
    assert (predicate.field, predicate.operator, predicate.value) == ("UserId", "Equals", "300000001")
    (order,) = model.ordering
    assert (order.field, order.order) == ("Id", "Ascending")
    assert (model.page_info.index, model.page_info.size) == (2, PAGE_SIZE)
    assert model.to_dict() == {**sent, "ReturnAdditionalFields": None}  # no key that the SDK does not know


def test_accounts_are_read_from_what_the_sdk_writes() -> None:
    accounts = [
        AdvertiserAccount(
            Id="2001",
            Name="Shop EU",
            Number="F118ABCD",
            ParentCustomerId="11",
            CurrencyCode="EUR",
            AccountLifeCycleStatus="Active",
        ),
        AdvertiserAccount(Id="2002", Name="Old", Number="F118ABCE", ParentCustomerId="12"),
    ]
    assert decode_accounts(answer(SearchAccountsResponse(Accounts=accounts))) == (
        AdAccount("Shop EU", "F118ABCD", "11", "2001", "EUR", "Active"),
        AdAccount("Old", "F118ABCE", "12", "2002", None, None),
    )


@pytest.mark.parametrize("body", [{"Accounts": []}, {"Accounts": None}])
def test_no_accounts_are_a_good_answer(body: dict[str, Any]) -> None:
    assert decode_accounts(reply(body)) == ()


def test_account_without_usable_ids_holds_its_place_in_the_page() -> None:
    """Else a page with one such account would look like the last one."""
    listed = [{"Id": "2001", "ParentCustomerId": 11}, {"Id": "F118ABCD", "ParentCustomerId": "11"}, None, "2002"]
    assert decode_accounts(reply({"Accounts": listed})) == (AdAccount("2001", "", "11", "2001"), None, None, None)


def test_hostile_name_becomes_one_short_line() -> None:
    item = {"Id": "1", "ParentCustomerId": "2", "Name": "a\n\x1b[31m" + "b" * 999, "Number": "\ud800x"}
    (found,) = decode_accounts(reply({"Accounts": [item]}))  # type: ignore[misc]
    assert isinstance(found, AdAccount)
    assert found.name.startswith("a [31mbbb") and found.name.isprintable() and len(found.name) == 300
    assert found.number == "x"


# --- Refusals and rubbish ---------------------------------------------------------------------------------------------


def test_fault_without_a_symbol_is_known_by_its_number() -> None:
    """Customer Management's OperationError has no ErrorCode."""
    model = ApiFault(TrackingId="t", Type="ApiFault", OperationErrors=[OperationError(Code=105, Message="No.")])
    body = json.dumps(ApiClient().sanitize_for_serialization(model)).encode()
    for decode in (decode_user, decode_accounts):
        refused = decode(reply(body, 401))
        assert isinstance(refused, RefusedBatch)
        assert (refused.verdict, refused.faults[0].error) == (Verdict.TOKEN, "InvalidCredentials")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"User": {"Id": true}}', b'{"Accounts": {}, "User": []}'])
def test_unreadable_answer_counts_as_lost(body: bytes) -> None:
    assert isinstance(decode_user(reply(body)), Lost)
    assert isinstance(decode_accounts(reply(body)), Lost)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["User", "Id", "UserName", "CustomerRoles", "RoleId", "CustomerId", "AccountIds", "Accounts"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON_VALUES, st.sampled_from([200, 401, 500]))
def test_any_answer_is_decoded(body: Any, status: int) -> None:
    for decode in (decode_user, decode_accounts):
        decode(reply(body, status))
