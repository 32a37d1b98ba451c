"""Click ids in all their forms; where one is found in the address of a landing page, and when a warning says so."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.intake import click_ids
from sidecar.core.intake.fields import LONGEST_TEXT
from sidecar.core.intake.json_object import JsonObject, Shape
from sidecar.core.intake.problem import Findings
from sidecar.core.intake.shared_fields import read_msclkid

TABLE = json.loads((Path(__file__).parents[1] / "samples" / "landing_addresses.json").read_text("utf-8"))
"""Held against msclkid.js by tests/api/test_snippet.py."""

CLICK = "f894f652ea334e739002f7167ab8f8e3"
DASHED = "f894f652-ea33-4e73-9002-f7167ab8f8e3"


def found(name: str, address: str) -> tuple[str | None, list[tuple[str, str]]]:
    """The click id in the address, and the warnings."""
    findings = Findings()
    members = JsonObject({name: address}, Shape("", frozenset({name, "msclkid"})), findings)
    id_ = read_msclkid(members, name)
    assert not findings.problems
    return id_, [(warning.code, warning.field) for warning in findings.warnings]


@pytest.mark.parametrize("name", ["landing_url", "url"])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["address"])
def test_click_id_is_found_anywhere_in_an_address(name: str, row: dict[str, Any]) -> None:
    warnings = [("click_id_unusable", name)] if row["warned"] else []
    assert found(name, row["address"]) == (row["click_id"], warnings)


def test_ampersand_of_html_may_be_a_number() -> None:
    for written in ("&#38;", "&#038;", "&#x26;", "&#X26;", "&amp;#38;"):
        assert click_ids.find_in_url(f"/?a=1{written}msclkid={CLICK}") == CLICK


def test_address_that_is_too_long_is_left_out_with_a_warning() -> None:
    address = f"/?msclkid={CLICK}&x=" + "%" * LONGEST_TEXT
    assert found("url", address) == (None, [("click_id_unusable", "url")])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"https://shop.example/?msclkid={CLICK}", CLICK),
        (f"https://shop.example/p?a=1&msclkid={CLICK}&b=2#top", CLICK),
        (f"/p?MSCLKID={CLICK}", CLICK),
        (f"https://shop.example/?msclkid=%66{CLICK[1:]}", CLICK),
        (f"https://shop.example/?msclkid=old&x=1&msclkid={CLICK}", CLICK),
        ("https://shop.example/?msclkid=", None),
        ("https://shop.example/?msclkid", None),
        (f"https://shop.example/?notmsclkid={CLICK}", None),
        (f"https://shop.example/#msclkid={CLICK}", None),
        (f"https://shop.example/#/?msclkid={CLICK}", None),
        ("https://[broken/?msclkid=%zz%ff", None),
        ("https://shop.example/", None),
        ("", None),
    ],
)
def test_last_usable_click_id_of_a_landing_url_is_found(url: str, expected: str | None) -> None:
    assert click_ids.find_in_url(url) == expected


# --- Forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [CLICK, DASHED, f"_uet{CLICK}", f"_uet{DASHED}", f" {CLICK}\n"]
    + [f"{id_}{suffix}" for id_ in (CLICK, DASHED) for suffix in ("-0", "-1", "N", "0N", "1N", "-0N", "-1N")],
)
def test_click_id_is_the_same_in_all_its_forms(written: str) -> None:
    assert click_ids.normalise(written) == CLICK


@pytest.mark.parametrize("id_", [CLICK.upper(), "F894f652eA334e739002f7167ab8f8E3", "01234567890123456789012345678901"])
def test_click_id_keeps_its_case_and_any_bits(id_: str) -> None:
    assert click_ids.normalise(id_) == id_


@pytest.mark.parametrize(
    "written",
    [
        *("", "N", CLICK[:-1], CLICK + "0", CLICK + "-2", CLICK + "n", "g" + CLICK[1:], f"uet{CLICK}", CLICK * 2),
        *(DASHED[:-1], "f894-f652ea334e739002f7167ab8f8e3", "{" + DASHED + "}", "٠" * 32, "Example-123"),
    ],
)
def test_anything_else_is_no_click_id(written: str) -> None:
    assert click_ids.normalise(written) is None


@given(st.from_regex(r"[0-9A-Fa-f]{32}", fullmatch=True), st.sampled_from(["{}", "_uet{}", "{}-1", "{}N", " {}"]))
def test_canonical_form_of_any_click_id_is_stable(id_: str, form: str) -> None:
    assert click_ids.normalise(form.format(id_)) == click_ids.normalise(id_) == id_
