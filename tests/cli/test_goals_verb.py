"""`sidecar goals`: what there is, what is lacking, and creating it, against a stand-in that lacks some."""

import json
import os
import pty
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import yaml
from cli_kit import LAST_WORDS, Service, ended, process, read_until, settings_in, sidecar

EVENTS = """
events:
  purchase: {goal: Sidecar Purchase, currency: EUR, count_type: Unique}
  lead: {goal: Sidecar Lead, category: SubmitLeadForm, window: 30d, revenue: NoValue}
  signup: {goal: Sidecar Leads, category: Signup}
"""


@pytest.fixture
def lacking(tmp_path: Any) -> Iterator[Service]:
    """A sidecar whose account has only one of its goals."""
    with process("emulator", "--port", "0", "--ca-out", "ca.pem", "--goal", "Sidecar Purchase", folder=tmp_path) as run:
        settings = settings_in(read_until(LAST_WORDS, run.stdout))
        service = Service(tmp_path, settings=f"{settings}\n{EVENTS}")
        with service.running():
            while requests.get(f"{service.url}/v1/goals", timeout=60).json()["items"][0]["read_at"] is None:
                time.sleep(0.05)
            yield service


def stand_in(service: Service) -> str:
    """The address of the stand-in's control calls."""
    endpoints = yaml.safe_load(service.settings)["microsoft"]["endpoints"]
    return f"{endpoints['campaign']}/_emulator"


def at_a_terminal(answer: str, *arguments: str, service: Service) -> tuple[int, str, str]:
    """The verb with a terminal to ask at, where somebody types that answer."""
    ours, theirs = pty.openpty()
    try:
        with process(*arguments, folder=service.folder, stdin=theirs, SIDECAR_URL=service.url) as run:
            os.write(ours, f"{answer}\n".encode())
            return ended(run)
    finally:
        os.close(ours)
        os.close(theirs)


def test_goals_are_planned_listed_and_created_once(lacking: Service) -> None:
    planned = sidecar("goals", "plan", url=lacking.url)
    assert planned.exit_code == 0, planned.output
    assert planned.stdout.splitlines()[0] == "default: 2 to create"
    assert "  + Sidecar Lead (for lead): SubmitLeadForm, counts All, window 30d, NoValue, enhanced\n" in planned.stdout
    assert "  + Sidecar Leads (for signup): Signup, counts All, window 90d, VariableValue, enhanced" in planned.stdout
    assert "  ~ Sidecar Purchase: count_type is All, events.purchase has Unique\n" in planned.stdout

    assert "    assumed: count_type All, enhanced true, scope Account\n" in planned.stdout
    assert "    assumed: count_type All, window 90d, revenue VariableValue, enhanced true, scope Acc" in planned.stdout
    assert "their scope (this account, or all of the customer) cannot be changed later" in planned.stdout
    one = sidecar("goals", "plan", "--account", "default", "--goal", "Sidecar Leads", url=lacking.url)
    assert one.stdout.splitlines()[0] == "default: 1 to create"

    code, message, error = at_a_terminal("n", "goals", "apply", service=lacking)
    assert (code, "nothing was created" in error) == (1, True)
    assert "Assumed, since events: does not say it: count_type, enhanced, scope, window, revenue.\n" in message
    assert "They cannot be deleted, nor can their scope be changed later" in message
    for given in ("", "y\n"):
        silent = sidecar("goals", "apply", given=given, url=lacking.url)
        assert silent.exit_code == 1
        assert "nothing was created: count_type, enhanced, scope, window, revenue would be assumed" in silent.stderr
        assert "--yes" in silent.stderr
    listed = sidecar("goals", "list", url=lacking.url)
    assert listed.exit_code == 0
    assert "  event lead → Sidecar Lead: goal_not_found\n" in listed.stdout
    assert "  goal Sidecar Purchase: active, Purchase, counts All, window 90d" in listed.stdout
    assert "  auto-tagging is on\n" in listed.stdout

    code, message, error = at_a_terminal("y", "goals", "apply", "--goal", "Sidecar Lead", service=lacking)
    assert code == 0, message + error
    assert "Create 1 goal? They cannot be deleted" in message
    code, message, error = at_a_terminal("y", "goals", "apply", service=lacking)
    assert code == 0, message + error
    assert message.count(": created\n") == 1
    assert "its first conversion may go out at " in message
    assert sidecar("goals", "apply", url=lacking.url).stdout == "default: nothing to create\n"
    again = json.loads(sidecar("goals", "plan", "--json", url=lacking.url).stdout)
    assert (again["items"][0]["create"], again["items"][0]["blocked"]) == ([], [])

    answer = json.loads(sidecar("goals", "list", "--json", url=lacking.url).stdout)
    assert answer == requests.get(f"{lacking.url}/v1/goals", timeout=60).json()
    states = {event["event"]: event["state"] for event in answer["items"][0]["events"]}
    assert states == {"purchase": "ok", "lead": "goal_settling", "signup": "goal_settling"}
    shown = sidecar("send", "lead", "--email", "a@example.com", "--wait", "1", url=lacking.url)
    assert ": pending (goal_settling)" in shown.stdout


