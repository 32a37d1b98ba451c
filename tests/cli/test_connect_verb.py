"""`sidecar connect`: the sign-in from a terminal, against an emulator that signs in everyone who opens its page."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml
from cli_kit import COMMAND, WAIT, Service, ended, process, read_until, sidecar

SETTINGS = """
microsoft:
  environment: production
  client_id: test-app
  developer_token: test-developer-token
  redirect_uri: http://localhost:{port}/oauth/callback
  endpoints: {endpoints}
  ca_bundle: {ca}
accounts: {{default: {{customer_id: 100000001, account_id: 200000001}}}}
"""


class OAuthClient:
    """A running sidecar that is not connected, its emulator, and a browser."""

    def __init__(self, service: Service, emulator: str, ca: Path) -> None:
        self.service = service
        self.emulator = emulator
        self.ca = ca

    def return_address(self, message: str) -> str:
        """Where the browser ends after it opened the address that was told."""
        [address] = [word for word in message.split() if word.startswith("https://")]
        answer = requests.get(address, verify=self.ca, allow_redirects=False, timeout=60)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def connect(self) -> tuple[int, str, str]:
        """The exit code of `sidecar connect`, whose address a browser opens, and the rest of what it prints."""
        with process("connect", "--url", self.service.url, folder=self.service.folder) as run:
            message = read_until("Waiting.", run.stdout)
            assert requests.get(self.return_address(message), timeout=60).status_code == 200
            return ended(run)

    def refuse_consent(self) -> None:
        rule = {"match": {"operation": "authorize"}, "action": {"type": "oauth_error", "aadsts": 65004}}
        requests.post(f"{self.emulator}/_emulator/faults", json=rule, verify=self.ca, timeout=60).raise_for_status()


@pytest.fixture(scope="module")
def sign_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OAuthClient]:
    folder = tmp_path_factory.mktemp("sign-in")
    with process("emulator", "--port", "0", "--ca-out", "ca.pem", "--goal", "Sidecar Lead", folder=folder) as emulator:
        printed = yaml.safe_load(read_until("docs/emulator.md", emulator.stdout).split("\n\n")[1])
        endpoints = printed["microsoft"]["endpoints"]
        service = Service(folder)
        service.settings = SETTINGS.format(port=service.port, endpoints=endpoints, ca=folder / "ca.pem")
        with service.running():
            yield OAuthClient(service, endpoints["campaign"], folder / "ca.pem")


def test_browser_comes_back_by_itself(sign_in: OAuthClient) -> None:
    """Prints the URL, waits for the callback."""
    code, out, err = sign_in.connect()
    assert (code, err) == (0, "")
    assert "Connected." in out
    shown = sidecar("send", "lead", "--email", "a@example.com", "--wait", WAIT, url=sign_in.service.url)
    assert ": delivered" in shown.stdout


def test_json_is_the_connection_as_the_api_prints_it(sign_in: OAuthClient) -> None:
    with process("connect", "--json", "--url", sign_in.service.url, folder=sign_in.service.folder) as run:
        message = read_until("Waiting.", run.stderr)
        assert requests.get(sign_in.return_address(message), timeout=60).status_code == 200
        code, out, _ = ended(run)
    assert code == 0
    assert json.loads(out)["connected"] is True


def test_pasted_address_does_as_well_after_a_wrong_one(sign_in: OAuthClient) -> None:
    """... or a pasted redirect URL."""
    assert sign_in.connect()[0] == 0
    with process("connect", "--url", sign_in.service.url, folder=sign_in.service.folder, stdin=subprocess.PIPE) as run:
        message = read_until("Waiting.", run.stdout)
        assert "connected already" in message
        assert run.stdin is not None
        run.stdin.write(f"\nhttp://localhost/nothing\n{sign_in.return_address(message)}\n")
        code, out, err = ended(run)
    assert code == 0
    assert "Connected." in out
    assert err.count("That is not it") == 1


def test_terminal_shows_nothing_of_a_pasted_address_however_long(sign_in: OAuthClient) -> None:
    """Longer than the 4,096 characters that a terminal takes as one line."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "connect", "--url", sign_in.service.url], stdin=theirs, stdout=theirs, stderr=theirs
    ) as run:
        os.close(theirs)
        with os.fdopen(ours, "r+b", buffering=0) as terminal:
            message = b""
            while b"then Enter." not in message:
                message += terminal.read(1000)
            address = f"{sign_in.return_address(message.decode())}&padding={'x' * 5000}"
            terminal.write(f"{address}\r".encode())
            shown = b""
            while b"`sidecar send`" not in shown:
                shown += terminal.read(1000)
            assert run.wait(60) == 0  # before the terminal is closed, which would end it with 1
    assert b"code=" not in shown
    assert b"Connected." in shown


def test_refused_consent_is_reported_with_what_to_do(sign_in: OAuthClient) -> None:
    sign_in.refuse_consent()
    with process("connect", "--url", sign_in.service.url, folder=sign_in.service.folder) as run:
        message = read_until("Waiting.", run.stdout)
        requests.get(sign_in.return_address(message), timeout=60)
        code, _, err = ended(run)
    assert code == 1
    assert "not connected: " in err
    assert "What to do: " in err


def test_sign_in_that_was_never_begun_is_refused(sign_in: OAuthClient) -> None:
    with process("connect", "--url", sign_in.service.url, folder=sign_in.service.folder, stdin=subprocess.PIPE) as run:
        message = read_until("Waiting.", run.stdout)
        assert run.stdin is not None
        run.stdin.write("http://localhost/oauth/callback?code=test-code&state=test-state\n")
        code, _, err = ended(run)
    assert message
    assert code == 1
    assert "Sign-in expired" in err


def test_interrupted_wait_ends_quietly(sign_in: OAuthClient) -> None:
    with process("connect", "--url", sign_in.service.url, folder=sign_in.service.folder) as run:
        read_until("Waiting.", run.stdout)
        code, _, err = ended(run, signal.SIGINT)
    assert (code, err.strip()) == (130, "")
