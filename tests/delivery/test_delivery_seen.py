"""No row waits unseen: what keeps rows back for long is a trouble with a fix, degrades health, and says what waits."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection

import pytest
from delivery_kit import DAY, HOUR, MINUTE, Rig

from sidecar.api.health import HealthCalls, Sources
from sidecar.api.health_page import health_page
from sidecar.api.row_json import Rows
from sidecar.core.entry import Lane
from sidecar.core.instant import UnixSeconds
from sidecar.core.states_and_reasons import Reason
from sidecar.core.waiting_summary import Waiting
from sidecar.emulator.goal_rules import DEFAULTS
from sidecar.emulator.goals import all_goals, insert_goal, replace_goal
from sidecar.service.held_reason import held_reason

ARCHITECTURE = (Path(__file__).parents[2] / "docs/architecture.md").read_text()

Scene = Callable[[Rig], Awaitable[object]]


async def put_goal(rig: Rig, name: str, age: int, **members: object) -> None:
    body = DEFAULTS | {"GoalCategory": "Other", "Name": name, "IsEnhancedConversionsEnabled": True} | members
    await rig.emulator._state().transact(lambda db: insert_goal(db, "", "", body, rig.clock() - age))


async def pause_goal(rig: Rig, name: str) -> None:
    def change(db: Connection) -> None:
        [goal] = [goal for goal in all_goals(db) if goal.body["Name"] == name]
        replace_goal(db, replace(goal, body={**goal.body, "Status": "Paused"}))

    await rig.emulator._state().transact(change)
    await rig.parts.catalogue.reader.read("main")


# --- What keeps rows back, each with the reason that its rows show ----------------------------------------------------


async def signed_out(rig: Rig) -> None:
    await rig.post(value="1.001")
    await rig.until_pending(0)
    await rig.expire_tokens()
    await rig.revoke_sign_in()
    await rig.post()
    await rig.until(lambda: rig.parts.gates.held("main", None) == "not_connected")


async def refused_account(rig: Rig) -> None:
    rig.fault(times=None, type="fault", code=1030)
    await rig.post()
    await rig.until(lambda: rig.parts.gates.held("main", None) == "account_paused")


async def paused_account(rig: Rig) -> None:
    await rig.parts.pauses.pause("main")
    await rig.post()


async def throttled(rig: Rig) -> None:
    rig.fault(times=None, type="fault", code=117, status=429, retry_after=600)
    await rig.post()
    await rig.until(lambda: rig.parts.gates.held("main", None) == "throttled")


async def missing_goal(rig: Rig) -> None:
    rig.map(purchase="Misspelled")
    await rig.post()
    await rig.until(lambda: rig.parts.gates.held("main", "Misspelled") == "goal_not_found")


async def paused_goal(rig: Rig) -> None:
    await pause_goal(rig, "Sidecar Purchase")
    await rig.post()


async def young_goal(rig: Rig) -> None:
    await rig.parts.catalogue.reader.read("main")
    await put_goal(rig, "Newsletter", age=0)
    rig.map(purchase="Newsletter")
    await rig.post()
    await rig.until(lambda: rig.parts.gates.held("main", "Newsletter") == "goal_settling")


async def event_left(rig: Rig) -> None:
    await rig.parts.pauses.pause("main")
    await rig.post()
    left = {name: event for name, event in rig.config.events.items() if name != "purchase"}
    rig._take_up(rig.config.model_copy(update={"events": left}))
    await rig.parts.pauses.resume("main")


async def account_left(rig: Rig) -> None:
    await rig.parts.pauses.pause("main")
    await rig.post()
    left = {name: account for name, account in rig.config.accounts.items() if name != "main"}
    rig._take_up(rig.config.model_copy(update={"accounts": left}))


async def account_left_with_a_batch(rig: Rig) -> None:
    """Its row is in an open batch, which goes again and again."""
    await rig.post_unanswered(times=None)
    left = {name: account for name, account in rig.config.accounts.items() if name != "main"}
    rig._take_up(rig.config.model_copy(update={"accounts": left}))


async def asked_for_again(rig: Rig) -> None:
    rig.fault(times=None, type="partial_errors", code=7777)
    await rig.post()
    await rig.until(lambda: rig.rows("retries = 1"))


async def refused_alone(rig: Rig) -> None:
    """Microsoft refuses each request that carries it, and no other row tells whether that is the row's own fault."""
    rig.fault(times=None, type="status", status=400)
    await rig.post()
    for refusals in (1, 2, 3):
        await rig.until(lambda refusals=refusals: rig.rows(f"refusals = {refusals}"))
        if refusals < 3:
            rig.pass_time(HOUR)


