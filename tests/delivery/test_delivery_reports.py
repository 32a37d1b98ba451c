"""Microsoft's verdict is read round after round, also where its report is odd, and stands beside what was sent."""

from collections.abc import Mapping
from typing import Any

import pytest
from delivery_kit import DAY, HOUR, MINUTE, Rig
from delivery_ledger import ACCOUNT_IDS

from sidecar.core.goal_days import DayVerdict, day_of
from sidecar.core.instant import UnixMillis
from sidecar.emulator.fault_script import ActiveRule
from sidecar.emulator.faults import Rule
from sidecar.emulator.goals import all_goals
from sidecar.emulator.report_counts import Counts, add_counts
from sidecar.ports.reports import VerdictQuery

REPORT = "OfflineConversionReport/QueryByGoalIds"
REFRESH = 6 * HOUR
NO_CLICK = "NoMatchingClickFound"


async def delivered(rig: Rig, count: int = 3, **given: Any) -> None:
    """Conversions are delivered, and the goals of their account are known."""
    await rig.post(count, **given)
    await rig.until_pending()
    await rig.until(lambda: rig.parts.catalogue.known.catalogue("main") is not None)


async def counted(rig: Rig, rows: Mapping[str, int], at: int = 0, goal: str = "Sidecar Purchase") -> None:
    """Microsoft counts more rows by reason, or fewer, `at` milliseconds from now; those without one are attributed."""
    goals = await rig.emulator._state().transact(lambda db: {each.body["Name"]: each.id for each in all_goals(db)})
    counts = Counts({(goals[goal], reason): number for reason, number in rows.items()})
    instant = rig.clock() + at
    await rig.emulator._state().transact(lambda db: add_counts(db, ACCOUNT_IDS["main"], instant, counts))


def fault(rig: Rig, times: int | None = None, **action: Any) -> ActiveRule:
    """Something goes wrong with reports."""
    return rig.emulator.script.add(
        Rule.model_validate({"match": {"operation": REPORT}, "times": times, "action": action})
    )


async def read(rig: Rig, after: int = 0) -> None:
    """One look at what is due, after some time."""
    rig.clock.offset += after
    await rig.parts.reports.step()


async def calls(rig: Rig, account: str = "main") -> int:
    return len(await rig.requests(REPORT, account))


async def days(rig: Rig) -> list[DayVerdict]:
    return list((await rig.parts.store.verdicts.find(VerdictQuery())).days)


async def today(rig: Rig) -> DayVerdict:
    (found,) = await days(rig)
    return found


async def test_verdict_is_read_every_refresh_and_stands_beside_what_was_sent(rig: Rig) -> None:
    await delivered(rig, 3)
    await counted(rig, {NO_CLICK: 2, "AccountMismatch": 1})
    await read(rig)
    found = await today(rig)
    assert (found.account, found.goal, found.day) == ("main", "Sidecar Purchase", day_of(rig.clock()))
    assert (found.attributed, found.unattributed, found.sent.rows) == (3, 3, 3)
    assert found.reasons == {NO_CLICK: 2, "AccountMismatch": 1}
    next_at = rig.parts.reports.next_at("main")
    assert next_at is not None
    assert REFRESH - MINUTE < next_at - rig.clock() < 1.1 * REFRESH
    assert rig.parts.reports.next_at("another") is None
    before = await calls(rig)
    await read(rig, REFRESH - MINUTE)
    assert await calls(rig) == before == 1
    await counted(rig, {"": 4}, at=-REFRESH)
    await read(rig, HOUR)
    assert sum(day.attributed for day in await days(rig)) == 7


async def test_account_without_deliveries_is_not_asked_about(rig: Rig) -> None:
    await rig.until(lambda: rig.parts.catalogue.known.catalogue("main") is not None)
    await read(rig)
    await read(rig, HOUR)
    assert await calls(rig) == 0


async def test_restart_neither_skips_nor_repeats_a_round(rig: Rig) -> None:
    await delivered(rig)
    await read(rig)
    await rig.crash()
    await rig.start()
    await rig.until(lambda: rig.parts.catalogue.known.catalogue("main") is not None)
    await read(rig)
    assert await calls(rig) == 1
    await rig.crash()
    rig.clock.offset += REFRESH + HOUR
    await rig.start()
    await rig.until(lambda: rig.parts.catalogue.known.catalogue("main") is not None)
    await read(rig)
    assert await calls(rig) == 2


