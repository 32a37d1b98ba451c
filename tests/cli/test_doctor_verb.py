"""`sidecar doctor` with and without a running sidecar: its words, its widths, its exit codes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from cli_kit import Service, free_port, sidecar
from click.testing import CliRunner, Result
from store_kit import running_store

from sidecar.cli import main
from sidecar.cli.doctor_text import report_lines, summary
from sidecar.store.tokens import SealedTokens
from sidecar.store.vault import Vault

PRODUCTION = """
microsoft:
  environment: production
  client_id: 5c0f6f6e-1111-4222-8333-123456789abc
  client_secret: test-secret
  developer_token: TEST123ABC
  redirect_uri: https://sidecar.example/oauth/callback
  endpoints:
    campaign: https://127.0.0.1:{port}
    customer: https://127.0.0.1:{port}
    authority: https://127.0.0.1:{port}/common
accounts: {{default: {{customer_id: "250253199", account_id: "180012399"}}}}
"""


def doctor(*arguments: str, config: Path | None = None) -> Result:
    """The verb as it finds its sidecar by a configuration."""
    variables = {"SIDECAR_URL": None, "SIDECAR_CONFIG": str(config) if config else None}
    return CliRunner(env=variables).invoke(main, ["doctor", *arguments], prog_name="sidecar")


def report(*checks: dict[str, Any], unchecked: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"status": "failed", "checks": list(checks), "not_checked": list(unchecked)}


OK = {"name": "disk", "status": "ok", "message": "68 GiB are free."}
MISSING = {
    "name": "goal",
    "account": "default",
    "goal": "Sidecar Purchase",
    "status": "failed",
    "message": "Microsoft has no goal of that name in this account; did you mean Purchases?",
    "cause": "Microsoft knows no goal of that exact name.",
    "fix": "Correct events.purchase.goal to the exact name and reload with SIGHUP, or create the goal.",
}
ODD = {
    "name": "configuration",
    "status": "warning",
    "message": "odd\x1b[31m",
    "cause": "It looks odd.",
    "fix": "Fix it.",
}


def test_report_says_in_words_what_its_marks_say() -> None:
    lines = list(report_lines(report(OK, ODD, MISSING), width=100))
    assert lines[0] == "Something is wrong: 1 failed, 1 warning, 1 ok."
    assert "✓ disk          68 GiB are free." in lines
    assert "! configuration warning: odd [31m" in lines
    assert any(line.startswith("✗ goal          default, Sidecar Purchase: failed: Microsoft has no") for line in lines)
    assert "    Why: Microsoft knows no goal of that exact name." in lines
    assert any(line.startswith("    What to do: Correct events.purchase.goal") for line in lines)


@pytest.mark.parametrize("width", [50, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    unchecked = ({"name": "double_counting", "message": "needs the running sidecar"},) * 9
    lines = list(report_lines(report(OK, ODD, MISSING, unchecked=unchecked), width=width))
    assert max(map(len, lines)) <= width


def test_what_was_not_checked_is_gathered_by_its_reason() -> None:
    unchecked = (
        {"name": "role", "account": "eu", "message": "the ids come first"},
        {"name": "goal", "message": "needs the running sidecar"},
        {"name": "queue", "message": "needs the running sidecar"},
    )
    lines = list(report_lines(report(OK, unchecked=unchecked), width=100))
    assert lines[-2:] == [
        "- not checked: role (eu): the ids come first",
        "- not checked: goal, queue: needs the running sidecar",
    ]


def test_summary_counts_each_kind() -> None:
    assert summary(report(OK)) == "All is well: 1 ok."
    assert summary(report(OK, ODD)) == "Worth a look: 1 warning, 1 ok."
    assert summary(report(unchecked=({"name": "goal", "message": "x"},))) == "All is well: 0 ok, 1 not checked."


def test_doctor_of_a_running_sidecar_is_green(running: Service) -> None:
    shown = sidecar("doctor", url=running.url)
    assert (shown.exit_code, shown.stdout.splitlines()[0][:13]) == (0, "All is well: ")
    assert "✓ goal" in shown.stdout
    as_json = json.loads(sidecar("doctor", "--json", url=running.url).stdout)
    assert (as_json["status"], as_json["not_checked"]) == ("ok", [])


def test_doctor_warns_of_what_holds_delivery_up(service: Service) -> None:
    with service.running():
        sidecar("pause", "default", url=service.url)
        shown = sidecar("doctor", url=service.url)
    assert shown.exit_code == 1
    assert "! delivery" in shown.stdout
    assert "sidecar resume default" in " ".join(shown.stdout.split())


def test_doctor_works_before_the_first_start_and_leaves_nothing_behind(service: Service) -> None:
    shown = doctor(config=service.config)
    assert shown.exit_code == 1
    assert f"! service       warning: No sidecar answers at http://127.0.0.1:{service.port}." in shown.stdout
    assert "✓ storage" in shown.stdout
    assert "does not exist yet" in " ".join(shown.stdout.split())
    assert [file.name for file in service.folder.iterdir()] == ["config.yaml"]


def test_doctor_before_the_first_start_says_that_microsoft_is_out_of_reach(tmp_path: Path) -> None:
    service = Service(tmp_path, settings=PRODUCTION.format(port=free_port()))
    shown = json.loads(doctor("--json", "--config", str(service.config)).stdout)
    found = {check["name"]: check for check in shown["checks"] if check["status"] != "ok"}
    assert found.keys() == {"service", "connection", "token"}
    assert found["connection"]["message"].endswith("no connection: Connection refused.")
    assert found["token"]["message"] == "No sign-in is stored yet."
    assert {each["name"] for each in shown["not_checked"]} >= {"clock", "role", "goal", "queue"}


async def stored_sign_in(path: Path, key: str) -> None:
    """An outbox of production in which someone is signed in."""
    async with running_store(path, environment="production") as store:
        await SealedTokens(store.secrets, Vault(key)).save("test-refresh-1")


def test_doctor_without_a_sidecar_knows_whether_the_stored_sign_in_can_be_opened(tmp_path: Path) -> None:
    asyncio.run(stored_sign_in(tmp_path / "outbox.db", "test-passphrase-of-the-vault"))
    service = Service(tmp_path, settings=PRODUCTION.format(port=free_port()))
    found = {}
    for key in ("test-passphrase-of-the-vault", "test-another-passphrase"):
        config = service.config
        config.write_text(config.read_text().replace("outbox.db'", f"outbox.db', encryption_key: {key}"))
        shown = json.loads(doctor("--json", config=config).stdout)
        found[key] = {line["name"]: line for line in (*shown["checks"], *shown["not_checked"])}["token"]
    right, wrong = found.values()
    assert right["message"].startswith("a sign-in is stored")
    assert (wrong["status"], wrong["message"][:42]) == ("failed", "The stored sign-in is sealed with another ")


def test_doctor_of_a_broken_configuration_shows_its_problems(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("microsoft: {environment: emulator, tenat: x}\n")
    shown = doctor(config=path)
    assert shown.exit_code == 2
    text = " ".join(shown.stdout.split())
    assert "✗ configuration failed:" in text
    assert "microsoft.tenat" in text


def test_doctor_of_an_outbox_of_another_environment_fails(service: Service) -> None:
    with service.running():
        pass
    service.settings = PRODUCTION.format(port=free_port())
    shown = doctor("--json", config=service.config)
    assert shown.exit_code == 2
    [storage] = [check for check in json.loads(shown.stdout)["checks"] if check["name"] == "storage"]
    assert "holds conversions for microsoft.environment 'emulator'" in storage["message"]


def test_doctor_finds_a_sidecar_that_listens_elsewhere(service: Service) -> None:
    with service.running():
        service.port = free_port()
        shown = doctor("--json", config=service.config)
    [found] = [check for check in json.loads(shown.stdout)["checks"] if check["name"] == "service"]
    assert (shown.exit_code, found["status"]) == (2, "failed")
    assert "--url" in found["fix"]


def test_doctor_of_a_named_address_where_nothing_answers_checks_nothing_else() -> None:
    shown = sidecar("doctor", "--json", url="http://sidecar.invalid:8077")
    answer = json.loads(shown.stdout)
    assert (shown.exit_code, [check["name"] for check in answer["checks"]]) == (2, ["service"])


def test_doctor_looks_at_this_machine_where_the_named_address_is_here(service: Service) -> None:
    """As in the image, where $SIDECAR_URL is set."""
    variables = {"SIDECAR_URL": "http://127.0.0.1:1", "SIDECAR_CONFIG": str(service.config)}
    shown = CliRunner(env=variables).invoke(main, ["doctor", "--json"], prog_name="sidecar")
    green = {check["name"] for check in json.loads(shown.stdout)["checks"] if check["status"] == "ok"}
    assert (shown.exit_code, green) == (1, {"configuration", "storage", "disk", "connection"})


def test_doctor_with_a_wrong_key_says_so(tmp_path: Path) -> None:
    service = Service(tmp_path, server=", api_keys: [test-key-of-sixteen-or-more]")
    with service.running():
        shown = sidecar("doctor", "--api-key", "test-another-key-of-sixteen", url=service.url)
    assert shown.exit_code == 2
    assert "✗ service" in shown.stdout
    assert "--api-key" in shown.stdout
