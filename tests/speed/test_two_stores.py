"""`make bench`: the lines of PostgreSQL beside SQLite, and that their trials run from beginning to end."""

import re
from pathlib import Path

import pytest

from bench import postgres, two_stores
from bench.report import Line
from bench.two_stores import Cost, Pairs

pytestmark = pytest.mark.skipif(not postgres.is_installed(), reason="no PostgreSQL server is installed")


def test_ratios_are_those_of_one_round_without_and_with_the_server() -> None:
    pairs = Pairs()
    for scale in (1, 2):  # the second round's machine is half as quick
        pairs.of["sqlite"].append(Cost(100.0 * scale))
        pairs.of["postgres"].append(Cost(120.0 * scale, 80.0 * scale))
    assert pairs.ratios() == "1.20 [1.20..1.20], with the server 2.00 [2.00..2.00]"
    assert pairs.figures("{:.0f}") == "SQLite 150 [100..200], PostgreSQL 180 [120..240] + 120 [80..160]"


def test_work_of_the_server_counts_also_when_its_process_has_ended() -> None:
    with postgres.server() as server:
        before = server.cpu_seconds()
        for _ in range(3):
            server.database()  # over a connection, so in a process, of its own
        assert server.cpu_seconds() > before


@pytest.mark.timeout(300)
def test_claims_of_both_stores_are_measured_beside_few_and_beside_many(tmp_path: Path) -> None:
    few, many, growth = two_stores.claims(tmp_path, 12_000, 1, 2)
    for line in (few, many):
        assert re.fullmatch(r"\d.*, with the server \d.*; SQLite \d.*, PostgreSQL \d.* \+ \d.* ms", line.figure)
    assert float(growth.figure) > 0
    assert growth.target == "<= 1.5 x"


@pytest.mark.timeout(300)
def test_intake_of_both_stores_is_measured_to_delivered(tmp_path: Path) -> None:
    lines: list[Line] = list(two_stores.intake(tmp_path, 1, 0.3))
    assert len(lines) == 2 * 3
    for line in lines:
        assert re.match(r"\d+\.\d\d", line.figure), line
