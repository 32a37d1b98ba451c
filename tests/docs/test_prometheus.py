"""deploy/prometheus names metrics and labels that exist, and each of its rules fires; promtool is the judge."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs_page import ROOT, text_of

from sidecar.core.answer import Verdict
from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import State
from sidecar.ports.queries import Backlog, Counts
from sidecar.telemetry import Metrics, Telemetry
from sidecar.telemetry.metrics import Declared
from sidecar.troubles import CATALOGUE, Severity

FOLDER = ROOT / "deploy" / "prometheus"
RULES = {rule["alert"]: rule for rule in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"][0]["rules"]}
SHOWN = yaml.safe_load((FOLDER / "rules.test.yml").read_text())["tests"]
DASHBOARD = json.loads((FOLDER / "grafana.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]
DECLARED = {metric.name: metric for metric in Metrics().declared}

OF_PROMETHEUS = {"job", "instance"}
"""The labels that a scrape adds."""

VALUES = {
    "severity": {severity.name.lower() for severity in Severity},
    "state": set(State),
    "result": {*Verdict, "taken", "lost", "refused"},
    "by": {"msclkid", "visitor", "email", "phone", "none"},
}
"""What a label with few values may be."""


@pytest.fixture(scope="session")
def promtool() -> str:
    """The real promtool."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (in Debian's package prometheus)")
    return found


