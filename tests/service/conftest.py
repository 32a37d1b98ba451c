"""Sidecars over a file or a server: the tests whose subject is what a process does with its store run over both.

Of the others, most are about something else (keys, pages, proxies, packages): one start tells as much as two. Some are
about the file itself.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from place_kit import PLACES, OutboxPlace
from process_kit.running import Starter
from process_kit.service import FILE_URL, Services

OVER_BOTH = (
    "test_sigterm_under_load_exits_with_0_within_15_seconds_and_loses_nothing",
    "test_second_sigterm_ends_it_at_once",
    "test_restart_with_the_embedded_emulator_goes_on_delivering",
    "test_sighup_takes_up_new_events_and_a_broken_file_changes_nothing",
    "test_every_accepted_order_of_a_shop_reaches_microsoft_once_through_every_trouble",
    "test_all_69659_orders_reach_microsoft_once_through_every_trouble",
    "test_nothing_that_identifies_the_person_is_left_in_database_or_log",
    "test_no_person_and_no_secret_turns_up_in_files_output_journal_or_answers",
    "test_rows_of_what_left_the_configuration_wait_visibly_and_go_out_when_it_returns",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.function.__name__ in OVER_BOTH:
        metafunc.parametrize("outbox_place", PLACES, indirect=True)


@pytest.fixture
def outbox_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OutboxPlace]:
    """Where the outbox lies."""
    with PLACES[getattr(request, "param", "sqlite")](tmp_path) as place:
        yield place


@pytest.fixture
async def services(starter: Starter, outbox_place: OutboxPlace) -> AsyncIterator[Services]:
    """Starts sidecars over that place, and a client session to call them."""
    url = FILE_URL if outbox_place.url.startswith("sqlite") else outbox_place.url
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Services(starter, session, url)
