"""`sidecar migrate`: what it prints, what it refuses, and its exit codes."""

import json
import sqlite3

import pytest
from cli_kit import Service, sidecar
from click.testing import Result


def migrate(service: Service, *more: str, target: str = "new.db") -> Result:
    """Move the service's outbox to another file in its folder."""
    source = f"sqlite:///{service.folder / 'outbox.db'}"
    return sidecar("migrate", "--from", source, "--to", f"sqlite:///{service.folder / target}", *more)


def test_summary_has_every_table_and_the_next_step(stopped: Service) -> None:
    result = migrate(stopped)
    assert result.exit_code == 0, result.output
    assert "entries                     1  " in result.stdout
    assert "by state: 1 delivered." in result.stdout
    assert f"Now set storage.url to sqlite:///{stopped.folder / 'new.db'}, " in result.stdout
    with sqlite3.connect(stopped.folder / "new.db") as opened:
        assert opened.execute("SELECT state FROM entries").fetchall() == [("delivered",)]


def test_json_has_the_same(stopped: Service) -> None:
    shown = json.loads(migrate(stopped, "--json").stdout)
    assert shown["states"] == {"delivered": 1}
    tables = {table["name"]: table["rows"] for table in shown["tables"]}
    assert tables["entries"] == tables["batches"] == 1
    assert len(shown["tables"][0]["checksum"]) == 32
    assert not shown["was_done"]


def test_again_there_is_nothing_left_to_do(stopped: Service) -> None:
    migrate(stopped)
    result = migrate(stopped)
    assert result.exit_code == 0
    assert "was moved to" in result.stdout
    assert "there is nothing left to do" in result.stdout


def test_key_that_stays_behind_is_named(stopped: Service) -> None:
    """Without it each app would need another one."""
    assert "api-key" not in migrate(stopped).stdout
    (stopped.folder / "outbox.db.api-key").write_text("test-key-of-sixteen-characters\n")
    assert "outbox.db.api-key stays there: put it into server.api_keys" in migrate(stopped).stdout


def test_outbox_in_use_is_refused(service: Service) -> None:
    with service.running():
        result = migrate(service)
    assert result.exit_code == 1
    assert "is in use by another sidecar (process" in result.stderr
    assert not (service.folder / "new.db").exists()


def test_source_that_is_not_there_is_not_made(service: Service) -> None:
    result = migrate(service)
    assert result.exit_code == 1
    assert "there is no outbox" in result.stderr
    assert list(service.folder.iterdir()) == []


def test_place_is_not_moved_to_itself(stopped: Service) -> None:
    result = migrate(stopped, target="outbox.db")
    assert result.exit_code == 1
    assert "lead to the same outbox" in result.stderr


def test_service_starts_on_the_new_place_and_refuses_the_old_one(stopped: Service) -> None:
    migrate(stopped)
    refused = sidecar("run", "--config", str(stopped.config))
    assert refused.exit_code == 1
    assert "was moved to" in refused.output
    (stopped.folder / "new.db").rename(stopped.folder / "outbox.db")
    for end in ("-wal", "-shm", ".last"):
        (stopped.folder / f"outbox.db{end}").unlink(missing_ok=True)
    with stopped.running():
        shown = sidecar("status", url=stopped.url)
    assert "1 delivered" in shown.output


@pytest.mark.parametrize("url", ["outbox.db", "sqlite:///", "mysql://db/outbox"])
def test_url_of_no_store_is_wrong_usage(url: str) -> None:
    for one, other in (("--from", "--to"), ("--to", "--from")):
        result = sidecar("migrate", one, url, other, "sqlite:///new.db")
        assert result.exit_code == 2
        assert "write it as sqlite:///" in result.stderr
