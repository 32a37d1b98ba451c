"""`config.example.yaml` is the manual: it names every key with a reason, equals the defaults, and runs as it stands."""

import re
from pathlib import Path

import pytest
import yaml

from sidecar.config import Config, MicrosoftSection, masked, parse
from sidecar.config.key_names import KEYS

FILE = Path(__file__).parents[2] / "config.example.yaml"
TEXT = FILE.read_text("utf-8")
LINES = TEXT.splitlines()
KEY_LINE = re.compile(r" *(# +)?([a-z_]+):( |$)")


def sections() -> dict[str, str]:
    """The text of each top-level section, by its key."""
    parts = re.split(r"^([a-z]+):", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_example_equals_the_defaults_and_runs_on_the_emulator():
    assert parse(TEXT, {}) == Config(microsoft=MicrosoftSection(environment="emulator"))


@pytest.mark.parametrize("path", KEYS, ids=".".join)
def test_example_names_every_key(path: tuple[str, ...]):
    """Optional keys may stand there as comments, with the value that they would have."""
    section, *rest = path
    assert section in sections()
    if rest and rest[-1] != "*":
        assert re.search(rf"^ *(# *)?{rest[-1]}: ?\S", sections()[section], re.MULTILINE) or rest == ["endpoints"]


@pytest.mark.parametrize(
    "path", [path for path in KEYS if "*" not in path and not path[-1].endswith("_file")], ids=".".join
)
def test_example_writes_out_every_key_that_has_a_default(path: tuple[str, ...]):
    value = yaml.safe_load(TEXT)
    for step in path[:2]:
        value = value[step]
    assert value is not None


def test_example_has_the_order_of_the_effective_configuration():
    shown = masked(parse(TEXT, {}))
    written = yaml.safe_load(TEXT)
    assert list(written) == list(shown)
    for section in written:
        assert list(written[section]) == list(shown[section])


def test_example_gives_every_key_a_reason_on_its_line_or_above_it():
    for number, line in enumerate(LINES):
        match = KEY_LINE.match(line)
        if match is None or match[2].endswith("_file") or not line.startswith(" ") or line.rstrip().endswith(":"):
            continue
        assert " # " in line or LINES[number - 1].lstrip().startswith("# "), line


def test_example_fits_on_a_screen():
    assert max(map(len, LINES)) <= 120


def test_keys_shown_as_comments_work_when_they_are_uncommented():
    commented = re.compile(r"^    # ((account|value|count_type|window|revenue|enhanced):)", re.MULTILINE)
    text, changed = commented.subn(r"    \1", TEXT)
    event = parse(text, {}).events["purchase"]
    assert changed == 6
    assert None not in event.model_dump().values()


def test_endpoints_shown_as_comments_work_when_they_are_uncommented():
    text = re.sub(r"^  #   (campaign|customer|authority):", r"    \1:", TEXT, flags=re.MULTILINE)
    config = parse(text.replace("endpoints: {} ", "endpoints:    "), {})
    assert list(config.microsoft.endpoints.given()) == ["campaign", "customer", "authority"]


def test_image_listens_everywhere_and_stores_under_data_by_environment():
    config = parse(TEXT, {"SIDECAR_HOST": "0.0.0.0", "SIDECAR_STORAGE_URL": "sqlite:////data/outbox.db"})
    assert (config.server.host, config.storage.url) == ("0.0.0.0", "sqlite:////data/outbox.db")


def test_example_holds_no_secret():
    microsoft = yaml.safe_load(TEXT)["microsoft"]
    keys = ("client_id", "client_secret", "developer_token", "refresh_token")
    assert [microsoft[key] for key in keys] == [""] * 4
