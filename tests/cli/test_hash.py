"""`sidecar hash`: each step of normalising, by name, and the hash; no running sidecar is needed."""

import json

import pytest
from cli_kit import sidecar

JOHN = "ec81f3ac7b2b19675bab9d54cf416f9f18cff87c97da5cca82c0f0891bc40602"
NUMBER = "c59475d96e9f01d7d18d06cfad84dd02333207f02c0c2c5663ef2782cda0390e"


def test_every_step_is_named_with_its_result_and_the_hash_comes_last() -> None:
    shown = sidecar("hash", "--email", " John+shop@Contoso.com", "--phone", "(425) 555-1234", "--country", "us")
    assert shown.exit_code == 0
    assert [line.split("  ")[-1].strip() for line in shown.stdout.splitlines()] == [
        "email",
        "John+shop@Contoso.com",
        *["john+shop@contoso.com"] * 3,
        *["john@contoso.com"] * 2,
        f"SHA-256: {JOHN}",
        "phone",
        *["4255551234"] * 6,
        "+14255551234",
        f"SHA-256: {NUMBER}",
    ]


def test_step_that_read_a_number_otherwise_is_named() -> None:
    shown = sidecar("hash", "--phone", "044 55 1234 5678", "--country", "MEX")
    assert "retired prefix removed             5512345678" in shown.stdout
    shown = sidecar("hash", "--phone", "001 65 6123 4567", "--country", "HK")
    assert "international prefix written as +  +6561234567" in shown.stdout
    shown = sidecar("hash", "--phone", "49 49 171 5551234", "--country", "DE")
    assert "doubled country code removed       +491715551234" in shown.stdout


def test_unusable_one_has_its_reason_and_ends_with_1() -> None:
    shown = sidecar("hash", "--email", "john@contoso", "--phone", "+1 (425) 555-1234")
    assert shown.exit_code == 1
    assert "cannot be used: it has no domain with a dot" in shown.stdout
    assert NUMBER in shown.stdout


def test_phone_without_country_shows_what_is_missing() -> None:
    shown = sidecar("hash", "--phone", "0171 5551234")
    assert shown.exit_code == 1
    assert "has no country code" in shown.stdout


def test_hash_that_is_given_is_taken_as_it_is() -> None:
    shown = sidecar("hash", "--email", JOHN.upper())
    assert (shown.exit_code, JOHN in shown.stdout) == (0, True)
    assert "is a hash already" in shown.stdout


def test_values_come_from_standard_input_a_line_each() -> None:
    shown = sidecar("hash", "--email", "-", "--phone", "-", "--json", given="info@contoso.com\r\n+14255551234\n")
    assert shown.exit_code == 0
    answer = json.loads(shown.stdout)
    assert answer["phone"]["sha256"] == NUMBER
    assert answer["email"]["steps"][-1] == {"step": "dots before @ removed", "result": "info@contoso.com"}
    assert "many share" in answer["email"]["warning"]
    assert answer["email"]["unusable"] is answer["phone"]["warning"] is None


def test_json_of_an_unusable_one_shows_why() -> None:
    shown = sidecar("hash", "--email", "nobody", "--json")
    assert shown.exit_code == 1
    assert json.loads(shown.stdout)["email"] | {"steps": []} == {
        "steps": [],
        "sha256": None,
        "unusable": "must have exactly one @",
        "warning": None,
    }


@pytest.mark.parametrize(
    "arguments", [(), ("--country", "US"), ("--phone", "1", "--country", "United States"), ("--email", "-")]
)
def test_nothing_to_hash_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert sidecar("hash", *arguments, given="").exit_code == 2


def test_result_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in sidecar("hash", "--email", "a\x1b[31m@contoso.com").stdout