async def no_answer(rig: Rig) -> None:
    await rig.post_unanswered(times=None)


WAIT_LONG: dict[str, list[tuple[Scene, str]]] = {
    "not_connected": [(signed_out, "token_refresh_failed")],
    "account_paused": [(refused_account, "wrong_account"), (paused_account, "paused_by_operator")],
    "throttled": [(throttled, "throttled")],
    "goal_not_found": [(missing_goal, "goal_not_found")],
    "goal_paused": [(paused_goal, "goal_paused")],
    "goal_settling": [(young_goal, "goal_settling")],
    "unmapped": [(event_left, "unmapped"), (account_left, "unmapped"), (account_left_with_a_batch, "unmapped")],
    "retrying": [(asked_for_again, "row_retried"), (refused_alone, "poison"), (no_answer, "unreachable")],
}
"""Every reason that only something else can end, how rows come to have it, and the trouble that tells of it."""

END_SOON = {
    "none": "it is on its way, or goes out with the next batch",
    "not_yet": "its own time lies at most five minutes ahead",
    "awaiting_click": "clicks.wait ends it",
    "click_settling": "delivery.click_settle ends it",
    "awaiting_original": "it ends with what its conversion waits for, which has a trouble of its own",
}
"""Every other one, and what ends it."""

ASKED_ANEW = {"signed_out", "refused_account", "no_answer"}
"""After a restart Microsoft is asked at once, and its answer raises the trouble again."""

CASES = [(reason, *case) for reason, cases in WAIT_LONG.items() for case in cases]


def test_table_has_every_reason_that_a_pending_row_can_have() -> None:
    """The table of states in docs/architecture.md names them, and the code has no other."""
    (row,) = re.findall(r"^\| `pending` \|.*$", ARCHITECTURE, re.MULTILINE)
    documented = set(re.findall(r"`(\w+)`", row)) - {"pending"} | {"none"}
    assert documented == WAIT_LONG.keys() | END_SOON.keys()
    ended = {
        *(Reason.NO_CLICK, Reason.OUTSIDE_WINDOW, Reason.GOAL_NOT_ENHANCED, Reason.ORIGINAL_NOT_SENT, Reason.TOO_OLD),
        *(Reason.POISON, Reason.DISCARDED, Reason.ERASED, Reason.RETRACTED, Reason.SUPERSEDED),
        Reason.APPLIED_BEFORE_UPLOAD,
    }
    assert {reason.value for reason in Reason} - {reason.value for reason in ended} == documented - {"none"}


async def is_seen(rig: Rig, reason: str, trouble: str) -> None:
    """The row shows the reason, a trouble stands that says what to do, and the health page says what waits."""
    await rig.until(lambda: trouble in rig.active_troubles())
    (row,) = rig.rows("state = 'pending'")
    record = await rig.parts.store.outbox.get(row["seq"])
    assert record is not None
    rows = Rows(rig.parts.settings.goal_of, lambda one: held_reason(rig.parts, one, rig.clock()), rig.clock)
    assert rows.reason_and_trouble(record)[0] == reason
    calls = health_of(rig)
    page = health_page(await calls._vitals(await calls._stakes()))
    assert page["status"] == "degraded"
    (standing, *_) = rig.parts.telemetry.board.active(trouble)
    said = [check for check in page["checks"].values() if standing.headline in check["message"]]
    assert [check["status"] for check in said] == ["degraded"]
    assert standing.trouble.solution in said[0]["fix"]
    if trouble not in ("row_retried", "poison"):
        assert said[0]["message"].startswith(f"1 conversion worth {row['value']} USD waits: ")
        assert "; it expires on " in said[0]["message"]


