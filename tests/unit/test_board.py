"""Which troubles stand, and how equal facts are gathered."""

import pytest

from sidecar.telemetry.aggregator import MAX_CODES, WINDOW_MILLIS, Aggregator
from sidecar.telemetry.board import Board
from sidecar.telemetry.names import REFUSED
from sidecar.troubles import CATALOGUE


def test_trouble_is_new_once_and_then_only_counted() -> None:
    board = Board()
    assert board.raise_("throttled", 1_000, account="a") is not None
    assert board.raise_("throttled", 2_000, account="a", detail="117") is None
    (standing,) = board.active()
    assert (standing.since, standing.seen_at, standing.count, standing.detail) == (1_000, 2_000, 2, "117")


def test_repeat_without_detail_keeps_the_last_one() -> None:
    board = Board()
    board.raise_("unreachable", 1, detail="connection refused")
    board.raise_("unreachable", 2)
    assert board.active()[0].detail == "connection refused"


def test_equal_code_of_another_account_or_goal_is_another_trouble() -> None:
    board = Board()
    for account, goal in (("a", "G1"), ("a", "G2"), ("b", "G1")):
        assert board.raise_("goal_not_found", 1, account=account, subject=goal) is not None
    assert [(s.account, s.subject) for s in board.active(account="a")] == [("a", "G1"), ("a", "G2")]
    assert len(board.active("goal_not_found")) == 3
    assert board.active("throttled") == []


def test_trouble_that_was_cleared_is_new_when_it_comes_again() -> None:
    board = Board()
    board.raise_("throttled", 1)
    assert board.clear("throttled") is not None
    assert board.clear("throttled") is None
    assert board.find("throttled") is None
    assert board.raise_("throttled", 2) is not None


def test_trouble_carries_its_remedy_and_one_line_for_people() -> None:
    board = Board()
    raised = board.raise_("goal_not_found", 1, subject="Sidecar Purchase", detail="5606")
    assert raised is not None
    assert raised.trouble is CATALOGUE["goal_not_found"]
    assert raised.message == "Conversion goal not found: Sidecar Purchase (5606)"


def test_trouble_names_its_account_as_soon_as_there_are_several() -> None:
    board = Board()
    board.set_accounts(["main"])
    board.raise_("goal_not_found", 1, account="main", subject="Sidecar Purchase")
    board.raise_("storage_failed", 2)
    board.raise_("paused_by_operator", 3, account="main", subject="main")
    alone = ["Conversion goal not found: Sidecar Purchase", "The outbox cannot be written"]
    paused = "Account paused by an operator: main"
    assert [standing.message for standing in board.active()] == [*alone, paused]
    board.set_accounts(["main", "us"])
    raised = board.raise_("throttled", 4, account="us")
    assert raised is not None
    assert raised.message == "us: Throttled by Microsoft"
    named = ["main: Conversion goal not found: Sidecar Purchase", alone[1], paused, raised.message]
    assert [standing.message for standing in board.active()] == named
    over = board.clear("goal_not_found", account="main", subject="Sidecar Purchase")
    assert over is not None
    assert over.message == named[0]


def test_trouble_of_an_account_that_left_names_it_beside_the_only_one_that_stayed() -> None:
    board = Board()
    board.set_accounts(["main"])
    raised = board.raise_("unmapped", 1, account="us", subject="purchase")
    assert raised is not None
    assert raised.message == "us: Event or account no longer configured: purchase"


def test_trouble_that_is_not_in_the_catalogue_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="no trouble is called nonsense"):
        Board().raise_("nonsense", 1)


def test_equal_facts_are_one_after_the_window() -> None:
    aggregator = Aggregator()
    aggregator.add(REFUSED, "unknown_event", 1, 0)
    aggregator.add(REFUSED, "unknown_event", 2, WINDOW_MILLIS - 1)
    aggregator.add(REFUSED, "too_old", 1, WINDOW_MILLIS - 1)
    assert list(aggregator.take(WINDOW_MILLIS - 1)) == []
    assert list(aggregator.take(WINDOW_MILLIS)) == [(REFUSED, "unknown_event", 3)]
    assert list(aggregator.take(None)) == [(REFUSED, "too_old", 1)]
    assert list(aggregator.take(None)) == []


def test_clock_that_was_set_back_does_not_hold_gathered_facts() -> None:
    aggregator = Aggregator()
    aggregator.add(REFUSED, "too_old", 1, 1_000_000)
    assert list(aggregator.take(10)) == [(REFUSED, "too_old", 1)]


def test_endless_codes_do_not_fill_memory() -> None:
    aggregator = Aggregator()
    for number in range(MAX_CODES + 50):
        aggregator.add(REFUSED, f"code_{number}", 1, 0)
    counts = {code: count for _, code, count in aggregator.take(None)}
    assert len(counts) == MAX_CODES + 1
    assert counts["other"] == 50
