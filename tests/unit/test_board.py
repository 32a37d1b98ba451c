"""Which troubles are active, what ends them, and how equal events become one."""

import pytest

from sidecar.core.instant import UnixMillis
from sidecar.telemetry.active_troubles import FADE_MILLIS, ActiveTrouble, Board
from sidecar.telemetry.aggregator import MAX_CODES, WINDOW_MILLIS, Aggregator
from sidecar.telemetry.event_names import REFUSED
from sidecar.troubles import CATALOGUE, End


def raised(board: Board, code: str, now: int, **facts: str) -> ActiveTrouble | None:
    at = UnixMillis(now)
    given = {"account": None, "subject": None, "detail": None, **facts}
    return board.add(ActiveTrouble(code=code, since=at, seen_at=at, **given))


def test_trouble_is_new_once_and_then_only_counted() -> None:
    board = Board()
    assert raised(board, "throttled", 1_000, account="a") is not None
    assert raised(board, "throttled", 2_000, account="a", detail="117") is None
    (active,) = board.active()
    assert (active.since, active.seen_at, active.count, active.detail) == (1_000, 2_000, 2, "117")


def test_repeat_without_detail_keeps_the_last_one() -> None:
    board = Board()
    raised(board, "unreachable", 1, detail="connection refused")
    raised(board, "unreachable", 2)
    assert board.active()[0].detail == "connection refused"


def test_equal_code_of_another_account_or_goal_is_another_trouble() -> None:
    board = Board()
    for account, goal in (("a", "G1"), ("a", "G2"), ("b", "G1")):
        assert raised(board, "goal_not_found", 1, account=account, subject=goal) is not None
    assert [(s.account, s.subject) for s in board.active(account="a")] == [("a", "G1"), ("a", "G2")]
    assert len(board.active("goal_not_found")) == 3
    assert board.active("throttled") == []


def test_trouble_that_was_cleared_is_new_when_it_comes_again() -> None:
    board = Board()
    raised(board, "throttled", 1)
    (active,) = board.active()
    board.remove(active)
    board.remove(active)
    assert board.find("throttled") is None
    assert raised(board, "throttled", 2) is not None


def test_trouble_carries_its_remedy_and_one_line_for_people() -> None:
    board = Board()
    found = raised(board, "goal_not_found", 1, subject="Sidecar Purchase", detail="5606")
    assert found is not None
    assert found.trouble is CATALOGUE["goal_not_found"]
    assert found.message == "Conversion goal not found: Sidecar Purchase (5606)"


def test_trouble_names_its_account_as_soon_as_there_are_several() -> None:
    board = Board()
    board.set_accounts(["main"])
    raised(board, "goal_not_found", 1, account="main", subject="Sidecar Purchase")
    raised(board, "storage_failed", 2)
    raised(board, "paused_by_operator", 3, account="main", subject="main")
    alone = ["Conversion goal not found: Sidecar Purchase", "The outbox cannot be written"]
    paused = "Account paused by an operator: main"
    assert [active.message for active in board.active()] == [*alone, paused]
    board.set_accounts(["main", "us"])
    found = raised(board, "throttled", 4, account="us")
    assert found is not None
    assert found.message == "us: Throttled by Microsoft"
    named = ["main: Conversion goal not found: Sidecar Purchase", alone[1], paused, found.message]
    assert [active.message for active in board.active()] == named
    found = board.find("goal_not_found", account="main", subject="Sidecar Purchase")
    assert found is not None
    assert found.message == named[0]


def test_goal_that_one_account_uses_no_more_is_left_there_alone() -> None:
    board = Board()
    for account in ("a", "b"):
        raised(board, "goal_not_found", 1, account=account, subject="Sale")
    left = board.left({"a", "b"}, {("b", "Sale")})
    assert [(one.account, one.subject) for one in left] == [("a", "Sale")]


def test_trouble_of_an_account_that_left_names_it_beside_the_only_one_that_stayed() -> None:
    board = Board()
    board.set_accounts(["main"])
    found = raised(board, "unmapped", 1, account="us", subject="purchase")
    assert found is not None
    assert found.message == "us: Event or account no longer configured: purchase"


def test_end_of_one_account_s_troubles_leaves_those_of_others() -> None:
    board = Board()
    for code, account in (("unreachable", "a"), ("unreachable", "b"), ("unmapped", "a"), ("goal_paused", "a")):
        raised(board, code, 1, account=account, subject="s")
    assert [(one.code, one.account) for one in board.ended_by(End.ANSWER, "a")] == [("unreachable", "a")]
    assert len(board.ended_by(End.ANSWER)) == 2


def test_only_troubles_that_end_with_time_fade() -> None:
    board = Board()
    raised(board, "row_retried", 1)
    raised(board, "goal_not_found", 1)
    assert board.faded(UnixMillis(FADE_MILLIS)) == []
    assert [one.code for one in board.faded(UnixMillis(FADE_MILLIS + 1))] == ["row_retried"]


def test_trouble_that_is_not_in_the_catalogue_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="no trouble is called nonsense"):
        raised(Board(), "nonsense", 1)


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
