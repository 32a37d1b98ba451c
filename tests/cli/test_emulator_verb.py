"""`sidecar emulator`: the stand-in alone, with every option it has, and how to point a sidecar at it."""

import signal
from dataclasses import fields
from pathlib import Path

import pytest
import requests
import yaml
from cli_kit import LAST_WORDS, WAIT, Service, ended, process, read_until, settings_in, sidecar

from sidecar.cli.emulator import emulator
from sidecar.emulator import EmulatorOptions


def test_every_option_of_the_emulator_can_be_given() -> None:
    offered = {parameter.name for parameter in emulator.params} - {"ca_out"}
    assert offered == {field.name for field in fields(EmulatorOptions)}


def test_sidecar_delivers_to_it_with_the_settings_it_prints(tmp_path: Path) -> None:
    with process("emulator", "--port", "0", "--ca-out", "ca.pem", "--goal", "Sidecar Purchase", folder=tmp_path) as run:
        message = read_until(LAST_WORDS, run.stdout)
        service = Service(tmp_path, settings=settings_in(message))
        with service.running():
            assert f"the emulator at {message.split()[4]}" in service.banner
            shown = sidecar("send", "purchase", "--email", "a@example.com", "--wait", WAIT, url=service.url)
        assert ": delivered" in shown.stdout
        url = yaml.safe_load(settings_in(message))["microsoft"]["endpoints"]["campaign"]
        ledger = requests.get(f"{url}/_emulator/summary", verify=tmp_path / "ca.pem", timeout=60).json()
        code, _, err = ended(run, signal.SIGINT)
    assert ledger["conversions"]["kept"] == 1
    assert (code, err) == (0, "")


def test_missing_authority_and_open_control_are_pointed_out(tmp_path: Path) -> None:
    with process("emulator", "--host", "0.0.0.0", "--port", "0", folder=tmp_path) as run:
        assert "--ca-out FILE" in read_until(LAST_WORDS, run.stdout)
        code, _, err = ended(run, signal.SIGTERM)
    assert code == 0
    assert "Nothing guards" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--ca-out", "missing/ca.pem"), "missing/ca.pem"),
        (("--state", "."), "Is a directory"),
        (("--state", "text"), "not a database"),
        (("--host", "203.0.113.7"), "203.0.113.7"),
    ],
)
def test_what_cannot_be_used_is_reported_without_a_traceback(
    arguments: tuple[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to be taken for a broken one\n" * 10)
    monkeypatch.chdir(tmp_path)
    shown = sidecar("emulator", "--port", "0", *arguments)
    assert shown.exit_code == 1
    assert shown.stderr.startswith("the emulator cannot start: ")
    assert words in shown.stderr


def test_taken_port_ends_with_1(running: Service) -> None:
    shown = sidecar("emulator", "--port", str(running.port))
    assert shown.exit_code == 1
    assert "in use" in shown.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("--port", "70000"),
        ("--requests-per-minute", "0"),
        ("--access-token-seconds", "x"),
        ("--account", "1"),
        ("--host-name", "ü ü"),
        ("more",),
    ],
)
def test_wrong_options_are_wrong_usage(wrong: tuple[str, ...]) -> None:
    assert sidecar("emulator", *wrong).exit_code == 2
