"""The section `accounts:` to paste: it parses as it was meant, with the names that the configuration has."""

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config import parse
from sidecar.core.accounts_yaml import accounts_yaml, configured_as
from sidecar.core.ad_accounts import AdAccount, ConfiguredAccount, VisibleAccounts
from sidecar.core.instant import UnixMillis

EU = AdAccount("Shop EU", "F118ABCD", "11", "2001", "EUR", "Active")
US = AdAccount("Shop US", "F118ABCE", "11", "2002", "USD", "Active")
OLD = AdAccount("An old one", "F118ABCF", "12", "1003", "USD", "Inactive")
UNSET = ConfiguredAccount("default", "", "")


def seen(*accounts: AdAccount) -> VisibleAccounts:
    return VisibleAccounts(accounts, (), None, UnixMillis(0))


def in_force(text: str) -> Any:
    return yaml.safe_load(text)["accounts"]


def test_single_account_takes_the_name_that_waits_for_ids() -> None:
    text = accounts_yaml([UNSET], seen(EU))
    assert text == ("accounts:\n  default: {customer_id: 11, account_id: 2001}  # Shop EU, F118ABCD, EUR, Active\n")


def test_first_active_account_is_in_force_and_the_others_are_comments() -> None:
    text = accounts_yaml([UNSET], seen(OLD, EU, US))
    assert in_force(text) == {"default": {"customer_id": 11, "account_id": 2001}}
    assert "  # an_old_one: {customer_id: 12, account_id: 1003}  # An old one, F118ABCF, USD, Inactive\n" in text
    assert "  # shop_us: {customer_id: 11, account_id: 2002}" in text


def test_configured_accounts_hold_their_names_and_goals_and_get_their_right_ids() -> None:
    configured = [
        ConfiguredAccount("eu", "2001", "11", {"purchase": 'Purchase "EU": all # of it'}),
        ConfiguredAccount("us", "11", "2002"),
    ]
    visible = seen(EU, US, OLD)
    assert configured_as(configured, visible) == {"2001": "eu", "2002": "us"}
    assert in_force(accounts_yaml(configured, visible)) == {
        "eu": {"customer_id": 11, "account_id": 2001, "goals": {"purchase": 'Purchase "EU": all # of it'}},
        "us": {"customer_id": 11, "account_id": 2002},
    }


def test_configured_account_that_is_not_visible_is_a_comment_and_its_name_goes_to_a_visible_one() -> None:
    text = accounts_yaml([ConfiguredAccount("default", "7", "77")], seen(EU))
    assert in_force(text) == {"default": {"customer_id": 11, "account_id": 2001}}
    assert "  # default: {customer_id: 7, account_id: 77}  # not among them\n" in text


def test_nothing_is_written_where_nothing_is_visible() -> None:
    assert accounts_yaml([UNSET], seen()) == ""


def test_names_that_yaml_reads_otherwise_and_equal_names_are_made_plain() -> None:
    accounts = [
        AdAccount(name, "N", "11", str(2001 + place))
        for place, name in enumerate(["No", "true", "Ünï ßhop", "ショップ", "12 apples", "Shop", "shop!"])
    ]
    text = accounts_yaml([], seen(*accounts)).replace("\n  # ", "\n  ")
    assert list(in_force(text)) == [
        "account_2001",
        "account_2002",
        "n_hop",
        "account_2004",
        "account_2005",
        "shop",
        "shop_2",
    ]


NAMES = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable() and text == text.strip())
IDS = st.integers(1000, 10**12).map(str)
ACCOUNTS = st.builds(
    AdAccount,
    name=NAMES,
    number=NAMES,
    customer_id=IDS,
    account_id=IDS,
    currency=st.sampled_from(["USD", None]),
    status=st.sampled_from(["Active", "Inactive", None]),
)
CONFIGURED = st.builds(
    ConfiguredAccount,
    name=NAMES,
    customer_id=IDS,
    account_id=IDS | st.just("0777"),
    goals=st.just({}) | st.just({"purchase": "Käufe: 'alle' 😀 #1"}),
)


@given(
    st.lists(ACCOUNTS, min_size=1, max_size=5, unique_by=lambda one: one.account_id),
    st.lists(CONFIGURED, max_size=3, unique_by=lambda one: one.name),
)
def test_what_is_pasted_is_a_valid_configuration_of_visible_accounts(
    accounts: list[AdAccount], configured: list[ConfiguredAccount]
) -> None:
    text = accounts_yaml(configured, seen(*accounts))
    config = parse(
        "microsoft: {environment: production, client_id: 'x', developer_token: 'y'}\n"
        "events: {purchase: {goal: Sidecar Purchase}}\n" + text,
        {},
    )
    by_id = {one.account_id: one for one in accounts}
    assert config.accounts
    for account in config.accounts.values():
        assert account.customer_id == by_id[account.account_id].customer_id
    every = in_force(text.replace("\n  # ", "\n  "))
    assert len(every) <= len(accounts) + len(configured)


def test_of_two_names_for_one_account_that_with_the_right_ids_counts() -> None:
    configured = [ConfiguredAccount("right", "11", "2001"), ConfiguredAccount("swapped", "2001", "11")]
    for order in (configured, configured[::-1]):
        assert configured_as(order, seen(EU, US)) == {"2001": "right"}
