"""`make bench`: what it prints, and that trials run from beginning to end; never how quick anything is."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench import at_limit
from bench.__main__ import TRIALS
from bench.bodies import Bodies
from bench.delivered import Delivered
from bench.intake import Load, Rounds
from bench.load import percentiles
from bench.neighbours import Reading, cores_of_others
from bench.report import Line, as_json, spread, table
from bench.unpinned import Shape, Trial, lines, measure
from sidecar.core.intake import emails, phones
from sidecar.core.intake.json_text import parse

ROOT = Path(__file__).parent.parent.parent

PAGE = (ROOT / "docs/performance.md").read_text()


@pytest.mark.parametrize(
    ("values", "shown"), [([3.0], "3.00"), ([3.0, 1.0, 2.0], "2.00 [1.00..3.00]"), ([1.0, 2.0], "1.50 [1.00..2.00]")]
)
def test_spread_is_the_median_and_how_far_the_repeats_were_apart(values: list[float], shown: str) -> None:
    assert spread(values) == shown


def test_table_says_pass_and_short_and_nothing_where_nothing_is_demanded() -> None:
    lines = [Line("a", ">= 1", "2", True), Line("b", ">= 1", "0.5", False, "no core left"), Line("c", "printed", "7")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table(lines).splitlines()[2:]]
    assert rows == [
        ["a", ">= 1", "2", "pass"],
        ["b", ">= 1", "0.5 (no core left)", "SHORT"],
        ["c", "printed", "7", "-"],
    ]
    assert [line["verdict"] for line in json.loads(as_json(lines))] == ["pass", "SHORT", "-"]


def test_ratios_are_those_of_one_round() -> None:
    """What is compared ran in turn: each run is held against the one beside it, not against a mean of all."""
    rounds = Rounds()
    for scale in (1, 2):  # the second round's machine is half as quick
        rounds.add("ours", Load(conversions=100, seconds=2.0 * scale, cpu_seconds=1.0 * scale, p99_ms=0))
        rounds.add("bare", Load(conversions=100, seconds=1.0 * scale, cpu_seconds=0.25 * scale, p99_ms=0))
    assert rounds.cpu_ratio("ours", "bare") == [0.25, 0.25]
    assert rounds.rate_ratio("ours", "bare") == [0.5, 0.5]


def test_percentiles_are_milliseconds_of_the_slow_end() -> None:
    took = percentiles([number / 1_000 for number in range(1_001)])
    assert took == pytest.approx({"p50": 500, "p99": 990, "p999": 999})


def test_conversion_is_measured_in_requests_of_the_bare_handler_of_its_round() -> None:
    trial = Trial()
    for scale in (1, 2):  # the second round's machine is half as quick
        ours = Delivered(1_000, 1.0, 0.5 * scale, p99_ms=12.0 * scale, cpu_by_thread={"writer": 0.2}, memory=91.0)
        trial.add("sidecar", replace(ours, delivered_seconds=2.0))
        trial.add("bare", Load(1_000, 1.0, 0.1 * scale, p99_ms=2.0 * scale))
    short = Shape(0, 32, most_cpu=4.0, most_p99=6.0, most_memory=90.0)
    seen = {line.what.removeprefix(f"{short}: "): line for line in lines(short, trial)}
    cost = seen["CPU of a conversion, to delivered, in requests of bare"]
    assert (cost.target, cost.verdict) == ("<= 4", "SHORT")
    assert cost.figure.startswith("5.00 [5.00..5.00]; 750 [500..1000] us, bare 150 [100..200]")
    assert seen["p99 in those of bare"].verdict == "pass"
    assert (seen["most memory meanwhile"].target, seen["most memory meanwhile"].verdict) == ("<= 90 MiB", "SHORT")
    assert seen["CPU microseconds by thread"].figure == "writer 200.0"


@pytest.mark.parametrize(
    ("p99", "share", "verdict"), [(149.0, 0.95, "pass"), (151.0, 0.95, "SHORT"), (149.0, 0.94, "SHORT")]
)
def test_limit_is_reached_only_with_quick_answers_beside_it(p99: float, share: float, verdict: str) -> None:
    line = at_limit.line([Load(100_000, 10.0, 5.0, p99_ms=p99)], [share])
    assert (line.target, line.verdict) == ("<= 150 ms, >= 95%", verdict)


def test_work_of_others_is_all_work_without_that_of_the_bench_and_its_processes() -> None:
    assert cores_of_others(Reading(0.0, 100.0, 10.0), Reading(10.0, 120.0, 25.0)) == 0.5
    before = Reading.now()
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"], check=True)
    after = Reading.now()
    assert after.own - before.own >= 0.3
    assert after.busy - before.busy >= 0.25  # both cores count in ticks of their own


def test_load_needs_every_step_of_normalising() -> None:
    """An order that were normalised already would flatter us."""
    bodies = Bodies(2)
    first, second, third = *parse(bodies.next()), parse(bodies.next())[0]
    assert len({order["order_id"] for order in (first, second, third)}) == 3
    for order in (first, second, third):
        assert emails.normalise(order["user"]["email"]) not in (None, order["user"]["email"])
        assert phones.normalise(order["user"]["phone"]) not in (None, order["user"]["phone"])


def test_page_explains_every_trial() -> None:
    assert {name for name in TRIALS if f"| `{name}` |" not in PAGE} == set()


def _run(*names: str) -> dict[str, dict[str, object]]:
    """The lines of these trials in small, by what each is about."""
    command = [sys.executable, "-m", "bench", "--quick", "--repeats", "1", "--json", "--only", *names]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return {line["what"]: line for line in json.loads(ran.stdout)}


@pytest.mark.timeout(300)
def test_headline_and_steps_run_from_request_to_delivered() -> None:
    lines = _run("headline", "steps")
    [headline] = [line for what, line in lines.items() if what.startswith("rows a CPU second")]
    assert (headline["target"], headline["verdict"]) == (">= 22,000", "pass" if headline["passed"] else "SHORT")
    assert _first_number(headline) > 0
    whole = _first_number(lines["all steps, without HTTP, TLS and threads"])
    steps = [_first_number(line) for what, line in lines.items() if what.startswith("step: ")]
    assert len(steps) >= 10
    assert sum(steps) == pytest.approx(whole, abs=1 + len(steps) * 0.05)


@pytest.mark.timeout(300)
def test_unpinned_trial_posts_delivers_and_knows_the_threads(tmp_path: Path) -> None:
    shape = Shape(10, 4)
    seen = {line.what.removeprefix(f"{shape}: "): line.figure for line in measure(tmp_path, [shape], 1, 2.0)}
    whole = re.search(r"; (\d+) us, bare \d+", seen["CPU of a conversion, to delivered, in requests of bare"])
    assert whole is not None, seen
    threads = dict(re.findall(r"([a-z ]+[a-z]) (-?[\d.]+)", seen["CPU microseconds by thread"]))
    assert {"event loop", "writer"} <= {name.strip() for name in threads}
    assert sum(map(float, threads.values())) == pytest.approx(float(whole[1]), abs=1)  # both are rounded
    rates = re.match(r"(\d+) accepted, (\d+) delivered; bare (\d+)", seen["conversions a second"])
    assert rates is not None, seen
    assert 0 < int(rates[2]) <= int(rates[1])
    assert re.fullmatch(r"\d+ MiB", seen["most memory meanwhile"])


def _first_number(line: dict[str, object]) -> float:
    found = re.match(r"[\d.]+", str(line["figure"]))
    assert found is not None, line
    return float(found[0])
