"""The formulas of docs/scaling.md agree with a simulation of replicas, accounts, group commits and pace."""

from dataclasses import replace
from statistics import mean

import pytest
from docs_page import text_of

from bench.capacity import (
    Costs,
    Demand,
    Machines,
    answer_seconds,
    group_rows,
    most_rows_of_an_account,
    planned,
    replica_cores,
    requests_a_second,
    told,
)
from bench.simulation import Seen, Simulation, World

COSTS = Costs()


def played(replicas: int, accounts: int, rows_a_second: float, seconds: float, linger: float = 2.0) -> Seen:
    return Simulation(World(replicas, accounts, rows_a_second, linger, COSTS), 17, 2 * linger, seconds).run()


@pytest.mark.parametrize("rows_a_second", [500.0, 3_000.0, 12_000.0, 24_000.0])
def test_groups_and_answers_are_as_the_formula_says(rows_a_second: float) -> None:
    """From a writer that is mostly idle to one that is busy all the time."""
    seen = played(1, 100, rows_a_second, 20_000 / rows_a_second)
    assert mean(seen.answers) == pytest.approx(answer_seconds(rows_a_second, COSTS), rel=0.15)
    if rows_a_second >= 3_000:
        assert mean(seen.groups) == pytest.approx(group_rows(rows_a_second, COSTS), rel=0.15)


@pytest.mark.parametrize(
    ("accounts", "rows_a_second", "linger"),
    [(1_000, 200.0, 2.0), (1_000, 2_000.0, 2.0), (20, 4_000.0, 2.0), (5, 10_000.0, 2.0), (100, 1_000.0, 10.0)],
)
def test_requests_are_as_the_formula_says(accounts: int, rows_a_second: float, linger: float) -> None:
    """From batches of one row to full ones."""
    seen = played(3, accounts, rows_a_second, 10.0, linger)
    assert seen.requests_a_second == pytest.approx(requests_a_second(rows_a_second, accounts, linger), rel=0.1)


def test_batch_of_an_account_waits_for_linger_and_for_the_answer() -> None:
    seen = played(3, 200, 1_000.0, 20.0)
    assert mean(seen.delays) == pytest.approx(2.0 + 0.3, rel=0.05)


def test_account_beyond_microsofts_limit_is_sent_at_it() -> None:
    seen = Simulation(World(3, 1, 25_000.0, 2.0, COSTS, in_flight=64), 17, 2.0, 4.0).run()
    assert sum(seen.batches) / seen.seconds == pytest.approx(most_rows_of_an_account(), rel=0.05)


def test_same_seed_plays_the_same_run() -> None:
    assert played(3, 20, 1_000.0, 5.0) == played(3, 20, 1_000.0, 5.0)


def test_more_conversions_need_more_of_everything() -> None:
    small, large = (planned(Demand(conversions_a_day=number)) for number in (1e8, 1e9))
    assert large.groups > small.groups and large.replicas > small.replicas
    assert large.stored_bytes == pytest.approx(10 * small.stored_bytes)


def test_what_is_scarce_makes_another_database() -> None:
    day = Demand()
    assert planned(day).limited_by == "disk"
    assert planned(day, machines=Machines(database_bytes=1e15, database_cores=1)).limited_by == "processor"
    assert planned(day, machines=Machines(database_bytes=1e15, wal_bytes_a_second=1e6)).limited_by == "log"


def test_linger_saves_requests_and_arrays_save_calls() -> None:
    day = Demand(accounts=1_000)
    assert replica_cores(replace(day, linger_seconds=10.0), COSTS) < replica_cores(day, COSTS)
    assert replica_cores(replace(day, array=1), COSTS) > replica_cores(day, COSTS)


def test_page_shows_the_plan_that_the_model_prints() -> None:
    shown = "\n".join(f"    {line}" for line in told(Demand(), planned(Demand())).splitlines())
    assert shown in text_of("docs/scaling.md")
