"""`sidecar pause` and `sidecar resume`, and what rows and health say meanwhile."""

import json
import time
from typing import Any

import requests
from cli_kit import CLICK_ID, WAIT, Service, sidecar

TWO_ACCOUNTS = """\
microsoft: {environment: emulator}
accounts: {default: {customer_id: "1", account_id: "2"}, other: {customer_id: "1", account_id: "3"}}
"""


def sent(service: Service, order_id: str, account: str = "default") -> dict[str, Any]:
    """The row of a conversion that was sent just now."""
    given = ("--order-id", order_id, "--msclkid", CLICK_ID, "--account", account, "--json")
    shown = sidecar("send", "purchase", *given, url=service.url)
    answer: dict[str, Any] = json.loads(shown.stdout)
    return answer


def row(service: Service, id_: str) -> dict[str, Any]:
    answer: dict[str, Any] = requests.get(f"{service.url}/v1/conversions/{id_}", timeout=60).json()
    return answer


def wait_for_delivery(service: Service, id_: str) -> None:
    until = time.monotonic() + float(WAIT)
    while row(service, id_)["state"] != "delivered":
        assert time.monotonic() < until
        time.sleep(0.05)


def test_paused_account_stores_conversions_and_shows_it_until_it_is_resumed(service: Service) -> None:
    service.settings = TWO_ACCOUNTS
    with service.running():
        first = sidecar("pause", "default", "--json", url=service.url)
        assert first.exit_code == 0
        assert json.loads(first.stdout) | {"since": ""} == {"account": "default", "state": "paused", "since": ""}
        assert sidecar("pause", "default", "--json", url=service.url).stdout == first.stdout
        since = json.loads(first.stdout)["since"]
        assert f"default is paused since {since}" in sidecar("pause", "default", url=service.url).stdout
        kept = sent(service, "P-1")
        assert (kept["state"], kept["reason"]) == ("pending", "account_paused")
        assert "sidecar resume" in kept["fix"]
    with service.running():
        health = requests.get(f"{service.url}/healthz", timeout=60).json()
        check = health["checks"]["delivery"]
        assert (health["status"], check["status"]) == ("degraded", "degraded")
        assert check["message"].startswith("1 conversion waits: an operator paused the account default; it expires on ")
        assert check["message"].endswith(f". Account paused by an operator: default (since {since})")
        wait_for_delivery(service, sent(service, "P-2", "other")["id"])  # a later conversion of an open account
        assert row(service, kept["id"])["reason"] == "account_paused"
        again = sidecar("resume", "default", url=service.url)
        assert (again.exit_code, again.stdout) == (0, "default is open: what is due goes out now.\n")
        answer = json.loads(sidecar("resume", "default", "--json", url=service.url).stdout)
        assert answer == {"account": "default", "state": "open", "since": None}
        wait_for_delivery(service, kept["id"])
        assert requests.get(f"{service.url}/healthz", timeout=60).json()["status"] == "ok"


def test_unknown_account_is_reported_with_those_that_there_are(running: Service) -> None:
    for verb in ("pause", "resume"):
        shown = sidecar(verb, "defualt", url=running.url)
        assert shown.exit_code == 1
        assert "There is no such account (HTTP 404)" in shown.stderr
        assert "these accounts: default. Did you mean default?" in shown.stderr


def test_strange_name_of_an_account_goes_out_as_one_part_of_the_address(running: Service) -> None:
    assert "(HTTP 404)" in sidecar("pause", "../?#%2f ", url=running.url).stderr


def test_web_page_cannot_pause_an_account(running: Service) -> None:
    url = f"{running.url}/v1/accounts/default/pause"
    for headers in ({}, {"Content-Type": "text/plain"}):
        assert requests.post(url, headers=headers, timeout=60).status_code == 415
    foreign = {"Content-Type": "application/json", "Origin": "https://evil.example"}
    assert requests.post(url, headers=foreign, timeout=60).status_code == 403
