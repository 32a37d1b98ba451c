"""The second wall: what looks like a secret or a person never leaves, and a text stays one line."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.telemetry.redact import MASK, MAX_TEXT, Redactor, one_line

CANARIES = {
    "e-mail": ("could not read canary.person@example.com here", "canary.person"),
    "e-mail in a URL": ("GET /x?mail=canary.person%40example.com", "canary.person"),
    "hash": (f"row has {'ab12' * 16}", "ab12ab12"),
    "hash in capitals": (f"row has {'AB12' * 16}", "AB12AB12"),
    "click id": ("no click f894f652ea334e739002f7167ab8f8e3", "f894f652"),
    "click id in a cookie": ("cookie _uetf894f652ea334e739002f7167ab8f8e3", "f894f652"),
    "click id in a landing page": (
        "https://shop.example/?msclkid=f894f652-ea33-4e73-9002-f7167ab8f8e3&x=1",
        "f894f652",
    ),
    "phone": ("phone is +1 (425) 555-1234", "555"),
    "bearer": ("Authorization: Bearer test-canary-token", "test-canary"),
    "JWT": ("got eyJ0eXAiOiJKV1QiLCJhbGciOi.eyJhdWQiOiJjYW5hcnki.c2lnbmF0dXJl back", "eyJ0eXAi"),
    "refresh token": ("token M.C5test_BAY.0.U.-Ctest!canary*" + "aB3" * 30 + "$$ was refused", "canary"),
    "refresh token of a work account": ("0.AXtest" + "canary9-_" * 20, "canary9"),
    "named refresh token": ("{'refresh_token': 'test-canary'}", "test-canary"),
    "client secret": ("client_secret=test-canary&grant_type=x", "test-canary"),
    "developer token header": ("DeveloperToken: test-canary", "test-canary"),
    "password": ('{"password": "test-canary"}', "test-canary"),
    "authorisation code": ("GET /oauth/callback?code=test-canary&state=y", "test-canary"),
    "what pydantic refused over lines": ("input_value='a\ncanary secret', input_type=str", "canary"),
    "what pydantic refused": ("1 error [type=x, input_value={'phone': '4255551234'}, input_type=dict]", "4255551234"),
}

PLAIN = (
    "CampaignServiceCustomerIdHasToBeSpecified",
    "batch 17: 998 of 1000 delivered, 1 to be sent again, 1 dead",
    "OfflineConversionNameInvalid (5606) in account 1234567890",
    "https://campaign.api.bingads.microsoft.com/CampaignManagement/v13/OfflineConversions/Apply",
    "trace 9f1c2d3e-0000-1111-2222-333344445555 at 2026-11-23T15:30:45.123+01:00",
    "sidecar/store/sqlite/committer.py:123 _commit_group > sidecar/store/sqlite/database.py:45 call",
    "set microsoft.client_secret to its value and restart",
    "config.yaml:4: storage.encryption_key: must be empty or have 16 characters or more",
    "config.yaml:8: microsoft.client_secret: variable is not set: NOSUCH",
    "AADSTS7000222: The provided client secret keys for app are expired",
)


@pytest.mark.parametrize(("text", "canary"), CANARIES.values(), ids=CANARIES)
def test_what_looks_like_a_secret_or_a_person_is_masked(text: str, canary: str) -> None:
    cleaned = Redactor().text(text)
    assert canary not in cleaned
    assert MASK in cleaned


@pytest.mark.parametrize("text", PLAIN)
def test_what_an_operator_needs_is_left_as_it_is(text: str) -> None:
    assert Redactor().text(text) == text


def test_registered_secrets_are_masked_plain_and_escaped_in_a_url() -> None:
    redactor = Redactor()
    redactor.hide(["test secret/1", "abc"])
    assert redactor.text("x test secret/1 y test%20secret%2F1 abc") == f"x {MASK} y {MASK} abc"
    assert redactor.identifier("order test secret/1") == f"order {MASK}"


def test_longer_secret_is_masked_whole_although_another_is_its_beginning() -> None:
    redactor = Redactor()
    redactor.hide(["test-key"])
    redactor.hide(["test-key-and-more"])
    assert redactor.text("test-key-and-more") == MASK


def test_order_id_that_looks_like_a_hash_can_still_be_searched_for() -> None:
    assert Redactor().identifier("ab" * 16) == "ab" * 16


def test_order_id_that_is_an_address_is_masked() -> None:
    assert Redactor().identifier("canary.person@example.com/17") == f"{MASK}/17"


def test_secret_at_the_cut_is_masked_before_the_text_is_cut() -> None:
    text = "x" * (MAX_TEXT - 5) + " canary.person@example.com"
    assert "canary" not in Redactor().text(text)


def test_text_of_a_megabyte_is_cleaned_and_cut() -> None:
    assert len(Redactor().text("word " * 200_000)) == MAX_TEXT


def cost(text: str) -> float:
    """CPU seconds to clean it, the least of three."""
    costs = []
    for _ in range(3):
        started = time.process_time()
        Redactor().text(text)
        costs.append(time.process_time() - started)
    return min(costs)


@pytest.mark.parametrize("unit", ["a", "a1", "a.", "a@", "%40", "x=_-", "+1 2 3 ", "eyJ", "input_value=\n", "token="])
def test_no_text_takes_long_to_clean(unit: str) -> None:
    """Compared with plain words of the same length: a pattern that backtracks takes hundreds of times as long."""
    assert cost(unit * 10_000) < 50 * cost("word " * (2_000 * len(unit)))


@given(st.text())
def test_every_text_becomes_one_printable_line_that_can_be_encoded(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert len(line.splitlines()) <= 1
    line.encode()


@given(st.text())
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = Redactor().text(text)
    assert Redactor().text(once)[:200] == once[:200]


def test_secrets_that_are_hidden_later_leave_those_before_hidden() -> None:
    """A reload brings new keys, and the old ones may still come in an error."""
    redactor = Redactor()
    for secret in ("test-first", "test-second"):
        redactor.hide([secret])
    assert redactor.text("test-first test-second") == redactor.identifier("test-first test-second") == f"{MASK} {MASK}"