def test_one_goal_or_account_can_be_looked_at_and_a_typo_is_reported(lacking: Service) -> None:
    listed = sidecar("goals", "list", "--goal", "Sidecar Purchase", "--account", "default", "--json", url=lacking.url)
    [item] = json.loads(listed.stdout)["items"]
    assert [goal["name"] for goal in item["goals"]] == ["Sidecar Purchase"]
    assert [event["event"] for event in item["events"]] == ["purchase"]
    for verb in ("list", "plan", "apply"):
        shown = sidecar("goals", verb, "--goal", "Sidecar Purchas", url=lacking.url)
        assert shown.exit_code == 1
        assert "did you mean Sidecar Purchase?" in shown.stderr
        shown = sidecar("goals", verb, "--account", "defualt", url=lacking.url)
        assert (shown.exit_code, "accounts: default" in shown.stderr) == (1, True), shown.stderr


def test_goals_that_cannot_be_read_or_created_end_with_1(lacking: Service) -> None:
    control, ca = stand_in(lacking), lacking.folder / "ca.pem"

    def fault(operation: str) -> None:
        rule = {"match": {"operation": operation}, "times": 1, "action": {"type": "fault", "code": 106}}
        requests.post(f"{control}/faults", json=rule, verify=ca, timeout=60).raise_for_status()

    fault("ConversionGoals/QueryByIds")
    planned = sidecar("goals", "plan", url=lacking.url)
    assert planned.exit_code == 1
    assert planned.stdout.startswith("default: not read\n")
    assert "The signed-in user may not upload conversions" in planned.stdout
    assert "the goals of default could not be read" in planned.stderr
    fault("ConversionGoals/QueryByIds")
    unread = sidecar("goals", "apply", "--yes", "--json", url=lacking.url)
    assert unread.exit_code == 1
    assert json.loads(unread.stdout)["items"][0]["trouble"]["code"] == "not_authorized"
    fault("ConversionGoals")
    applied = sidecar("goals", "apply", "--yes", url=lacking.url)
    assert applied.exit_code == 1
    assert "Sidecar Lead: refused\n" in applied.stdout
    assert "error: UserIsNotAuthorized" in applied.stdout
    assert "What to do: " in applied.stdout
    assert "not every goal could be created" in applied.stderr
    done = sidecar("goals", "apply", "--yes", "--json", url=lacking.url)
    assert done.exit_code == 0
    assert [goal["outcome"] for goal in json.loads(done.stdout)["items"][0]["goals"]] == ["created", "created"]


def test_new_event_of_the_embedded_emulator_delivers_right_after_a_reload(service: Service) -> None:
    """Its goals are old enough from the start."""
    with service.running() as running:
        file = service.config
        file.write_text(f"{file.read_text()}events: {{trial: {{goal: Trial, currency: EUR}}}}\n")
        running.send_signal(signal.SIGHUP)
        read_until('"reloaded"', running.stdout)
        shown = sidecar("send", "trial", "--email", "a@example.com", "--wait", "60", url=service.url)
        assert ": delivered" in shown.stdout, shown.output


@pytest.mark.parametrize("arguments", [("goals",), ("goals", "destroy"), ("goals", "list", "extra")])
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    assert sidecar(*arguments).exit_code == 2


@pytest.mark.parametrize("verb", ["list", "plan", "apply"])
def test_no_running_sidecar_ends_with_1(verb: str) -> None:
    shown = sidecar("goals", verb)
    assert shown.exit_code == 1
    assert "no sidecar answers" in shown.stderr
