"""The pages for operators say what the code does: every log name, metric and trouble, in the same words."""

import re
from pathlib import Path

import pytest

from sidecar.config import RELOADABLE
from sidecar.config.key_names import KEYS
from sidecar.telemetry import Metrics
from sidecar.telemetry.event_names import NAMES, Name
from sidecar.telemetry.metrics import Declared
from sidecar.troubles import CATALOGUE, Trouble

DOCS = Path(__file__).parents[2] / "docs"
OPERATING = (DOCS / "operating.md").read_text()
TROUBLESHOOTING = (DOCS / "troubleshooting.md").read_text()


def rows_of(page: str, heading: str) -> list[str]:
    """The table under a heading, without its head."""
    section = page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def row_of_name(name: Name) -> str:
    return f"| `{name.name}` | {name.level} | {'yes' if name.stored else 'no'} | {name.meaning} |"


def row_of_metric(metric: Declared) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |"


def sections(page: str) -> dict[str, str]:
    """Each section of the second level, by its heading, its lines joined."""
    parts = page.split("\n## ")[1:]
    return {part.split("\n", 1)[0]: " ".join(part.split("\n", 1)[1].split()) for part in parts}


def test_every_log_name_is_documented_as_it_is_declared() -> None:
    assert rows_of(OPERATING, "Log names") == [row_of_name(name) for name in NAMES.values()]


def test_every_metric_is_documented_as_it_is_declared() -> None:
    assert rows_of(OPERATING, "Metrics") == [row_of_metric(metric) for metric in Metrics().declared]


def test_every_metric_that_is_exposed_was_declared() -> None:
    metrics = Metrics()
    exposed = {family.name for family in metrics.registry.collect()}
    assert exposed == {metric.name.removesuffix("_total") for metric in metrics.declared}


def test_no_metric_carries_an_id() -> None:
    labels = {label for metric in Metrics().declared for label in metric.labels}
    assert labels == {
        "event",
        "goal",
        "state",
        "reason",
        "operation",
        "result",
        "by",
        "version",
        "type",
        "code",
        "severity",
    }


def test_troubleshooting_has_one_section_for_each_trouble_in_the_order_of_the_catalogue() -> None:
    headings = list(sections(TROUBLESHOOTING))
    assert headings == [trouble.title for trouble in CATALOGUE.values()]


@pytest.mark.parametrize("trouble", CATALOGUE.values(), ids=CATALOGUE)
def test_section_of_a_trouble_has_the_words_of_the_catalogue(trouble: Trouble) -> None:
    section = sections(TROUBLESHOOTING)[trouble.title]
    shown = section.removeprefix(f"`{trouble.code}` **Where it shows.** ")
    assert shown != section, "the section begins with the code and where it shows"
    symptom, _, rest = shown.partition(" **Cause.** ")
    assert len(symptom) > 20
    assert rest == f"{trouble.cause} **Solution.** {trouble.solution}"


DESCRIBED = {"goals.refresh", "clicks.wait"}
"""Keys that a remedy names only to say how long something takes."""


@pytest.mark.parametrize("trouble", CATALOGUE.values(), ids=CATALOGUE)
def test_remedy_that_needs_a_restart_says_so(trouble: Trouble) -> None:
    """SIGHUP reads events, accounts, delivery and logging; what else is changed has to wait for a restart."""
    known = {".".join(key[:2]) for key in KEYS if len(key) > 1 and key[0] not in RELOADABLE} - DESCRIBED
    named = {key for key in re.findall(r"(?<![\w.])[a-z_]+\.[a-z_]+", trouble.solution) if key in known}
    assert not named or "restart" in trouble.solution
