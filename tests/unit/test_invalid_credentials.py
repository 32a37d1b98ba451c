"""What most likely stands behind a 105, by what is known of the accounts."""

import pytest

from sidecar.microsoft.account_ids import AccountIds
from sidecar.microsoft.invalid_credentials import CredentialsHistory, diagnose

EU, US = AccountIds("100", "200"), AccountIds("100", "201")
TOKEN, IDS = "developer_token_invalid", "wrong_account"


def answers(*accepted: AccountIds) -> CredentialsHistory:
    """These were let in, one after another."""
    found = CredentialsHistory()
    for ids in accepted:
        found.accepted(ids)
    return found


def test_single_account_that_was_never_answered_may_have_any_cause() -> None:
    found = diagnose("eu", {"eu": EU}, CredentialsHistory())
    assert (found.trouble, found.lead) == (TOKEN, None)


def test_account_that_was_answered_before_has_the_right_ids() -> None:
    kept_out = answers(EU, US)
    kept_out.rejected(EU)
    found = diagnose("eu", {"eu": EU, "us": US}, kept_out)
    assert found.trouble == TOKEN
    assert "the developer token or the user has changed" in (found.lead or "")


def test_another_account_that_is_answered_shows_that_the_token_is_good() -> None:
    found = diagnose("us", {"eu": EU, "us": AccountIds("300", "400")}, answers(EU))
    assert found.trouble == IDS
    assert "account eu is answered with the same developer token" in (found.lead or "")


def test_account_that_is_kept_out_while_another_is_let_in_is_to_blame_itself() -> None:
    kept_out = answers(EU, US)
    kept_out.rejected(EU)
    kept_out.accepted(US)
    kept_out.rejected(EU)
    assert diagnose("eu", {"eu": EU, "us": US}, kept_out).trouble == IDS
    kept_out.accepted(EU)
    kept_out.rejected(EU)
    assert diagnose("eu", {"eu": EU, "us": US}, kept_out).trouble == TOKEN


def test_answers_to_accounts_that_left_the_configuration_show_nothing() -> None:
    assert diagnose("us", {"us": US}, answers(EU)).trouble == TOKEN


@pytest.mark.parametrize(
    "swapped", [AccountIds("201", "100"), AccountIds("200", "100"), AccountIds("200", "999"), AccountIds("999", "100")]
)
def test_ids_of_the_other_kind_in_another_account_look_swapped(swapped: AccountIds) -> None:
    found = diagnose("us", {"eu": EU, "us": swapped}, CredentialsHistory())
    assert found.trouble == IDS
    assert "swapped" in (found.lead or "")


def test_equal_ids_cannot_be_right() -> None:
    found = diagnose("us", {"us": AccountIds("100", "100")}, CredentialsHistory())
    assert (found.trouble, "the same" in (found.lead or "")) == (IDS, True)
