"""`sidecar send`: one conversion from flags or standard input."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cli_kit import CLICK_ID, WAIT, Service, sidecar


def sent(running: Service, *arguments: str) -> dict[str, Any]:
    """What the API answered to a conversion that was sent with these options."""
    shown = sidecar("send", *arguments, "--json", url=running.url)
    assert shown.exit_code == 0, shown.output
    answer: dict[str, Any] = json.loads(shown.stdout)
    return answer


def test_conversion_is_watched_until_it_is_delivered(running: Service) -> None:
    shown = sidecar(
        *("send", "purchase", "--order-id", "S-1", "--value", "12.50", "--email", "customer@example.com"),
        *("--phone", "12", "--wait", WAIT),
        url=running.url,
    )
    assert shown.exit_code == 0
    assert ": delivered\n" in shown.stdout
    assert "can be matched by: email" in shown.stdout
    assert "warning, user.phone:" in shown.stdout
    assert "customer@example.com" not in shown.output


def test_without_waiting_it_is_enough_that_it_is_stored(running: Service) -> None:
    answer = sent(running, "purchase", "--order-id", "S-2", "--value", "5", "--msclkid", CLICK_ID)
    assert answer["state"] == "pending"
    assert answer["currency"] == "USD"


def test_every_option_reaches_its_field(running: Service) -> None:
    url = f"https://shop.example/?msclkid={CLICK_ID}"
    answer = sent(
        running,
        *("purchase", "--order-id", "S-3", "--value", "7", "--currency", "eur", "--landing-url", url),
        *("--email", "a@example.com", "--phone", "030 123456", "--country", "DE"),
        *("--consent", "granted", "--account", "default"),
    )
    assert answer["matched_by"] == ["msclkid", "email", "phone"]
    assert (answer["order_id"], answer["currency"], answer["account"]) == ("S-3", "EUR", "default")


@pytest.mark.parametrize("value", ["0.1", "999999999998.999", "12.50", "007", "0"])
def test_value_arrives_digit_for_digit(value: str, running: Service) -> None:
    answer = sent(running, "purchase", "--order-id", f"V-{value}", "--value", value, "--msclkid", CLICK_ID)
    assert answer["value"] == float(value)


@pytest.mark.parametrize("value", ["abc", "nan", "1e5", "1,50", "", "1_000", "१"])
def test_value_that_is_no_number_is_wrong_usage(value: str) -> None:
    shown = sidecar("send", "purchase", "--value", value)
    assert shown.exit_code == 2
    assert "is not a number such as 99.99" in shown.stderr


def test_too_many_decimals_are_left_to_the_sidecar_to_round(running: Service) -> None:
    """A float would round silently to another value."""
    given = ("purchase", "--order-id", "V-many", "--value", "1.23449999999999999999", "--msclkid", CLICK_ID)
    answer = sent(running, *given)
    assert (answer["value"], [warning["code"] for warning in answer["warnings"]]) == (1.234, ["value_rounded"])


def test_problems_are_reported_field_by_field(running: Service) -> None:
    shown = sidecar(
        "send", "purchse", "--value", "-3", "--time", "yesterday", "--email", "a@example.com", url=running.url
    )
    assert shown.exit_code == 1
    assert shown.stdout == ""
    assert "(HTTP 422)\n" in shown.stderr
    assert "did you mean purchase?" in shown.stderr
    for name in ("event", "value", "time"):
        assert f"\n  {name}: " in shown.stderr


def test_milliseconds_are_distinguished_from_seconds(running: Service) -> None:
    shown = sidecar("send", "lead", "--time", "1795000000000", "--email", "a@example.com", url=running.url)
    assert shown.exit_code == 1
    assert "milliseconds" in shown.stderr


def test_the_same_again_counts_once_and_other_content_is_a_conflict(running: Service) -> None:
    same = ("send", "purchase", "--order-id", "S-4", "--msclkid", CLICK_ID, "--value")
    assert sidecar(*same, "10", url=running.url).exit_code == 0
    again = sidecar(*same, "10.00", url=running.url)
    assert again.exit_code == 0
    assert "stored before, and counts once" in again.stdout
    other = sidecar(*same, "11", url=running.url)
    assert other.exit_code == 1
    assert "(HTTP 409)" in other.stderr
    assert "order_id: conv_" in other.stderr


def test_skipped_by_rule_is_no_failure_unless_delivery_was_waited_for(running: Service) -> None:
    shown = sidecar("send", "lead", "--consent", "denied", url=running.url)
    assert shown.exit_code == 0
    assert "not stored: skipped (consent_denied)" in shown.stdout
    assert sidecar("send", "lead", "--consent", "denied", "--wait", "1", url=running.url).exit_code == 1


def test_what_is_not_delivered_in_time_ends_with_1(running: Service) -> None:
    """A conversion of the near future waits until it has happened."""
    at = (datetime.now(UTC) + timedelta(minutes=3)).isoformat()
    shown = sidecar("send", "lead", "--time", at, "--msclkid", CLICK_ID, "--wait", "1", url=running.url)
    assert shown.exit_code == 1
    assert ": pending (not_yet)" in shown.stdout


def test_unix_seconds_are_taken_as_such(running: Service) -> None:
    at = datetime.now(UTC) - timedelta(days=1)
    answer = sent(running, "lead", "--time", str(int(at.timestamp())), "--msclkid", CLICK_ID)
    assert answer["time"] == f"{at:%Y-%m-%dT%H:%M:%SZ}"


def test_json_on_standard_input_is_sent_to_the_letter(running: Service) -> None:
    given = '{"event": "lead", "order_id": "S-5", "user": {"email": "b@example.com"}, "meta": {"shop": "Zürich"}}'
    shown = sidecar("send", "--json", given=given, url=running.url)
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["meta"] == {"shop": "Zürich"}


def test_array_is_reported_item_by_item_and_ends_with_1_if_one_is_refused(running: Service) -> None:
    given = json.dumps([{"event": "lead", "order_id": "S-6", "msclkid": CLICK_ID}, {"event": "nothing"}])
    shown = sidecar("send", given=given, url=running.url)
    assert shown.exit_code == 1
    assert "1 accepted, 0 replayed, 0 skipped, 1 rejected" in shown.stdout
    assert "item 1: refused (HTTP 422)\n  event: " in shown.stdout


@pytest.mark.parametrize(("given", "status"), [("[", 400), (b'"\xff"', 400), ("7", 422), ("[]", 422)])
def test_unusable_input_is_refused_in_the_sidecars_words(given: str | bytes, status: int, running: Service) -> None:
    shown = sidecar("send", given=given, url=running.url)
    assert shown.exit_code == 1
    assert f"(HTTP {status})" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "given"),
    [((), ""), ((), " \n"), (("--value", "3"), '{"event": "lead"}'), (("lead", "--wait", "-1"), ""), (("a", "b"), "")],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...], given: str) -> None:
    assert sidecar("send", *arguments, given=given).exit_code == 2


def test_array_of_which_all_is_refused_shows_why(running: Service) -> None:
    given = json.dumps([{"event": "nothing"}, {"event": "lead", "value": -1, "msclkid": CLICK_ID}])
    shown = sidecar("send", given=given, url=running.url)
    assert shown.exit_code == 1
    assert "0 accepted, 0 replayed, 0 skipped, 2 rejected" in shown.stdout
    assert "item 0: refused (HTTP 422)\n  event: " in shown.stdout
    assert "item 1: refused (HTTP 422)\n  value: " in shown.stdout


@pytest.mark.parametrize(
    ("given", "member"), [('{"event": "nothing"}', "errors"), ('[{"event": "nothing"}]', "results")]
)
def test_json_is_what_the_api_prints_also_of_a_refusal(given: str, member: str, running: Service) -> None:
    shown = sidecar("send", "--json", given=given, url=running.url)
    assert shown.exit_code == 1
    assert json.loads(shown.stdout)[member]
    assert shown.stderr == ""


def test_array_is_watched_until_all_of_it_is_delivered(running: Service) -> None:
    items = [{"event": "lead", "order_id": f"W-{n}", "msclkid": CLICK_ID} for n in range(3)]
    shown = sidecar("send", "--wait", WAIT, "--json", given=json.dumps(items), url=running.url)
    assert shown.exit_code == 0, shown.output
    assert [item["state"] for item in json.loads(shown.stdout)["results"]] == ["delivered"] * 3


def test_array_of_which_one_is_not_delivered_in_time_ends_with_1(running: Service) -> None:
    at = (datetime.now(UTC) + timedelta(minutes=3)).isoformat()
    items = [{"event": "lead", "msclkid": CLICK_ID}, {"event": "lead", "time": at, "msclkid": CLICK_ID}]
    shown = sidecar("send", "--wait", "1", given=json.dumps(items), url=running.url)
    assert shown.exit_code == 1
    assert ": pending (not_yet)" in shown.stdout
