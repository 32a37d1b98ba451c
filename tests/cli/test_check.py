"""`sidecar check`: the effective configuration with secrets masked, or every problem."""

import json
from pathlib import Path

import pytest
import yaml
from cli_kit import free_port, process, read_until, sidecar

USABLE = """
server: {api_keys: [test-key-of-the-server]}
storage: {encryption_key: test-encryption-key}
microsoft:
  environment: sandbox
  client_id: test-app
  client_secret: test-client-secret
  developer_token: test-developer-token
accounts: {default: {customer_id: 1, account_id: 2}}
"""


def test_what_is_in_force_is_shown_with_secrets_masked(tmp_path: Path) -> None:
    """Reads and validates the configuration; prints the effective one with secrets masked."""
    file = tmp_path / "config.yaml"
    file.write_text(USABLE)
    shown = sidecar("check", "--config", str(file))
    assert shown.exit_code == 0
    assert shown.stderr == ""
    effective = yaml.safe_load(shown.stdout)
    assert effective["microsoft"]["client_secret"] == "***"
    assert effective["delivery"]["batch_size"] == 1000
    assert "test-key" not in shown.stdout
    assert "test-encryption" not in shown.stdout
    assert "test-developer" not in shown.stdout


def test_every_problem_is_reported_with_its_line(tmp_path: Path) -> None:
    """All reported together with line and nearest known key; exit 2."""
    file = tmp_path / "config.yaml"
    file.write_text("server: {prot: 1}\nmicrosoft: {environment: somewhere}\nevents: {lead: {gaol: x}}\n")
    shown = sidecar("check", "--config", str(file))
    assert shown.exit_code == 2
    assert shown.stdout == ""
    text = shown.stderr.splitlines()
    assert f"{file}:1: server.prot: unknown key; did you mean server.port?" in text
    assert any(line.startswith(f"{file}:2: microsoft.environment: ") for line in text)
    assert any(line.startswith(f"{file}:3: events.lead.gaol: ") for line in text)


@pytest.mark.parametrize("verb", ["check", "run"])
def test_missing_file_shows_how_to_make_one(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = sidecar(verb)
    assert shown.exit_code == 2
    assert "`sidecar init`" in shown.stderr


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
def test_a_proxy_that_cannot_be_used_is_reported_at_once(
    verb: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(USABLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, "socks5://user:test-password@proxy.example:1080")
    shown = sidecar(verb, "--config", str(file))
    assert shown.exit_code == 2
    assert shown.stderr.startswith(f"{variable} in the environment cannot be used as proxy: socks5:// is not supported")
    assert "test-password" not in shown.output
    assert not (tmp_path / "data").exists(), "nothing was begun"


def test_a_proxy_that_nothing_goes_through_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.yaml"
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.example:1080")
    file.write_text("microsoft: {environment: emulator}")
    assert sidecar("check", "--config", str(file)).exit_code == 0
    file.write_text(USABLE)
    monkeypatch.setenv("NO_PROXY", ".microsoft.com,login.microsoftonline.com")
    assert sidecar("check", "--config", str(file)).exit_code == 0


@pytest.mark.parametrize("verb", ["check", "run"])
def test_broken_file_ends_with_2(verb: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("server: [\n")
    shown = sidecar(verb, "--config", str(file))
    assert shown.exit_code == 2
    assert str(file) in shown.stderr
    assert "Traceback" not in shown.stderr


DOUBTFUL = USABLE.replace("test-client-secret", "0a1b2c3d-1234-4abc-9def-0123456789ab")


def test_probable_mistake_is_reported_beside_what_is_in_force(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(DOUBTFUL)
    shown = sidecar("check", "--config", str(file))
    assert shown.exit_code == 0
    assert yaml.safe_load(shown.stdout)["microsoft"]["client_secret"] == "***"
    [text] = shown.stderr.splitlines()
    assert text.startswith(f"{file}:7: microsoft.client_secret: warning: has the form of an id")


def test_probable_mistake_is_reported_at_the_start_and_in_the_log(tmp_path: Path) -> None:
    server = f"server: {{port: {free_port()}, api_keys: [test-key-of-the-server]}}"
    redirect = "  redirect_uri: http://localhost:1/oauth/callback\n"
    file = tmp_path / "config.yaml"
    file.write_text(f"{server}\nmicrosoft:\n  environment: emulator\n{redirect}")
    with process("run", "--config", str(file), folder=tmp_path) as started:
        assert f"{file}:4: microsoft.redirect_uri: warning: " in read_until("redirect_uri", started.stderr)
        log = read_until('"started"', started.stdout)
        [line] = [json.loads(line) for line in log.splitlines() if "configuration_doubted" in line]
        assert (line["level"], f"{file}:4: microsoft.redirect_uri" in line["message"]) == ("warning", True)