def health_of(rig: Rig) -> HealthCalls:
    sources = Sources(
        version="0.0.0",
        now=rig.clock,
        uptime_seconds=lambda: 1.0,
        troubles=rig.parts.telemetry.board.active,
        free_bytes=lambda: 2**40,
        min_free_bytes=1,
        max_pending=1_000,
        stake=rig.parts.stakes.of,
    )
    return HealthCalls(rig.parts.store.outbox, sources)


@pytest.mark.parametrize(("reason", "scene", "trouble"), CASES)
async def test_what_waits_for_long_has_a_trouble_with_a_fix_and_degrades_health(
    rig: Rig, reason: str, scene: Scene, trouble: str
) -> None:
    await scene(rig)
    await rig.parts.waiting.look()
    await is_seen(rig, reason, trouble)


@pytest.mark.parametrize(("reason", "scene", "trouble"), [case for case in CASES if case[1].__name__ not in ASKED_ANEW])
async def test_what_waits_for_long_is_seen_again_after_a_restart(
    rig: Rig, reason: str, scene: Scene, trouble: str
) -> None:
    await scene(rig)
    await rig.crash()
    await rig.start()
    await rig.until(lambda: not rig.parts.gates.awaits_reading("other"))
    await rig.parts.waiting.look()
    await is_seen(rig, reason, trouble)


async def test_rows_that_are_tried_again_every_six_hours_keep_their_trouble(rig: Rig) -> None:
    """One that is not repeated within an hour is taken to be over."""
    await asked_for_again(rig)
    await rig.until(lambda: "row_retried" in rig.active_troubles())
    for _ in range(3):
        rig.clock.offset += 50 * MINUTE
        await rig.until(lambda: not rig.rows("claimed = 1"))
        await rig.parts.waiting.look()
        await rig.journal()  # which lets what is over fade
        assert "row_retried" in rig.active_troubles()


async def test_unmapped_rows_are_over_when_their_event_is_back(rig: Rig) -> None:
    events = dict(rig.config.events)
    await event_left(rig)
    (standing,) = await rig.parts.waiting.look_at_unmapped()
    assert standing.message.startswith(
        "main: Event or account no longer configured: purchase (1 row waits, it expires at "
    )
    rig._take_up(rig.config.model_copy(update={"events": events}))
    assert await rig.parts.waiting.look_at_unmapped() == []
    assert rig.active_troubles() == set()
    rig.wake_couriers()
    await rig.until_pending(0)


async def test_look_that_was_overtaken_by_a_reload_leaves_no_trouble(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counted rows of an event that was gone, and the event came back meanwhile."""
    events, outbox = dict(rig.config.events), rig.parts.store.outbox
    await event_left(rig)
    count, looks = outbox.at_stake, list[asyncio.Task[object]]()

    async def count_beside_a_reload(lanes: Sequence[Lane]) -> Waiting:
        if not looks:
            rig._take_up(rig.config.model_copy(update={"events": events}))
            looks.append(asyncio.create_task(rig.parts.waiting.look_at_unmapped()))
            await rig.until(lambda: looks[0].done() or rig.parts.waiting._turn._waiters)  # type: ignore[attr-defined]
        return await count(lanes)

    monkeypatch.setattr(outbox, "at_stake", count_beside_a_reload)
    await rig.parts.waiting.look_at_unmapped()
    await looks[0]
    assert rig.active_troubles() == set()


async def test_a_look_at_unmapped_rows_costs_the_same_beside_many(rig: Rig) -> None:
    """It counts up to a bound, and says so."""
    await rig.parts.pauses.pause("main")
    await rig.post(1_100, time=UnixSeconds(rig.clock() // 1000 - DAY // 1000))
    left = {name: event for name, event in rig.config.events.items() if name != "purchase"}
    rig._take_up(rig.config.model_copy(update={"events": left}))
    (standing,) = await rig.parts.waiting.look_at_unmapped()
    assert "more than 1,000 rows wait" in standing.message