async def test_counters_grow_by_what_a_reading_adds_and_never_fall(rig: Rig) -> None:
    await delivered(rig, 2)
    await counted(rig, {NO_CLICK: 3, "BrandNew": 1})
    await read(rig)
    goal = {"goal": "Sidecar Purchase"}

    def shown() -> tuple[float, float, float]:
        return (
            rig.metric("attributed_total", **goal),
            rig.metric("unattributed_total", **goal, reason=NO_CLICK),
            rig.metric("unattributed_total", **goal, reason="other"),
        )

    assert shown() == (2, 3, 1)
    await counted(rig, {"": 1, NO_CLICK: -2})
    await read(rig, 7 * HOUR)
    assert shown() == (3, 3, 1)
    (entry,) = await rig.journal("report_recounted")
    assert entry.message.startswith("Microsoft counts fewer rows than before: Sidecar Purchase on ")
    await rig.parts.store.verdicts.prune(day_of(UnixMillis(rig.clock() + DAY)), 100)
    assert shown() == (3, 3, 1)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ({"type": "status", "status": 500}, "HTTP 500"),
        ({"type": "fault", "code": 106}, ""),
        ({"type": "reset_before"}, ""),
        ({"type": "status", "status": 200, "body": "<html>", "content_type": "text/html"}, "HTTP 200"),
        ({"type": "report", "form": "nulls"}, "Sidecar Purchase: Microsoft counted rows of the goal, and gave no days"),
    ],
    ids=["server error", "refused", "lost", "no report", "no days"],
)
async def test_round_that_fails_raises_one_trouble_which_the_next_good_one_ends(
    rig: Rig, action: dict[str, Any], words: str
) -> None:
    await delivered(rig)
    rule = fault(rig, **action)
    await read(rig)
    assert rule.fired > 0
    (raised,) = rig.parts.telemetry.board.active("report_unreadable")
    assert (raised.account, words in (raised.detail or "")) == ("main", True)
    asked = await calls(rig)
    await read(rig, MINUTE)
    assert await calls(rig) == asked
    await read(rig, 5 * MINUTE)
    assert rig.parts.telemetry.board.active("report_unreadable")[0].count == 2
    rig.clear_faults()
    await read(rig, 11 * MINUTE)
    assert rig.parts.telemetry.board.active("report_unreadable") == []
    assert (await today(rig)).attributed == 3
    raised_entries = [entry for entry in await rig.journal("trouble_raised") if entry.error == "report_unreadable"]
    assert len(raised_entries) == 1


async def test_throttled_report_stops_the_accounts_of_the_limit_and_raises_no_trouble_of_its_own(rig: Rig) -> None:
    await delivered(rig)
    rig.stop_clock()
    fault(rig, 1, type="status", status=429, retry_after="30")
    await read(rig)
    assert rig.parts.gates.throttled_until("twin", rig.clock()) == rig.clock() + 30_000
    assert "report_unreadable" not in rig.active_troubles()
    await read(rig, 29_000)
    assert await calls(rig) == 1
    await read(rig, 2_000)
    assert await calls(rig) == 2
    assert (await today(rig)).attributed == 3


async def test_report_without_lines_counts_as_zero_and_lowers_nothing(rig: Rig) -> None:
    await delivered(rig)
    rule = fault(rig, 1, type="report", form="empty")
    await read(rig)
    assert rule.fired == 1
    found = await today(rig)
    assert (found.attributed, found.sent.rows) == (0, 3)
    assert found.read_at is not None
    await read(rig, 7 * HOUR)
    assert sum(day.attributed for day in await days(rig)) == 3
    rule = fault(rig, 1, type="report", form="empty")
    await read(rig, 7 * HOUR)
    assert rule.fired == 1
    assert sum(day.attributed for day in await days(rig)) == 3


async def test_goal_that_fails_alone_is_named_and_the_other_goals_count(rig: Rig) -> None:
    await delivered(rig, 2)
    await delivered(rig, 1, event="lead")
    fault(rig, type="partial_errors", code=0, symbol="InternalError", goal="Sidecar Lead")
    await read(rig)
    (raised,) = rig.parts.telemetry.board.active("report_unreadable")
    assert "Sidecar Lead: " in (raised.detail or "")
    lead, purchase = await days(rig)
    assert (lead.goal, lead.read_at, lead.sent.rows) == ("Sidecar Lead", None, 1)
    assert (purchase.attributed, purchase.sent.rows) == (2, 2)


async def test_negative_count_is_left_out_and_logged_with_what_to_do(rig: Rig) -> None:
    await delivered(rig)
    await read(rig)
    await counted(rig, {"": -9})
    await read(rig, 7 * HOUR)
    assert sum(day.attributed for day in await days(rig)) == 3
    (entry,) = await rig.journal("report_odd")
    assert "counts of" in entry.message
    assert entry.fix is not None


async def test_days_of_other_uploaders_are_read_from_the_first_delivery_on(rig: Rig) -> None:
    await delivered(rig, 1)
    await counted(rig, {"": 5}, at=-3 * DAY)
    await counted(rig, {"": 2})
    rig.clock.offset += 2 * DAY
    await counted(rig, {"": 7})
    await read(rig)
    assert [(day.attributed, day.sent.rows, day.surplus) for day in await days(rig)] == [(7, 0, 7), (3, 1, 2)]


async def test_day_that_was_not_read_yet_shows_what_was_sent_alone(rig: Rig) -> None:
    await delivered(rig, 2)
    found = await today(rig)
    assert (found.attributed, found.unattributed, found.sent.rows, found.read_at) == (0, 0, 2, None)


async def test_days_are_forgotten_with_the_rows(rig: Rig) -> None:
    await delivered(rig)
    await read(rig)
    rig.keep(rows=90, clicks=90, journal=90)
    rig.clock.offset += 89 * DAY
    await rig.parts.housekeeping.prune()
    assert len(await days(rig)) == 1
    rig.clock.offset += 3 * DAY
    await rig.parts.housekeeping.prune()
    assert await days(rig) == []


async def test_report_waits_while_the_sign_in_does_not_work(rig: Rig) -> None:
    await delivered(rig)
    await rig.revoke_sign_in()
    await rig.expire_tokens()
    await read(rig)
    assert await calls(rig) <= 1
    assert (await today(rig)).read_at is None
    await rig.sign_in()
    await read(rig, 20 * MINUTE)
    assert (await today(rig)).attributed == 3
