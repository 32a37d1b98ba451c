"""`sidecar status` says in one sentence how the sidecar is, then the rest."""

import json
import time
from typing import Any

from cli_kit import CLICK_ID, Service, sidecar

from sidecar.cli.status import lines

MISSING = "3 conversions worth 300 EUR wait: Microsoft has no goal called A. B. Sale; the first expires on 27 February"


def page(**checks: dict[str, Any]) -> dict[str, Any]:
    names = ("storage", "token", "delivery", "goals", "clock", "disk")
    well = {name: {"status": "ok", "message": f"{name} is well.", "fix": None} for name in names}
    outbox = {"pending": 3, "dead": 1, "oldest_due_seconds": 7_500.0, "first_expiry_at": "2027-02-27T12:00:00Z"}
    worst = "degraded" if checks else "ok"
    return {"status": worst, "version": "1.2.3", "uptime_seconds": 30.0, "checks": {**well, **checks}, "outbox": outbox}


def unwell(message: str, fix: str) -> dict[str, Any]:
    return {"status": "degraded", "message": message, "fix": fix}


def test_what_is_at_stake_is_the_first_sentence_and_the_rest_follows() -> None:
    text = list(lines(page(goals=unwell(f"{MISSING}. Conversion goal not found: A. B. Sale", "Correct the name."))))
    assert text[0] == f"{MISSING}."
    assert text[1] == "  What to do: Correct the name."
    assert f"! goals     {MISSING}. Conversion goal not found: A. B. Sale" in text
    assert "✓ storage   storage is well." in text
    assert text[-2] == (
        "Outbox: 3 pending, 1 dead, the oldest has been due for 2 hours, the first expires at 2027-02-27T12:00:00Z"
    )


def test_widest_cause_comes_first_and_every_fix_is_shown() -> None:
    goals, token = unwell("us: Conversion goal is paused: A", "Set it to active."), unwell("No token.", "Sign in.")
    text = list(lines(page(goals=goals, token=token)))
    assert text[:3] == ["No token.", "  What to do: Sign in.", "  What to do: Set it to active."]


def test_well_is_shown_with_what_is_on_its_way() -> None:
    assert next(lines(page())) == "All is well: 3 rows wait and go out by themselves."
    for pending, text in ((1, "All is well: 1 row waits and goes out by itself."), (0, "All is well: nothing waits.")):
        assert next(lines({**page(), "outbox": {"pending": pending}})) == text


def test_status_of_a_running_sidecar_names_its_goals_and_what_is_paused(service: Service) -> None:
    with service.running():
        _status_of(service)


def _status_of(running: Service) -> None:
    until = time.monotonic() + 20
    while "(unknown)" in sidecar("status", url=running.url).stdout:  # the goals are read just after the start
        assert time.monotonic() < until
        time.sleep(0.05)
    well = sidecar("status", url=running.url)
    assert (well.exit_code, well.stdout.splitlines()[0]) == (0, "All is well: nothing waits.")
    assert "✓ purchase: Sidecar Purchase (ok)" in well.stdout
    sidecar("pause", "default", url=running.url)
    sent = sidecar("send", "purchase", "--order-id", "S-1", "--msclkid", CLICK_ID, "--value", "9.5", url=running.url)
    assert sent.exit_code == 0
    text = sidecar("status", url=running.url).stdout.splitlines()
    as_json = json.loads(sidecar("status", "--json", url=running.url).stdout)
    sidecar("resume", "default", url=running.url)
    paused = "an operator paused the account default"
    assert text[0].startswith(f"1 conversion worth 9.50 USD waits: {paused}; it expires on ")
    assert "sidecar resume" in text[1]
    assert as_json["checks"]["delivery"]["status"] == "degraded"


def test_status_without_a_sidecar_shows_it() -> None:
    assert sidecar("status").exit_code == 1
