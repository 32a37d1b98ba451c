"""What answers say to a person: problems field by field, rows with their remedy, and nothing that steers a terminal."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.cli import formatting


@given(st.text())
def test_shown_text_stays_on_one_line_and_steers_no_terminal(text: str) -> None:
    assert formatting.plain(text).isprintable()


def test_printable_text_is_shown_as_it_is() -> None:
    assert formatting.plain("café №1, 日本") == "café №1, 日本"


PROBLEMS: list[tuple[int, dict[str, Any], list[str]]] = [
    (
        422,
        {
            "title": "Not valid",
            "detail": "value must not be negative; time is bad",
            "errors": [{"field": "value", "message": "must not be negative"}, {"field": "time", "message": "is bad"}],
        },
        ["Not valid (HTTP 422)", "  value: must not be negative", "  time: is bad"],
    ),
    (
        503,
        {"title": "Later", "detail": "Disk nearly full.", "errors": [{"field": "", "message": "Free space."}]},
        ["Later (HTTP 503)", "  Disk nearly full.", "  What to do: Free space."],
    ),
    (
        404,
        {
            "title": "Not here",
            "detail": "It names no conversion; give original. It came and was skipped.",
            "errors": [{"field": "", "message": "names no conversion; give original"}],
        },
        ["Not here (HTTP 404)", "  It names no conversion; give original. It came and was skipped."],
    ),
    (
        400,
        {"title": "Sign-in expired", "detail": "Too late.", "fix": "Start again."},
        ["Sign-in expired (HTTP 400)", "  Too late.", "  What to do: Start again."],
    ),
    (500, {}, ["Refused (HTTP 500)"]),
]


@pytest.mark.parametrize(("status", "body", "lines"), PROBLEMS)
def test_problem_is_reported_once_field_by_field_with_what_to_do(
    status: int, body: dict[str, Any], lines: list[str]
) -> None:
    assert formatting.problem(status, body).split("\n") == lines


def test_missing_key_shows_where_to_name_it() -> None:
    assert "--api-key or $SIDECAR_API_KEY" in formatting.problem(401, {"title": "A key is needed"})


def test_row_shows_state_reason_warnings_and_remedy() -> None:
    answer = {
        "id": "conv_1",
        "state": "pending",
        "reason": "goal_not_found",
        "matched_by": ["msclkid", "email"],
        "warnings": [{"field": "user.phone", "message": "was left out"}],
        "error": None,
        "message": "Microsoft knows no such goal.",
        "fix": "Create it.",
    }
    assert list(formatting.row(answer)) == [
        "conv_1: pending (goal_not_found)",
        "  can be matched by: msclkid, email",
        "  warning, user.phone: was left out",
        "  message: Microsoft knows no such goal.",
        "  What to do: Create it.",
    ]


def test_warning_about_the_whole_names_no_field() -> None:
    warning = {"code": "not_repeatable", "field": "", "message": "give an order_id"}
    assert "  warning: give an order_id" in list(formatting.row({"state": "pending", "warnings": [warning]}))


def test_array_is_reported_by_counts_and_item_by_item() -> None:
    results = [
        {"index": 0, "status": 202, "id": "conv_1", "state": "pending"},
        {"index": 1, "status": 422, "errors": [{"field": "event", "message": "is unknown"}]},
    ]
    told = list(formatting.rows({"accepted": 1, "replayed": 0, "skipped": 0, "rejected": 1, "results": results}))
    assert told == [
        "1 accepted, 0 replayed, 0 skipped, 1 rejected",
        "conv_1: pending",
        "item 1: refused (HTTP 422)",
        "  event: is unknown",
    ]


CORRECTION = {"id": "adj_3", "kind": "adjustment", "state": "pending", "order_id": "A-1", "conversion_id": "conv_2"}


@pytest.mark.parametrize(
    ("more", "lines"),
    [
        (
            {"type": "restate", "value": 15.5, "currency": "USD", "due_at": "2026-11-23T20:30:45Z"},
            ["  restates conv_2 (order A-1) to 15.5 USD", "  goes out at 2026-11-23T20:30:45Z at the earliest"],
        ),
        ({"type": "retract", "state": "delivered", "due_at": None}, ["  takes back conv_2 (order A-1)"]),
        (
            {"type": "retract", "conversion_id": None, "order_id": None},
            ["  takes back one that was uploaded elsewhere"],
        ),
    ],
    ids=str,
)
def test_adjustment_shows_what_it_does_to_which_conversion_and_when(more: dict[str, Any], lines: list[str]) -> None:
    assert list(formatting.row({**CORRECTION, "matched_by": ["msclkid"], **more}))[1:] == lines


@pytest.mark.parametrize(("reason", "told"), [("no_identifier", "match it by"), ("consent_denied", "did not agree")])
def test_what_is_not_stored_shows_why(reason: str, told: str) -> None:
    first, why = formatting.row({"state": "skipped", "reason": reason, "warnings": []})
    assert (first, told in why) == (f"not stored: skipped ({reason})", True)
    assert len(list(formatting.row({"id": "conv_1", "state": "skipped", "reason": reason}))) == 1
