"""Real processes for the tests of service and faults; each process that a test starts is ended with it, by its pid.

And the promises: what tests show of them is gathered, and printed at the end of a run with `--promises`.
"""

import os
import signal
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import aiohttp
import postgres_kit
import pytest
from hypothesis import HealthCheck, settings
from place_kit import PLACES, OutboxPlace
from process_kit.running import Starter
from process_kit.service import Services
from promises import BY_ID, PROMISES, Results, Show, Shown

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job; what it starts would ignore it too
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
async def starter(tmp_path: Path) -> AsyncIterator[Starter]:
    """Starts processes in the test's own folder."""
    starter = Starter(tmp_path)
    yield starter
    await starter.end_all()


@pytest.fixture
async def services(starter: Starter) -> AsyncIterator[Services]:
    """Starts sidecars, and a client session to call them."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Services(starter, session)


# --- Stores ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=PLACES)
def outbox_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OutboxPlace]:
    """Where the outbox of a test about behaviour lies: it runs once over a file and once over a server."""
    with PLACES[request.param](tmp_path) as place:
        yield place


# --- Properties ------------------------------------------------------------------------------------------------------

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""How long an example takes depends on what else the machine does; a test that hangs has its own timeout."""

settings.register_profile("same each time", UNTIMED, derandomize=True)
settings.register_profile("other each time", UNTIMED, print_blob=True)


# --- Skips ------------------------------------------------------------------------------------------------------------

SKIPS_FAIL = os.environ.get("SIDECAR_SKIPS") == "fail"
"""Where everything is installed that any test needs, one that is skipped has lost it."""

# --- Promises --------------------------------------------------------------------------------------------------------

RESULTS = pytest.StashKey[Results]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promises", action="store_true", help="a line for each promise, failing unless all are kept")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RESULTS] = Results()
    if not hasattr(config, "workerinput"):
        postgres_kit.prepare()
    settings.load_profile("other each time" if config.getoption("promises") else "same each time")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        postgres_kit.finish()


def pytest_report_header() -> list[str]:
    without = "no PostgreSQL server is installed: of the tests over both stores the SQLite half runs alone"
    return [] if postgres_kit.binaries() else [without]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        unknown = set(_promises_of(item)) - set(BY_ID)
        if unknown:
            raise pytest.UsageError(f"{item.nodeid}: no promise {', '.join(sorted(unknown))}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and SKIPS_FAIL:
        report.outcome = "failed"
    if report.failed:
        for promise_id in _promises_of(item):
            item.config.stash[RESULTS].broken[promise_id].append(item.nodeid)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("promises"):
        terminalreporter.section("promises")
        for promise in PROMISES:
            terminalreporter.line(config.stash[RESULTS].line(promise))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("promises") and session.exitstatus == 0 and session.config.stash[RESULTS].failed:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _promises_of(item: pytest.Item) -> list[str]:
    return [promise_id for mark in item.iter_markers("promise") for promise_id in mark.args]


@pytest.fixture
def shown(request: pytest.FixtureRequest) -> Show:
    """Tells what a test saw of the promise of its mark, or of the one that is named: `shown("500 kills", lost=0)`."""
    own = _promises_of(request.node)

    def show(tried: str, lost: int, figure: str = "", promise: str | None = None) -> None:
        promise_id = promise or own[0]
        assert promise_id in own, f"mark the test with {promise_id} too"
        request.config.stash[RESULTS].shown[promise_id].append(Shown(tried, lost, figure))
        assert lost == 0, f"{promise_id}: {BY_ID[promise_id].sentence}: {lost} of {tried}"

    return show
