"""`sidecar run`: its first words work when they are pasted, and it ends as it should."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import curl_double
from cli_kit import STOP_SECONDS, Service, ended, process, read_until, sidecar

LEAD_FIRST = 'microsoft: {environment: emulator}\nprivacy: {consent: denied}\nevents: {"it\'s a lead": {goal: Lead}}'


UNTIL_SETTLED = """#!{python}
import sqlite3, time
outbox = sqlite3.connect("file:{outbox}?mode=ro", uri=True)
while outbox.execute("SELECT 1 FROM entries WHERE state = 'pending'").fetchone():
    time.sleep(0.05)
"""
"""In place of `sleep` in the line, whose seconds are for a machine that does little else."""


def pasted(service: Service, **env: str) -> list[str]:
    """What the line of the banner prints in a shell, line by line; curl is a stand-in."""
    tools = service.folder / "bin"
    tools.mkdir(exist_ok=True)
    stand_in = tools / "curl"
    stand_in.write_text(f'#!/bin/sh\nexec {sys.executable} {curl_double.__file__} "$@"\n')
    pause = tools / "sleep"
    pause.write_text(UNTIL_SETTLED.format(python=sys.executable, outbox=service.folder / "outbox.db"))
    for tool in (stand_in, pause):
        tool.chmod(0o700)
    [line] = [line for line in service.banner.splitlines() if "curl" in line]
    path = f"{tools}:{os.environ['PATH']}"
    shell = subprocess.run(["sh", "-c", line], capture_output=True, text=True, env={**os.environ, **env, "PATH": path})
    assert shell.stderr == ""
    return shell.stdout.splitlines()


def states(message: list[str]) -> list[str]:
    """The state of the rows in the second answer."""
    return [row["state"] for row in json.loads(message[1])["items"]]


def test_pasted_line_shows_the_conversion_delivered_again_after_a_restart(service: Service) -> None:
    """Pasting it shows the conversion `delivered` within seconds, with no account anywhere."""
    for start in ("first", "second"):
        with service.running() as started:
            assert f"listening on {service.url}\n" in service.banner, start
            assert states(pasted(service)) == ["delivered"], start
            assert ended(started, signal.SIGINT)[0] == 0, start


def test_generated_key_is_printed_once_and_works_then_and_later(tmp_path: Path) -> None:
    """Off loopback a key is generated at first start, kept beside the database and printed once."""
    service = Service(tmp_path, host="0.0.0.0")
    with service.running():
        key = (tmp_path / "outbox.db.api-key").read_text().strip()
        assert service.banner.count(key) == 3
        assert states(pasted(service)) == ["delivered"]
        assert sidecar("logs", url=service.url).exit_code == 1
        assert sidecar("logs", "--api-key", key, url=service.url).exit_code == 0
    with service.running() as started:
        assert key not in service.banner
        assert states(pasted(service)) == ["delivered"]
        _, out, _ = ended(started, signal.SIGTERM)
    assert key not in out


def test_configured_key_comes_from_the_environment_and_any_event_and_consent_will_do(tmp_path: Path) -> None:
    service = Service(tmp_path, settings=LEAD_FIRST, server=", api_keys: [test-key-of-ours]")
    with service.running():
        assert "test-key-of-ours" not in service.banner
        assert "export SIDECAR_API_KEY=" in service.banner
        assert states(pasted(service, SIDECAR_API_KEY="test-key-of-ours")) == ["delivered"]


def test_key_that_cannot_be_stored_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "outbox.db.api-key").mkdir()
    service = Service(tmp_path, host="0.0.0.0")
    with process("run", "--config", str(service.config), folder=tmp_path) as started:
        code, _, err = ended(started)
    assert code == 1
    assert "server.api_keys" in err
    assert "Traceback" not in err


def test_stop_is_quiet_and_in_order(service: Service) -> None:
    with service.running() as started:
        code, out, err = ended(started, signal.SIGTERM)
    assert (code, err.strip()) == (0, "")
    names = [json.loads(line)["name"] for line in out.splitlines()]
    assert names[-1] == "stopped"
    assert names.count("stopping") == 1  # what is in hand then, a token say, may still end between the two


def test_second_process_on_the_same_outbox_ends_with_1(running: Service) -> None:
    """A second process exits and names the first."""
    second = Service(running.folder)
    with process("run", "--config", str(second.config), folder=running.folder) as started:
        code, _, err = ended(started)
    assert code == 1
    assert (running.folder / "outbox.db.lock").read_text().strip() in err


def test_taken_port_ends_with_1(running: Service, tmp_path: Path) -> None:
    other = Service(tmp_path, port=running.port)
    with process("run", "--config", str(other.config), folder=tmp_path) as started:
        code, _, err = ended(started)
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{running.port}" in err
    assert "Traceback" not in err


def test_closed_output_is_no_reason_to_stop(service: Service) -> None:
    with process("run", "--config", str(service.config), folder=service.folder) as started:
        assert started.stderr is not None
        started.stderr.close()
        assert '"started"' in read_until('"started"', started.stdout)
        assert sidecar("logs", url=service.url).exit_code == 0
        started.send_signal(signal.SIGTERM)
        assert started.wait(STOP_SECONDS) == 0
