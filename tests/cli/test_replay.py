"""`sidecar replay`: by id and by state, with a look before it and a question."""

import json
import os
import pty
import sqlite3
from typing import Any

import pytest
from cli_kit import CLICK_ID, Service, ended, process, sidecar


def dead(service: Service, count: int, prefix: str) -> list[str]:
    """Ids of conversions that were refused: made in the file of a sidecar that does not run, which tells no lies."""
    with service.running():
        sidecar("pause", "default", url=service.url)
        for number in range(count):
            sent = ("send", "purchase", "--order-id", f"{prefix}-{number}", "--msclkid", CLICK_ID)
            assert sidecar(*sent, url=service.url).exit_code == 0
    with sqlite3.connect(service.folder / "outbox.db") as db:
        db.execute("UPDATE entries SET state = 'dead', reason = 'poison', settled_at = 1 WHERE state = 'pending'")
        db.execute("UPDATE counts SET rows = rows - ? WHERE state = 'pending'", (count,))
        db.execute("UPDATE counts SET rows = rows + ? WHERE state = 'dead'", (count,))
        return [f"conv_{seq}" for (seq,) in db.execute("SELECT seq FROM entries WHERE state = 'dead' ORDER BY seq")]


def states(service: Service) -> dict[str, int]:
    """How many conversions are in each state."""
    with sqlite3.connect(service.folder / "outbox.db") as db:
        return dict(db.execute("SELECT state, count(*) FROM entries GROUP BY state"))


def replayed(service: Service, *arguments: str) -> Any:
    shown = sidecar("replay", *arguments, url=service.url)
    assert shown.exit_code == 0, shown.output
    return shown.stdout


def test_dead_ones_are_looked_at_and_sent_again(service: Service) -> None:
    ids = dead(service, 4, "R")
    with service.running():
        assert replayed(service, "--state", "dead", "--dry-run") == "4 dead conversions would be sent again.\n"
        looked = json.loads(replayed(service, "--state", "dead", "--reason", "other", "--dry-run", "--json"))
        assert looked == {"matched": 0, "too_old": 0, "dry_run": True}
        assert states(service) == {"dead": 4}
        assert f"{ids[0]}: pending (account_paused)" in replayed(service, ids[0])
        assert json.loads(replayed(service, ids[1], "--json"))["replayed"] == 1
        assert replayed(service, "--state", "dead", "--reason", "poison", "-y") == "2 dead conversions are due again.\n"
        assert states(service) == {"pending": 4}
        refused = sidecar("replay", ids[0], url=service.url)
        assert (refused.exit_code, "is pending" in refused.stderr) == (1, True)


@pytest.mark.parametrize(("answer", "left"), [("y", {"pending": 2}), ("n", {"dead": 2})])
def test_terminal_is_asked_with_the_number(service: Service, answer: str, left: dict[str, int]) -> None:
    dead(service, 2, "R")
    master, terminal = pty.openpty()
    with service.running():
        arguments = ("replay", "--state", "dead", "--url", service.url)
        with process(*arguments, folder=service.folder, stdin=terminal) as asked:
            os.write(master, f"{answer}\n".encode())
            code, out, _ = ended(asked)
        assert "Send 2 dead conversions again? [y/N]" in out
        assert (code, states(service)) == (0 if answer == "y" else 1, left)
    os.close(master)
    os.close(terminal)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("conv_1", "--state", "dead"),
        ("conv_1", "--reason", "poison"),
        ("conv_1", "--dry-run"),
        ("--state", "pending"),
        ("--reason", "poison"),
        ("--state", "dead"),
        ("--state", "dead", "--json"),
    ],
)
def test_wrong_usage_is_reported_before_anything_is_done(arguments: tuple[str, ...]) -> None:
    """Also where there is no terminal to ask at."""
    assert sidecar("replay", *arguments, given="").exit_code == 2


def test_unknown_id_is_reported(running: Service) -> None:
    shown = sidecar("replay", "conv_999999", url=running.url)
    assert (shown.exit_code, "There is no such conversion" in shown.stderr) == (1, True)
