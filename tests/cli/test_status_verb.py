"""`sidecar status` shows the first view of the dashboard: a sentence, what to do, figures, goals, and the checks."""

import json
import time
from typing import Any

from cli_kit import CLICK_ID, WAIT, Service, sidecar

from sidecar.cli.status import lines

MISSING = "3 conversions worth 300 EUR wait: Microsoft has no goal called A. The first would be lost on 27 February."


def health(**checks: dict[str, Any]) -> dict[str, Any]:
    names = ("storage", "token", "delivery", "goals", "clock", "disk")
    well = {name: {"status": "ok", "message": f"{name} is well.", "fix": None} for name in names}
    outbox = {"pending": 3, "dead": 1, "oldest_due_seconds": 7_500.0, "first_expiry_at": "2027-02-27T12:00:00Z"}
    return {"status": "ok", "version": "1.2.3", "uptime_seconds": 30.0, "checks": {**well, **checks}, "outbox": outbox}


def trouble(headline: str, fix: str, severity: str = "error") -> dict[str, Any]:
    return {"headline": headline, "fix": fix, "severity": severity}


GOAL = {"goal": "A", "event": "purchase", "state": "needs_attention", "delivered_24h": 0, "value_24h": {}}
OVERVIEW = {
    "state": "degraded",
    "headline": MISSING,
    "troubles": [trouble(MISSING, "Create it."), trouble("Few match.", "Send e-mails.", "advice")],
    "counts_24h": {"received": 1_204, "delivered": 1_190, "pending": 3, "skipped": 8, "dead": 2, "canceled": 1},
    "waiting": [
        {"reason": "goal_not_found", "rows": 3, "value": {"EUR": 300}, "first_expiry_at": "2027-02-27T12:00:00Z"}
    ],
    "dead": {"rows": 2, "value": {"EUR": 5, "USD": 99.5}},
    "lag_seconds": 7_500.0,
    "match_share": {"msclkid": 0.714, "visitor": 0.0, "email": 0.64, "phone": None, "none": 0.02},
    "accounts": [
        {
            "account": "us",
            "goals": [
                GOAL,
                {**GOAL, "event": "lead", "state": "recording", "delivered_24h": 7, "value_24h": {"EUR": 5}},
            ],
            "requests_last_minute": 41,
            "requests_limit": 1_000,
            "signed_in_until": None,
        }
    ],
}


def test_goal_has_the_share_that_microsoft_attributed_where_it_is_known() -> None:
    [account] = OVERVIEW["accounts"]
    goals = [{**GOAL, "attributed_share": 0.934}, {**GOAL, "attributed_share": None}]
    shown = [
        line for line in lines({**OVERVIEW, "accounts": [{**account, "goals": goals}]}, health()) if "purchase" in line
    ]
    assert ["attributed" in line for line in shown] == [True, False]
    assert shown[0].endswith(", 93% attributed by Microsoft in the last 7 days")


def test_sentence_comes_first_with_what_to_do_then_the_other_troubles() -> None:
    assert list(lines(OVERVIEW, health()))[:5] == [
        MISSING,
        "  What to do: Create it.",
        "Worth a look: Few match.",
        "  What to do: Send e-mails.",
        "",
    ]


def test_figures_of_the_day_what_waits_and_each_goal_follow() -> None:
    text = list(lines(OVERVIEW, health()))
    assert text[5:] == [
        "Last 24 hours: 1,204 received, 1,190 delivered, 3 pending, 8 skipped, 2 dead, 1 canceled",
        "Waiting: 3 goal not found, worth 300 EUR; the first is lost at 2027-02-27T12:00:00Z",
        "Late: the oldest due row has waited for 2 hours",
        "Dead: 2 in all, worth 99.50 USD, 5 EUR",
        "Matched by: click id 71%, e-mail 64%, none of them 2%",
        "",
        "Account us: 41 of 1,000 requests a minute, not signed in",
        "! purchase: A (needs attention), 0 delivered",
        "✓ lead: A (recording), 7 delivered, worth 5 EUR",
        "",
        "✓ storage   storage is well.",
        "✓ disk      disk is well.",
        "✓ token     token is well.",
        "✓ delivery  delivery is well.",
        "✓ goals     goals is well.",
        "✓ clock     clock is well.",
        "",
        "Outbox: 3 pending, 1 dead, the oldest has been due for 2 hours, the first expires at 2027-02-27T12:00:00Z",
        "Version 1.2.3, up for 30 seconds",
    ]


def test_texts_of_others_stay_on_their_line() -> None:
    hostile = {**OVERVIEW, "headline": "a\n\x1b[31mb", "troubles": [trouble("c\rd", "e\nf")] * 2}
    assert all(line.isprintable() for line in lines(hostile, health()))


def test_status_of_a_running_sidecar_names_its_goals_and_what_is_paused(service: Service) -> None:
    with service.running():
        _status_of(service)


def _status_of(running: Service) -> None:
    well = sidecar("status", url=running.url)
    assert (well.exit_code, well.stdout.splitlines()[0]) == (0, "All is well. Nothing was received yet.")
    assert "○ purchase: Sidecar Purchase (no recent conversions), 0 delivered" in well.stdout
    sidecar("pause", "default", url=running.url)
    sent = sidecar("send", "purchase", "--order-id", "S-1", "--msclkid", CLICK_ID, "--value", "9.5", url=running.url)
    assert sent.exit_code == 0
    text = sidecar("status", url=running.url).stdout.splitlines()
    as_json = json.loads(sidecar("status", "--json", url=running.url).stdout)
    paused = "an operator paused the account default"
    assert text[0] == f"1 conversion worth 9.50 USD waits: {paused}."
    assert "sidecar resume" in text[1]
    assert "… purchase: Sidecar Purchase (held), 0 delivered" in text
    assert (as_json["state"], as_json["waiting"][0]["reason"]) == ("degraded", "account_paused")
    sidecar("resume", "default", url=running.url)
    until = time.monotonic() + float(WAIT)
    while "(recording), 1 delivered, worth 9.50 USD" not in sidecar("status", url=running.url).stdout:
        assert time.monotonic() < until
        time.sleep(0.05)  # asked again until it was delivered


def test_status_without_a_sidecar_shows_it() -> None:
    assert sidecar("status").exit_code == 1
