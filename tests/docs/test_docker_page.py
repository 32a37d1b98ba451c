"""docs/docker.md: its configuration is one, its image is the Dockerfile's, and its restore brings a copy back."""

import re
import subprocess
from pathlib import Path

import yaml
from docs_page import blocks, names, table, text_of

from sidecar.config import parse

PAGE, DOCKERFILE = text_of("docs/docker.md"), text_of("Dockerfile")
SECRETS = ("client_secret", "developer_token", "encryption_key")


def code(language: str, beginning: str) -> str:
    return next(text for _, kind, text in blocks(PAGE) if kind == language and text.startswith(beginning))


def test_configuration_is_taken_with_its_secrets_as_files_and_its_key_from_the_environment(tmp_path: Path) -> None:
    for name in SECRETS:
        (tmp_path / name).write_text(f"test-{name}-value\n")
        (tmp_path / name).chmod(0o400)
    text = code("yaml", "server:").replace("/run/secrets", str(tmp_path))
    config = parse(text, {"SIDECAR_API_KEY": "test-key-of-your-own", "SIDECAR_HOST": "0.0.0.0"})
    assert config.server.host == "0.0.0.0"
    assert [key.get_secret_value() for key in config.server.api_keys] == ["test-key-of-your-own"]
    assert config.microsoft.client_secret.get_secret_value() == "test-client_secret-value"
    assert config.storage.encryption_key.get_secret_value() == "test-encryption_key-value"
    assert text.count("_file: ") == len(SECRETS)


def test_image_is_as_the_page_says() -> None:
    told = {name for row in table(PAGE, "in the image") for cell in row for name in names(cell)}
    variables = {name for name in told if name.startswith("SIDECAR_")}
    assert len(variables) == 3
    assert all(variable in DOCKERFILE for variable in variables)
    assert "USER 10001:10001" in DOCKERFILE and "10001:10001" in PAGE
    assert "VOLUME /data" in DOCKERFILE and "SIDECAR_CONFIG=/etc/sidecar/config.yaml" in DOCKERFILE


def test_scraping_needs_the_key() -> None:
    (job,) = yaml.safe_load(code("yaml", "scrape_configs"))["scrape_configs"]
    assert job["authorization"]["credentials_file"]
    assert job["static_configs"][0]["targets"] == ["sidecar:8077"]


def test_restore_puts_the_copy_in_place_and_keeps_the_key(tmp_path: Path) -> None:
    files = ("outbox.db", "outbox.db-wal", "outbox.db-shm", "outbox.db.last", "outbox.db.api-key", "before-0.2.0.db")
    for name in files:
        (tmp_path / name).write_text(name)
    inside = re.search(r"sh -euc '(.*?)'", code("sh", "docker stop"), re.DOTALL)
    assert inside
    subprocess.run(["sh", "-euc", inside[1].replace("/data", str(tmp_path))], check=True, timeout=60)
    assert (tmp_path / "outbox.db").read_text() == "before-0.2.0.db"
    assert (tmp_path / "outbox.db.api-key").exists()
    assert {path.name for path in (tmp_path / "aside").iterdir()} == set(files[:4])
    assert not list(tmp_path.glob("outbox.db-*"))


def test_build_gets_every_file_that_the_dockerfile_copies() -> None:
    """.dockerignore leaves out everything but what it names."""
    let_in = {line[1:] for line in text_of(".dockerignore").splitlines() if line.startswith("!")}
    copied = [
        line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY ") and "--from" not in line
    ]
    assert len(copied) >= 3
    assert {source for sources in copied for source in sources} <= let_in
