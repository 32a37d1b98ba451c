"""The names that the log's filter offers are those of the journal."""

import re
from pathlib import Path

from sidecar.telemetry.event_names import NAMES

OFFERED = Path(__file__).parents[2] / "sidecar" / "dashboard" / "static" / "views" / "log-names.js"


def test_filter_offers_each_name_that_is_stored() -> None:
    offered = re.findall(r'"(\w+)"', OFFERED.read_text("utf-8"))
    assert offered == sorted(name for name, declared in NAMES.items() if declared.stored)
