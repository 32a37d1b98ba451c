"""`sidecar init`: the commented example as a file of one's own, written once, readable by its owner alone."""

import os
import subprocess
from pathlib import Path

import pytest
from cli_kit import COMMAND, sidecar

from sidecar.config import load, next_step, parse

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.yaml"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_example_is_written_once_and_only_its_owner_reads_it(folder: Path) -> None:
    before = os.umask(0)
    try:
        shown = sidecar("init")
    finally:
        os.umask(before)
    assert shown.exit_code == 0, shown.output
    file = folder / "config.yaml"
    assert file.read_bytes() == EXAMPLE.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert "Wrote config.yaml.\n" in shown.stdout
    assert "\n  sidecar run\n" in shown.stdout
    assert load(file, {}).warnings == ()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_there_is_not_changed(folder: Path, kind: str) -> None:
    there = folder / "config.yaml"
    match kind:
        case "file":
            there.write_text("mine")
        case "folder":
            there.mkdir()
        case _:
            there.symlink_to("nowhere")
    shown = sidecar("init")
    assert shown.exit_code == 1
    assert "config.yaml is there already, and was not changed" in shown.stderr
    assert "--config" in shown.stderr
    assert kind != "file" or there.read_text() == "mine"
    assert not (folder / "nowhere").exists()


def test_other_file_is_named_by_option_or_environment(folder: Path) -> None:
    shown = sidecar("init", "--config", "mine.yaml")
    assert "\n  sidecar run --config mine.yaml\n" in shown.stdout
    named = {**os.environ, "SIDECAR_CONFIG": str(folder / "other.yaml")}
    subprocess.run([*COMMAND, "init"], cwd=folder, env=named, check=True, capture_output=True)
    assert {file.name for file in folder.iterdir()} == {"mine.yaml", "other.yaml"}


def test_place_that_cannot_be_written_is_named(folder: Path) -> None:
    shown = sidecar("init", "--config", str(folder / "none" / "config.yaml"))
    assert shown.exit_code == 1
    assert "cannot be written: No such file or directory" in shown.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("microsoft: {environment: emulator}", "set microsoft.environment to production"),
        (
            "microsoft: {environment: production, client_id: a, developer_token: b}\n"
            "accounts: {eu: {}, us: {customer_id: 1, account_id: 2}}",
            "lists the ids for accounts.eu (docs",
        ),
        (
            "microsoft: {environment: sandbox, client_id: a, developer_token: b}\n"
            "accounts: {us: {customer_id: 1, account_id: 2}}",
            "`sidecar accounts` says whether the user can reach these accounts",
        ),
    ],
)
def test_check_says_what_is_next(folder: Path, text: str, words: str) -> None:
    (folder / "config.yaml").write_text(text)
    shown = sidecar("check")
    assert shown.exit_code == 0
    assert words in shown.stdout.splitlines()[-1]
    assert shown.stdout.endswith(f"# Next: {next_step(parse(text, {}))}\n")
