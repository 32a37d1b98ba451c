"""Which of the user's ad accounts two configured ids mean: visible, swapped, unknown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.ad_accounts import AdAccount, LookedUp, Reach, UserRole, VisibleAccounts, look_up
from sidecar.core.instant import UnixMillis

EU = AdAccount("Shop EU", "F118ABCD", "11", "2001", "EUR", "Active")
US = AdAccount("Shop US", "F118ABCE", "11", "2002", "USD", "Active")
CLIENT = AdAccount("A client", "F118ABCF", "12", "2003", "USD", "Inactive")

ADMIN = UserRole("11", "Super Admin", may_upload=True)


def seen(*accounts: AdAccount, roles: tuple[UserRole, ...] = (ADMIN,), is_complete: bool = True) -> VisibleAccounts:
    return VisibleAccounts(accounts, roles, "ads@example.com", UnixMillis(0), is_complete)


ALL = seen(EU, US, CLIENT)


@pytest.mark.parametrize(
    ("customer_id", "account_id", "found"),
    [
        ("11", "2001", LookedUp(Reach.VISIBLE, EU)),
        ("12", "2003", LookedUp(Reach.VISIBLE, CLIENT)),
        ("011", "002001", LookedUp(Reach.VISIBLE, EU)),
        ("2001", "11", LookedUp(Reach.SWAPPED, EU)),
        ("2001", "99", LookedUp(Reach.SWAPPED, EU)),
        ("99", "11", LookedUp(Reach.SWAPPED)),
        ("11", "11", LookedUp(Reach.UNKNOWN)),
        ("2001", "2001", LookedUp(Reach.UNKNOWN, EU)),
        ("99", "2001", LookedUp(Reach.UNKNOWN, EU)),
        ("11", "99", LookedUp(Reach.UNKNOWN)),
        ("", "", LookedUp(Reach.NO_IDS)),
    ],
)
def test_ids_are_looked_up_among_the_visible_accounts(customer_id: str, account_id: str, found: LookedUp) -> None:
    assert look_up(customer_id, account_id, ALL) == found


def test_account_is_visible_under_a_manager_that_the_user_has_a_role_for() -> None:
    manager = UserRole("77", "Super Admin", may_upload=True, linked_account_ids=frozenset({"2003"}))
    visible = seen(CLIENT, roles=(manager,))
    assert look_up("77", "2003", visible) == LookedUp(Reach.VISIBLE, CLIENT)
    assert visible.role_for(CLIENT) == manager


def test_incomplete_list_proves_no_account_unknown() -> None:
    assert look_up("11", "99", seen(EU, is_complete=False)) == LookedUp(Reach.NOT_READ)


def test_role_for_an_account_is_one_that_extends_to_it() -> None:
    viewer = UserRole("11", "Viewer", may_upload=False, account_ids=frozenset({"2002"}))
    visible = seen(EU, US, roles=(viewer,))
    assert (visible.role_for(US), visible.role_for(EU)) == (viewer, None)


@pytest.mark.parametrize(("status", "active"), [("Active", True), (None, True), ("Inactive", False), ("Pause", False)])
def test_account_is_active_unless_microsoft_says_otherwise(status: str | None, active: bool) -> None:
    assert EU._replace(status=status).is_active is active


DIGITS = st.text("0123", min_size=1, max_size=3)


@given(customers=st.lists(DIGITS, min_size=1), wanted=st.tuples(DIGITS, DIGITS))
def test_right_ids_are_always_visible_and_no_others_but_by_a_known_customer(
    customers: list[str], wanted: tuple[str, str]
) -> None:
    accounts = [AdAccount("a", "n", str(int(c)), str(1000 + i)) for i, c in enumerate(customers)]
    visible = seen(*accounts, roles=())
    for account in accounts:
        assert look_up(account.customer_id, account.account_id, visible) == LookedUp(Reach.VISIBLE, account)
    if look_up(*wanted, visible).reach is Reach.VISIBLE:
        assert str(int(wanted[0])) in visible.customer_ids
