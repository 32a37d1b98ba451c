"""From nothing to the first conversion as docs/connect.md leads there: each step says what the next one is."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from cli_kit import CLICK_ID, COMMAND, ended, free_port, process, read_until, settings_in
from docs_page import examples, text_of

DEADLINE_SECONDS = 60.0

GUIDE = text_of("docs/connect.md")
FIRST, LOOK = (example.requests[0] for example in examples(GUIDE)[:2])
"""The first conversion of step 9, and the look at it."""


@dataclass
class Newcomer:
    """Somebody with an empty folder, a terminal and a browser; Microsoft's side is a stand-in that knows its client."""

    folder: Path
    endpoints: dict[str, str]
    port: int
    typed: set[str] = field(default_factory=set)
    """Each verb that was typed, with its arguments but options."""

    def sidecar(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A verb, typed in the folder."""
        self.typed.add(" ".join(word for word in arguments if not word.startswith("-")))
        return subprocess.run([*COMMAND, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60)

    def edit(self, *changes: tuple[str, str]) -> None:
        """Replaces texts of config.yaml, each of which must be there."""
        file = self.folder / "config.yaml"
        text = file.read_text()
        for before, after in changes:
            assert before in text, before
            text = text.replace(before, after, 1)
        file.write_text(text)

    def call(self, path: str, body: Any = None) -> Any:
        url = f"http://127.0.0.1:{self.port}{path}"
        return (requests.get(url, timeout=60) if body is None else requests.post(url, json=body, timeout=60)).json()

    def until(self, path: str, fits: Callable[[Any], bool]) -> Any:
        """The answer once it fits."""
        until = time.monotonic() + DEADLINE_SECONDS
        while not fits(answer := self.call(path)):
            assert time.monotonic() < until, answer
            time.sleep(0.05)
        return answer

    def sign_in(self) -> str:
        """Opens /connect and follows Microsoft's page back; returns the last page."""
        begun = requests.get(f"http://127.0.0.1:{self.port}/connect", allow_redirects=False, timeout=60)
        return self.follow(begun.headers["Location"])

    def follow(self, address: str) -> str:
        """Opens Microsoft's page, which signs in at once and sends the browser back; returns the last page."""
        back = requests.get(address, verify=self.folder / "ca.pem", allow_redirects=False, timeout=60)
        return requests.get(back.headers["Location"], timeout=60).text

    def sign_in_at_the_terminal(self) -> str:
        """Opens the address that `sidecar connect` prints; returns the rest of what it prints."""
        self.typed.add("connect")
        with process("connect", folder=self.folder) as run:
            printed = read_until("Waiting.", run.stdout)
            self.follow(next(word for word in printed.split() if word.startswith("https://")))
            return ended(run)[1]

    def at_microsoft(self, method: str, path: str, body: Any = None) -> Any:
        """A control call of the stand-in."""
        url, ca = f"{self.endpoints['campaign']}/_emulator/{path}", self.folder / "ca.pem"
        return requests.request(method, url, json=body, verify=ca, timeout=60).json()

    def wait_two_hours(self) -> None:
        """Makes the goals as old as Microsoft wants them; its clock is not ours to move."""
        for goal in self.at_microsoft("GET", "goals")["items"]:
            self.at_microsoft("PATCH", f"goals/{goal['id']}", {"created_at": 1_000})

    def uploaded(self) -> list[Any]:
        items = self.at_microsoft("GET", "ledger/conversions")["items"]
        return [(item["account_id"], item["row"]["ConversionName"]) for item in items]


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    application = ("--client-id", "test-app", "--client-secret", "test-secret", "--developer-token", "TESTTOKEN")
    with process("emulator", "--port", "0", "--ca-out", "ca.pem", *application, folder=tmp_path) as emulator:
        settings = yaml.safe_load(settings_in(read_until("docs/emulator.md", emulator.stdout)))
        yield Newcomer(tmp_path, settings["microsoft"]["endpoints"], free_port())


def test_first_conversion_from_nothing(newcomer: Newcomer) -> None:
    assert "there is no such file; make it with `sidecar init`" in newcomer.sidecar("check").stderr
    assert newcomer.sidecar("init").returncode == 0
    checked = newcomer.sidecar("check")
    assert (checked.returncode, "set microsoft.environment to production" in checked.stdout) == (0, True)

    newcomer.edit(
        ("environment: emulator", "environment: production"),
        ('client_id: ""', "client_id: test-app"),
        ('client_secret: ""', "client_secret: test-secret"),
        ('developer_token: ""', "developer_token: TESTTOKEN"),
        ("port: 8077", f"port: {newcomer.port}"),
        ("localhost:8077/oauth", f"localhost:{newcomer.port}/oauth"),
        ("endpoints: {}", f"endpoints: {json.dumps(newcomer.endpoints)}"),
        ('ca_bundle: ""', "ca_bundle: ca.pem"),
        ("goal_settle: 2h", "goal_settle: 0s"),
    )
    checked = newcomer.sidecar("check")
    assert checked.returncode == 0, checked.stderr
    assert "accounts.default: warning: has no ids yet" in checked.stderr
    assert "sign in at /connect" in checked.stdout.splitlines()[-1]

    with process("run", folder=newcomer.folder) as run:
        read_until("sidecar connect", run.stderr)
        newcomer.typed.add("run")
        assert newcomer.call(FIRST.url, json.loads(FIRST.body or ""))["state"] == "pending"
        before = newcomer.sidecar("accounts")
        assert before.returncode == 1
        assert "! default: no ids yet; not connected\n" in before.stdout
        assert "What to do: Open /connect in a browser" in before.stdout

        assert "Connected to Microsoft Advertising" in newcomer.sign_in()
        assert "`sidecar accounts` lists the ad accounts" in newcomer.sign_in_at_the_terminal()
        row = newcomer.until("/v1/conversions/conv_1", lambda row: row["reason"] == "account_paused")
        assert "sidecar accounts" in row["fix"]
        health = newcomer.until("/healthz", lambda health: health["checks"]["delivery"]["status"] != "ok")
        assert "No ad account is chosen" in health["checks"]["delivery"]["message"]
        assert "Run `sidecar accounts`, or open Set-up" in health["checks"]["delivery"]["fix"]

        (ids,) = [one for one in newcomer.call("/v1/doctor")["checks"] if one["name"] == "account"]
        assert (ids["status"], ids["message"]) == ("failed", "Account default has no ids yet.")
        assert "Run `sidecar accounts`, or open Set-up" in ids["fix"]

        listed = newcomer.sidecar("accounts")
        assert listed.returncode == 0, listed.stderr
        assert "! default: no ids yet; account paused" in listed.stdout
        assert "emulator@example.com can reach:" in listed.stdout
        section = listed.stdout[listed.stdout.index("\naccounts:\n") + 1 :]
        text = (newcomer.folder / "config.yaml").read_text()
        pasted = re.sub(r"^accounts:\n(?:  .*\n)+", lambda _: section, text, count=1, flags=re.MULTILINE)
        (newcomer.folder / "config.yaml").write_text(pasted)
        checked = newcomer.sidecar("check")
        assert (checked.returncode, checked.stderr) == (0, "")
        assert "`sidecar accounts` says whether the user can reach these accounts" in checked.stdout
        run.send_signal(signal.SIGHUP)

        goals = newcomer.until("/v1/goals", lambda goals: goals["items"][0]["read_at"] is not None)
        assert goals["items"][0]["trouble"] is None
        assert {event["state"] for event in goals["items"][0]["events"]} == {"goal_not_found"}
        assert "default: 3 to create" in newcomer.sidecar("goals", "plan").stdout
        created = newcomer.sidecar("goals", "apply", "--yes")
        assert created.returncode == 0, created.stderr
        newcomer.until("/v1/conversions/conv_1", lambda row: row["reason"] == "goal_settling")
        newcomer.wait_two_hours()
        run.send_signal(signal.SIGHUP)
        newcomer.until(LOOK.url, lambda found: found["items"][0]["state"] == "delivered")
        assert newcomer.uploaded() == [("200000001", "Sidecar Purchase")]
        health = newcomer.until("/healthz", lambda health: health["status"] == "ok")
        assert health["outbox"]["pending"] == 0
        (account,) = newcomer.call("/v1/accounts")["configured"]
        assert (account["state"], account["visible"], account["fix"]) == ("open", True, None)
        newcomer.sidecar("doctor")
    commands = set(re.findall(r"^ {4,}sidecar ([a-z ]+)$", GUIDE, re.MULTILINE))
    assert {"init", "accounts", "goals apply"} <= commands <= newcomer.typed


def test_ids_that_are_taken_out_stop_delivery_until_they_return(newcomer: Newcomer) -> None:
    """What was delivered stays delivered, and a new conversion waits under the same trouble."""
    ids = "{customer_id: 100000001, account_id: 200000001}"
    settings = (
        f"server: {{port: {newcomer.port}}}\n"
        "microsoft: {environment: production, client_id: test-app, client_secret: test-secret, "
        f"developer_token: TESTTOKEN, refresh_token: test-emulator-refresh-token, ca_bundle: ca.pem, "
        f"endpoints: {json.dumps(newcomer.endpoints)}}}\n"
        "delivery: {linger: 50ms, goal_settle: 0s}\nevents: {lead: {goal: Sidecar Lead, category: SubmitLeadForm}}\n"
    )
    file = newcomer.folder / "config.yaml"
    file.write_text(f"{settings}accounts: {{default: {ids}}}\n")

    def order(number: int) -> Any:
        return newcomer.call("/v1/conversions", {"event": "lead", "order_id": f"O-{number}", "msclkid": CLICK_ID})

    with process("run", folder=newcomer.folder) as run:
        read_until("sidecar connect", run.stderr)
        newcomer.until("/v1/goals", lambda goals: goals["items"][0]["read_at"] is not None)
        assert newcomer.sidecar("goals", "apply", "--yes").returncode == 0
        newcomer.wait_two_hours()
        order(1)
        newcomer.until("/v1/conversions/conv_1", lambda row: row["state"] == "delivered")
        file.write_text(settings)
        run.send_signal(signal.SIGHUP)
        newcomer.until("/v1/accounts", lambda answer: answer["configured"][0]["state"] == "account_paused")
        order(2)
        row = newcomer.until("/v1/conversions/conv_2", lambda row: row["reason"] == "account_paused")
        assert row["state"] == "pending"
        file.write_text(f"{settings}accounts: {{default: {ids}}}\n")
        run.send_signal(signal.SIGHUP)
        newcomer.until("/v1/conversions/conv_2", lambda row: row["state"] == "delivered")
        newcomer.until("/healthz", lambda health: health["status"] == "ok")
