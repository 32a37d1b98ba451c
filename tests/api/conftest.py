"""Fixtures of the API's tests; what they are made of is in `api_kit`.

Modules whose subject is rows run over each store there is. The others (requests as bytes, limits, pages) run over a
file: what they are about ends before the store.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_kit import api, conversion, open_api
from place_kit import PLACES, OutboxPlace

__all__ = ["api", "conversion", "open_api"]

OF_ROWS = (
    *("test_adjustment_calls", "test_api_rows", "test_click_calls", "test_collect", "test_erasures", "test_explain"),
    *("test_logs", "test_operate", "test_overview_calls", "test_status", "test_unstored_orders"),
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "outbox_place" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in OF_ROWS:
        metafunc.parametrize("outbox_place", PLACES, indirect=True)


@pytest.fixture
def outbox_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OutboxPlace]:
    """Where the outbox of the API lies."""
    with PLACES[getattr(request, "param", "sqlite")](tmp_path) as place:
        yield place
