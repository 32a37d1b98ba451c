"""`sidecar restate` and `sidecar retract`: an order is corrected or taken back by its id."""

import json

import pytest
from cli_kit import CLICK_ID, WAIT, Service, sidecar


def delivered(running: Service, order_id: str) -> str:
    """The id of an order that Microsoft took."""
    shown = sidecar(
        *("send", "purchase", "--order-id", order_id, "--value", "99.99", "--msclkid", CLICK_ID),
        *("--wait", WAIT, "--json"),
        url=running.url,
    )
    assert shown.exit_code == 0, shown.output
    return str(json.loads(shown.stdout)["id"])


def test_restate_names_the_new_total_by_order_id(running: Service) -> None:
    id_ = delivered(running, "ADJ-1")
    shown = sidecar("restate", "ADJ-1", "--value", "60.10", "--json", url=running.url)
    assert shown.exit_code == 0, shown.output
    answer = json.loads(shown.stdout)
    assert (answer["type"], answer["value"], answer["currency"]) == ("restate", 60.1, "USD")
    assert answer["conversion_id"] == id_
    again = sidecar("restate", "ADJ-1", "--value", "60.1", url=running.url)
    assert again.exit_code == 0
    assert "counts once" in again.stdout


def test_retract_takes_a_conversion_back_by_its_id(running: Service) -> None:
    id_ = delivered(running, "ADJ-2")
    shown = sidecar("retract", id_, "--yes", "--json", url=running.url)
    assert (shown.exit_code, json.loads(shown.stdout)["type"]) == (0, "retract")
    refused = sidecar("restate", "ADJ-2", "--value", "1", url=running.url)
    assert refused.exit_code == 1
    assert "(HTTP 409)" in refused.stderr


def test_retract_asks_first_and_cannot_ask_without_a_terminal(running: Service) -> None:
    shown = sidecar("retract", "ADJ-2", url=running.url)
    assert shown.exit_code == 2
    assert "--yes" in shown.stderr


def test_key_distinguishes_two_equal_restates(running: Service) -> None:
    delivered(running, "ADJ-3")
    ids = [
        json.loads(
            sidecar("restate", "ADJ-3", "--value", value, "--idempotency-key", key, "--json", url=running.url).stdout
        )["id"]
        for value, key in (("80", "test-1"), ("90", "test-2"), ("80", "test-3"), ("80", "test-3"))
    ]
    assert ids[2] == ids[3]
    assert len(set(ids)) == 3


def test_unknown_order_is_reported_and_prints_the_problem_as_json(running: Service) -> None:
    shown = sidecar("restate", "ADJ-NONE", "--value", "1", url=running.url)
    assert shown.exit_code == 1
    assert "(HTTP 404)" in shown.stderr
    as_json = sidecar("restate", "ADJ-NONE", "--value", "1", "--json", url=running.url)
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["status"] == 404


@pytest.mark.parametrize("wrong", [("restate", "A"), ("restate", "A", "--value", "x"), ("restate",), ("retract",)])
def test_wrong_usage_ends_with_2(wrong: tuple[str, ...]) -> None:
    assert sidecar(*wrong).exit_code == 2
