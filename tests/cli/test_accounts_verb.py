"""`sidecar accounts`: what is configured, what can be reached, and the YAML to paste."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import yaml
from cli_kit import LAST_WORDS, WAIT, Service, process, read_until, settings_in, sidecar


def section(shown: str) -> Any:
    """The YAML at the end of what is printed."""
    return yaml.safe_load(shown[shown.index("accounts:\n") :])["accounts"]


def test_accounts_are_listed_with_the_yaml_to_paste(running: Service) -> None:
    shown = sidecar("accounts", url=running.url)
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[:4] == [
        "Configured:",
        "✓ default: customer 100000001, account 200000001; conversions go out",
        "",
        "emulator@example.com can reach:",
    ]
    assert [" ".join(line.split()) for line in lines[4:7]] == [
        "Example Shop X0000001 customer 100000001 account 200000001 USD Active Super Admin = default",
        "Example Client X0000002 customer 100000002 account 200000002 EUR Active Super Admin",
        "Example Shop (closed) X0000900 customer 100000001 account 200000900 USD Inactive Super Admin",
    ]
    assert len({line.index("customer") for line in lines[4:7]}) == 1
    assert section(shown.stdout) == {"default": {"customer_id": 100000001, "account_id": 200000001}}


def test_json_is_the_answer_of_the_api(running: Service) -> None:
    shown = sidecar("accounts", "--json", url=running.url)
    assert shown.exit_code == 0
    assert json.loads(shown.stdout) == requests.get(f"{running.url}/v1/accounts", timeout=60).json()


ACCOUNTS = """
accounts:
  eu: {customer_id: 2001, account_id: 11}
  us: {customer_id: 11, account_id: 4711, goals: {purchase: Purchase US}}
"""


@pytest.fixture
def wrong(tmp_path: Any) -> Iterator[Service]:
    """A sidecar with swapped ids in one account and unknown ones in another, beside a stand-in of its own."""
    known = ("--account", "11", "2001", "--account", "11", "2002")
    with process("emulator", "--port", "0", "--ca-out", "ca.pem", *known, folder=tmp_path) as run:
        service = Service(tmp_path, settings=f"{settings_in(read_until(LAST_WORDS, run.stdout))}\n{ACCOUNTS}")
        with service.running():
            yield service


def script(service: Service, rule: Any) -> None:
    url = yaml.safe_load(service.settings)["microsoft"]["endpoints"]["campaign"]
    given = {"json": rule, "verify": service.folder / "ca.pem", "timeout": 10}
    requests.post(f"{url}/_emulator/faults", **given).raise_for_status()


def test_wrong_ids_are_named_with_what_to_do(wrong: Service) -> None:
    script(wrong, {"match": {"operation": "User/Query"}, "action": {"type": "fault", "code": 106}})
    unread = sidecar("accounts", url=wrong.url)
    assert unread.exit_code == 1
    assert "? eu: customer 2001, account 11; conversions go out\n" in unread.stdout
    assert "Which accounts can be reached is not known" in unread.stdout
    assert "Standard or Super Admin" in unread.stdout
    assert "    TrackingId: " in unread.stdout
    until = time.monotonic() + float(WAIT)  # a failure is used for some seconds
    while (shown := sidecar("accounts", url=wrong.url)).exit_code == 1:
        assert time.monotonic() < until, shown.output
        time.sleep(0.2)
    assert "✗ eu: customer 2001, account 11\n" in shown.stdout
    assert "swapped. Set it to {customer_id: 11, account_id: 2001}" in shown.stdout
    assert "✗ us: customer 11, account 4711\n" in shown.stdout
    assert "emulator@example.com can reach no account 4711." in shown.stdout
    assert section(shown.stdout) == {"eu": {"customer_id": 11, "account_id": 2001}}
    assert '  # us: {customer_id: 11, account_id: 2002, goals: {purchase: "Purchase US"}}' in shown.stdout
    assert '# us: {customer_id: 11, account_id: 4711, goals: {purchase: "Purchase US"}}  # not among' in shown.stdout