def ran(*command: str, given: bytes = b"") -> str:
    """What the command prints; it must end well."""
    done = subprocess.run(command, input=given, capture_output=True, timeout=100)
    printed = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, printed
    return printed


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression with its place, as Prometheus would see it."""
    yield from ((name, rule["expr"]) for name, rule in RULES.items())
    for title, target in TARGETS:
        yield title, target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
    for number, test in enumerate(SHOWN):
        yield from ((f"{test['name']} {number}", series["series"]) for series in test["input_series"])


def selectors(expression: str) -> Iterator[tuple[Declared, str, str]]:
    """Each of our metrics in it, the ending of its series, and what its braces hold."""
    for name, braces in re.findall(r"\b(sidecar_[a-z_]+)(?:\{([^}]*)\})?", expression):
        base, _, ending = name.rpartition("_")
        if base in DECLARED and DECLARED[base].kind == "histogram" and ending in ("bucket", "sum", "count"):
            yield DECLARED[base], ending, braces
        else:
            assert name in DECLARED, f"{name} is no metric"
            assert DECLARED[name].kind != "histogram", f"{name} is no series"
            yield DECLARED[name], "", braces


def labels_of(metric: Declared, ending: str) -> set[str]:
    return {*metric.labels, *OF_PROMETHEUS, *(["le"] if ending == "bucket" else [])}


@pytest.mark.parametrize(("place", "expression"), list(expressions()), ids=lambda given: given[:40])
def test_every_metric_label_and_value_exists(place: str, expression: str) -> None:
    known = set(OF_PROMETHEUS)
    for metric, ending, braces in selectors(expression):
        known |= labels_of(metric, ending)
        for label, value in re.findall(r'(\w+)\s*!?=~?\s*"([^"]*)"', braces):
            assert label in labels_of(metric, ending), f"{metric.name} has no label {label}"
            assert value in VALUES.get(label, {value}), f"{label} is never {value}"
            assert label != "code" or value in CATALOGUE
    for named in re.findall(r"\bby \(([^)]*)\)", expression):
        assert {label.strip() for label in named.split(",")} <= known


@pytest.mark.parametrize(
    "expression",
    ["sidecar_nothing", "sidecar_outbox_rows_bucket", "sidecar_intake_seconds > 1", "sidecar_upload_seconds"],
)
def test_metric_that_does_not_exist_is_noticed(expression: str) -> None:
    with pytest.raises(AssertionError, match="is no"):
        list(selectors(expression))


def test_every_metric_has_a_panel() -> None:
    shown = {metric.name for _, target in TARGETS for metric, _, _ in selectors(target["expr"])}
    assert shown == DECLARED.keys()


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=lambda given: str(given)[:40])
def test_legend_names_labels_that_the_series_have(title: str, target: dict[str, Any]) -> None:
    grouped = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for label in group.split(",")}
    own = {label for metric, _, _ in selectors(target["expr"]) for label in metric.labels}
    is_summed = re.search(r"\b(sum|min|max|histogram_quantile)\b", target["expr"]) is not None
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= (grouped if is_summed else own)


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    every = DASHBOARD["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in every)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_each_rule_is_shown_to_fire_and_to_stay_silent() -> None:
    checks = [check for test in SHOWN for check in test["alert_rule_test"]]
    fires = {check["alertname"] for check in checks if check.get("exp_alerts")}
    well = {check["alertname"] for check in SHOWN[0]["alert_rule_test"] if not check.get("exp_alerts")}
    assert SHOWN[0]["name"] == "all is well"
    assert fires == well == RULES.keys()


def test_in_the_good_case_each_metric_of_a_rule_has_values() -> None:
    """Else a rule would be silent there for want of data."""
    there = {metric.name for series in SHOWN[0]["input_series"] for metric, _, _ in selectors(series["series"])}
    wanted = {metric.name for rule in RULES.values() for metric, _, _ in selectors(rule["expr"])}
    assert wanted <= there


@pytest.mark.parametrize("name", RULES)
def test_rule_says_what_it_is_and_what_to_do(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert "{{ $labels.instance }}" in rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".") or rule["annotations"]["description"].endswith('".')


def test_page_for_operators_lists_the_rules_with_their_severity() -> None:
    listed = re.findall(r"^\| `(Sidecar\w+)` \| (\w+) \| [^|]{20,} \|$", text_of("docs/operating.md"), re.MULTILINE)
    assert listed == [(name, rule["labels"]["severity"]) for name, rule in RULES.items()]


def test_promtool_takes_the_rules_and_sees_each_fire(promtool: str) -> None:
    assert f"SUCCESS: {len(RULES)} rules found" in ran(promtool, "check", "rules", str(FOLDER / "rules.yml"))
    assert "SUCCESS" in ran(promtool, "test", "rules", str(FOLDER / "rules.test.yml"))


def test_rule_that_never_fires_would_be_noticed(promtool: str, tmp_path: Path) -> None:
    broken = [{**rule, "expr": f"({rule['expr']}) and vector(0) > 1"} for rule in RULES.values()]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "broken", "rules": broken}]}))
    shutil.copy(FOLDER / "rules.test.yml", tmp_path)
    done = subprocess.run([promtool, "test", "rules", tmp_path / "rules.test.yml"], capture_output=True, timeout=100)
    assert done.returncode == 1
    assert set(re.findall(r"alertname: (\w+),", done.stdout.decode() + done.stderr.decode())) == RULES.keys()


def test_promtool_takes_the_scrape_example_with_a_key_in_its_file(promtool: str, tmp_path: Path) -> None:
    there = shutil.copytree(FOLDER, tmp_path / "prometheus")
    (there / "sidecar_api_key").write_text("test-key-one-0123456789abcdef\n")
    assert "SUCCESS" in ran(promtool, "check", "config", str(there / "prometheus.yml"))


def test_promtool_reads_every_expression_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    every = [expression for place, expression in expressions() if place not in RULES][: len(TARGETS)]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(every)]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"SUCCESS: {len(TARGETS)} rules found" in ran(promtool, "check", "rules", str(tmp_path / "panels.yml"))


def test_promtool_finds_nothing_odd_in_the_page_of_metrics(promtool: str) -> None:
    with closing(Telemetry(lambda: UnixMillis(0), fd=os.open(os.devnull, os.O_WRONLY))) as telemetry:
        telemetry.service.started("0.1.0", "http://127.0.0.1:8077", "emulator")
        telemetry.service.trouble_raised("goal_paused", account="main", subject="Sale")
        telemetry.service.alert_posted("raised", "A trouble", 200, None)
        telemetry.intake.received("purchase", ("msclkid",))
        telemetry.delivery.settled("Sale", "delivered")
        telemetry.service.outbox_seen(Counts(1, 2, 3, 4, 5), Backlog(None, None))
        page = telemetry.metrics.exposition("")[0]
    assert ran(promtool, "check", "metrics", given=page) == ""
