"""The command as a whole: its verbs, its help, its exit codes for wrong usage, and how quickly it starts."""

import subprocess
import sys

import pytest
from cli_kit import sidecar

from sidecar.cli import verbs
from sidecar.cli.verb_group import wants_colour

VERBS = (
    *("init", "run", "check", "doctor", "status", "connect", "accounts", "goals", "send", "hash", "logs", "explain"),
    *("restate", "retract", "clicks", "replay", "erase", "pause", "resume", "alerts", "backup", "migrate", "emulator"),
)

HEAVY = {"aiohttp", "aiosqlite", "cryptography", "msal", "phonenumbers", "pydantic", "structlog"}


def test_help_names_every_verb_with_its_line() -> None:
    """`sidecar --help` is the table of contents."""
    shown = sidecar("--help")
    assert shown.exit_code == 0
    for verb in verbs.VERBS:
        assert f"{verb.name} " in shown.output
        assert verb.line in shown.output
    assert tuple(verb.name for verb in verbs.VERBS) == VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    shown = sidecar(verb, "--help")
    assert shown.exit_code == 0
    assert f"sidecar {verb}" in shown.output
    assert all(verb.load().name == verb.name for verb in verbs.VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_unknown_option_is_wrong_usage(verb: str) -> None:
    """Exit codes: 0 done, 1 failed, 2 wrong usage or configuration."""
    shown = sidecar(verb, "--bogus")
    assert shown.exit_code == 2
    assert "No such option" in shown.output


def test_unknown_verb_is_wrong_usage_and_the_nearest_is_named() -> None:
    shown = sidecar("conect")
    assert shown.exit_code == 2
    assert "connect" in shown.output


def test_no_verb_shows_the_help() -> None:
    shown = sidecar()
    assert shown.exit_code == 2
    assert "emulator" in shown.output


def test_version_is_reported() -> None:
    assert sidecar("--version").output.startswith("sidecar, version ")


@pytest.mark.parametrize("arguments", [["--help"], ["send", "--help"], ["logs", "--help"], ["connect", "--help"]])
def test_verbs_that_only_talk_to_a_sidecar_import_nothing_heavy(arguments: list[str]) -> None:
    """Importing the whole service takes most of a second, which `sidecar send` would pay for nothing."""
    code = (
        f"import sys\nfrom sidecar.cli import main\nmain({arguments!r}, standalone_mode=False)\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split()
    assert "click" in loaded
    assert not HEAVY.intersection(loaded)


@pytest.mark.parametrize(("variables", "wanted"), [({}, None), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_are_left_out_where_they_are_unwanted(
    variables: dict[str, str], wanted: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert wants_colour() is wanted
