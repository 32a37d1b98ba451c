"""Which sidecar a verb talks to: the named one, else the one of the configuration, else the default address."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cli_kit import Service, process

from sidecar.cli.target import DEFAULT_URL, find

SETTINGS = """
server: {host: 0.0.0.0, port: 9001, api_keys: [test-key-of-the-file]}
storage: {url: "sqlite:///kept/outbox.db"}
microsoft: {environment: production, client_secret: "${TEST_SECRET_OF_THE_SERVICE}", nonsense: 1}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory of the verb."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_configuration_it_is_the_default_address() -> None:
    where = find(None, "", {})
    assert (where.url, where.api_key, where.is_default) == (DEFAULT_URL, "", True)


def test_configuration_gives_address_and_key_though_its_secrets_are_not_here(folder: Path) -> None:
    """The address and key of the configuration that `run` would read."""
    (folder / "config.yaml").write_text(SETTINGS)
    where = find(None, "", {})
    assert (where.url, where.api_key, where.is_default) == ("http://127.0.0.1:9001", "test-key-of-the-file", False)
    assert "test-key-of-the-file" not in repr(where)


def test_environment_names_the_configuration(folder: Path) -> None:
    (folder / "other.yaml").write_text("server: {host: '::1', port: '${TEST_PORT:-9002}'}\n")
    assert find(None, "", {"SIDECAR_CONFIG": "other.yaml"}).url == "http://[::1]:9002"
    assert find(None, "", {"SIDECAR_CONFIG": "other.yaml", "TEST_PORT": "9003"}).url == "http://[::1]:9003"


def test_key_that_was_made_at_the_first_start_is_found_beside_the_database(folder: Path) -> None:
    (folder / "config.yaml").write_text(SETTINGS.replace(", api_keys: [test-key-of-the-file]", ""))
    assert find(None, "", {}).api_key == ""
    (folder / "kept").mkdir()
    (folder / "kept/outbox.db.api-key").write_text("test-generated-key\n")
    (folder / "kept/outbox.db.api-key").chmod(0o600)
    assert find(None, "", {}).api_key == "test-generated-key"


def test_key_file_is_read_and_one_that_cannot_be_is_no_key(folder: Path) -> None:
    keys = folder / "keys"
    (folder / "config.yaml").write_text(f"server: {{port: 9004, api_keys_file: {keys}}}\n")
    assert find(None, "", {}).api_key == ""
    keys.write_text("test-key-of-a-file\ntest-second-key-1\n")
    assert find(None, "", {}).api_key == "test-key-of-a-file"


def test_key_of_the_configuration_goes_nowhere_else(folder: Path) -> None:
    (folder / "config.yaml").write_text(SETTINGS)
    assert find("http://127.0.0.1:9001", "", {}).api_key == "test-key-of-the-file"
    for other in ("http://127.0.0.1:9009", "http://192.0.2.1:9001", "https://127.0.0.1:9001"):
        assert find(other, "", {}).api_key == ""


def test_what_is_named_wins(folder: Path) -> None:
    (folder / "config.yaml").write_text(SETTINGS)
    where = find("http://127.0.0.1:9005", "test-named-key-1", {})
    assert (where.url, where.api_key) == ("http://127.0.0.1:9005", "test-named-key-1")
    where = find(None, "test-named-key-1", {})
    assert (where.url, where.api_key) == ("http://127.0.0.1:9001", "test-named-key-1")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("server: {port: many}\n", "server.port"), ("server: [\n", "not YAML"), ("server: {port: 0}\n", "any free port")],
)
def test_configuration_that_does_not_say_it_is_wrong_usage(text: str, wanted: str, folder: Path) -> None:
    (folder / "config.yaml").write_text(text)
    with pytest.raises(click.UsageError, match=wanted) as refused:
        find(None, "", {})
    assert "--url" in refused.value.message
    assert find("http://127.0.0.1:9006", "", {}).url == "http://127.0.0.1:9006"


def test_missing_file_that_the_environment_names_is_wrong_usage() -> None:
    with pytest.raises(click.UsageError, match="SIDECAR_CONFIG"):
        find(None, "", {"SIDECAR_CONFIG": "gone.yaml"})


def test_verb_finds_the_sidecar_of_its_folder_with_its_key_and_names_it(tmp_path: Path) -> None:
    service = Service(tmp_path, server=", api_keys: [test-key-of-the-service]")
    with service.running(), process("logs", folder=tmp_path, SIDECAR_URL="", SIDECAR_API_KEY="") as verb:
        out, err = verb.communicate(timeout=60)
    assert verb.returncode == 0, err
    assert err == f"(sidecar at {service.url}, of config.yaml)\n"
    assert "Traceback" not in out
