"""Where a click id is found in the address of a landing page, and when a word says that it was not found."""

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.intake import identity, origin
from sidecar.core.intake.fields import LONGEST_TEXT
from sidecar.core.intake.members import Members, Shape
from sidecar.core.problem import Findings

TABLE = json.loads((Path(__file__).parents[1] / "samples" / "landing_addresses.json").read_text("utf-8"))
"""Held against msclkid.js by tests/api/test_snippet.py."""

CLICK = "f894f652ea334e739002f7167ab8f8e3"


def found(name: str, address: str) -> tuple[str | None, list[tuple[str, str]]]:
    """The click id in the address, and the warnings."""
    findings = Findings()
    members = Members({name: address}, Shape("", frozenset({name, "msclkid"})), findings)
    id_ = origin.msclkid(members, name)
    assert not findings.problems
    return id_, [(warning.code, warning.field) for warning in findings.warnings]


@pytest.mark.parametrize("name", ["landing_url", "url"])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["address"])
def test_click_id_is_found_wherever_it_stands_in_an_address(name: str, row: dict[str, Any]) -> None:
    warnings = [("click_id_unusable", name)] if row["warned"] else []
    assert found(name, row["address"]) == (row["click_id"], warnings)


def test_ampersand_of_html_may_be_a_number() -> None:
    for written in ("&#38;", "&#038;", "&#x26;", "&#X26;", "&amp;#38;"):
        assert identity.click_id_in(f"/?a=1{written}msclkid={CLICK}") == CLICK


def test_address_that_is_too_long_is_left_out_with_a_warning() -> None:
    address = f"/?msclkid={CLICK}&x=" + "%" * LONGEST_TEXT
    assert found("url", address) == (None, [("click_id_unusable", "url")])
