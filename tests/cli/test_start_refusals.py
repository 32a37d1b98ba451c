"""A start that cannot be: each reason as a real process, one sentence with what to do, and the exit code."""

import contextlib
import re
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_kit import Service, ended, free_port, process

OPERATING = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()


def refused(service: Service, url: str | None = None, **env: str) -> tuple[int, str]:
    config = service.config
    if url is not None:
        config.write_text(re.sub(r"url: \S+", f"url: '{url}'}}", config.read_text()))
    with process("run", "--config", str(config), folder=service.folder, **env) as started:
        code, out, err = ended(started)
    assert '"started"' not in out, "it ended before it served"
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1, err
    return code, err.strip()


Prepare = Callable[[Path], object]
"""What is done to `outbox.db` in that folder."""


def changed(statement: str) -> Prepare:
    def prepare(folder: Path) -> None:
        with contextlib.closing(sqlite3.connect(folder / "outbox.db", isolation_level=None)) as db:
            db.execute(statement)

    return prepare


def damaged(folder: Path) -> None:
    path = folder / "outbox.db"
    content = bytearray(path.read_bytes())
    content[4096:12_288] = b"\x5a" * 8_192
    path.write_bytes(content)


STORED: list[tuple[Prepare, str, str]] = [
    (changed("PRAGMA user_version = 9999"), "was written by a newer version", "run that version"),
    (
        changed("UPDATE facts SET value = 'sandbox' WHERE name = 'environment'"),
        "microsoft.environment 'sandbox', but the configuration says 'emulator'",
        "set it back, or name another file in storage.url",
    ),
    (damaged, "is damaged: ", "bring back"),
]
FOREIGN: list[tuple[Prepare, str, str]] = [
    (lambda folder: (folder / "outbox.db").write_text("no database"), "is no SQLite database", "storage.url"),
    (lambda folder: (folder / "outbox.db").mkdir(), "Is a directory", "name a file in storage.url"),
    (
        changed("CREATE TABLE theirs (x)"),
        "is a database of another program",
        "name another file in storage.url",
    ),
]


@pytest.mark.parametrize(("prepare", "cause", "fix"), STORED, ids=[cause[:24] for _, cause, _ in STORED])
def test_an_outbox_that_cannot_be_used_shows_why_and_what_to_do(
    prepare: Prepare, cause: str, fix: str, stopped: Service
) -> None:
    prepare(stopped.folder)
    code, err = refused(stopped)
    assert code == 1
    assert cause in err
    assert fix in err


@pytest.mark.parametrize(("prepare", "cause", "fix"), FOREIGN, ids=[cause[:24] for _, cause, _ in FOREIGN])
def test_what_is_no_outbox_shows_why_and_what_to_do(prepare: Prepare, cause: str, fix: str, service: Service) -> None:
    prepare(service.folder)
    code, err = refused(service)
    assert code == 1
    assert cause in err
    assert fix in err


@pytest.mark.parametrize(
    ("path", "cause", "fix"),
    [
        ("{folder}/config.yaml/outbox.db", "File exists", "whose folder exists or can be made"),
        ("/sys/sidecar/outbox.db", "cannot be opened", "storage.url"),
        ("{folder}/" + "n" * 300, "File name too long", "shorter name"),
    ],
)
def test_a_folder_that_cannot_be_written_shows_it(path: str, cause: str, fix: str, service: Service) -> None:
    code, err = refused(service, "sqlite:///" + path.format(folder=service.folder))
    assert code == 1
    assert cause in err
    assert fix in err


def test_a_taken_port_names_the_key_to_change(service: Service) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", service.port))
        taken.listen()
        code, err = refused(service)
    assert (code, err) == (
        1,
        f"cannot listen on 127.0.0.1:{service.port}: Address already in use; stop what listens there (`ss -ltnp` names "
        "it), or give server.port another number",
    )


@pytest.mark.parametrize(
    ("host", "fix"),
    [("203.0.113.7", "no network of this machine has that address"), ("no-such-host.invalid", "a name")],
)
def test_an_address_of_elsewhere_names_the_key_to_change(host: str, fix: str, tmp_path: Path) -> None:
    code, err = refused(Service(tmp_path, host=host, server=", api_keys: [test-key-of-the-server]"))
    assert code == 1
    assert fix in err
    assert "server.host" in err


def test_an_outbox_in_use_names_who_has_it(running: Service) -> None:
    code, err = refused(Service(running.folder, port=free_port()))
    assert code == 1
    assert f"in use by another sidecar (process {(running.folder / 'outbox.db.lock').read_text().strip()})" in err
    assert "stop that one, or give this one another storage.url" in err


def test_a_configuration_that_cannot_be_used_ends_with_2(service: Service) -> None:
    service.settings = "microsoft: {environment: nowhere}"
    assert refused(service)[0] == 2


def test_the_page_lists_every_exit_code_of_run_and_each_reason() -> None:
    part = OPERATING[OPERATING.index("## When it does not start") :]
    assert {"0", "1", "2"} <= set(re.findall(r"^\| (\d+) \|", part, flags=re.MULTILINE))
    for words in (
        "Address already in use",
        "Permission denied",
        "Cannot assign requested address",
        "in use by another sidecar",
        "written by a newer version",
        "holds conversions for microsoft.environment",
        "disk is full",
        "is damaged",
        "is no SQLite database",
    ):
        assert words in part
