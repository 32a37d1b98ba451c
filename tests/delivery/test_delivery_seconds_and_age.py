"""Two orders of one person in one second both count, and age alone ends a row."""

from delivery_kit import DAY, HOUR, MINUTE, SECOND, Rig
from delivery_ledger import ACCOUNT_IDS
from visitor_kit import capture, click_id

from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.emulator.clicks import add_click
from sidecar.ports.intake import Arrival

CLICK = "f894f652ea334e739002f7167ab8f8e3"
NINETY_DAYS = 90 * DAY


def now_seconds(rig: Rig) -> UnixSeconds:
    return UnixSeconds(rig.clock() // 1000)


async def test_two_orders_of_one_person_in_one_second_both_count(rig: Rig) -> None:
    at = UnixSeconds(now_seconds(rig) - 100)
    await rig.post(1, msclkid=CLICK, time=at)
    await rig.post(1, msclkid=CLICK, time=at)
    await rig.post(2, msclkid=None, email_sha256="a" * 64, time=at)
    await rig.until_pending(0)
    assert len(await rig.ledger()) == 4
    assert {row["sent_time"] - at for row in rig.rows()} == {0, 1}
    await rig.balance()


async def test_order_whose_second_is_free_keeps_it(rig: Rig) -> None:
    """The one that has to move goes around it."""
    at = UnixSeconds(now_seconds(rig) - 100)
    orders = [rig.order(msclkid=CLICK, time=UnixSeconds(at + late)) for late in (0, 0, 1)]
    await rig.put([Arrival(order, rig.clock(), "request-1") for order in orders])
    await rig.until_pending(0)
    assert [row["sent_time"] - at for row in rig.rows()] == [0, 2, 1]
    await rig.balance()


async def test_three_hundred_orders_of_one_click_in_one_second_all_count(rig: Rig) -> None:
    """Across batches and a restart, and never in the future."""
    rig.configure(batch_size=40, linger=0)
    at = UnixSeconds(now_seconds(rig) - 20)
    await rig.post(150, msclkid=CLICK, time=at)
    await rig.until(lambda: rig.count("attempt > 0"))  # some batches are on their way
    await rig.crash()
    await rig.start()
    await rig.post(150, msclkid=CLICK, time=at)
    await rig.until_pending(0)
    assert len({item["row"]["ConversionTime"] for item in await rig.ledger()}) == 300
    assert max(row["sent_time"] for row in rig.rows()) <= now_seconds(rig)
    await rig.balance()


async def test_events_in_the_second_of_their_click_wait_for_later_seconds(rig: Rig) -> None:
    """One earlier would lie before the click, and Microsoft refuses that."""
    rig.configure(click_settle=0)
    rig.stop_clock()
    await capture(rig, 1, ago=0)
    await rig.emulator._state().transact(
        lambda db: add_click(db, click_id(1), ACCOUNT_IDS["main"], rig.clock() // 1000 * 1000)
    )
    at = UnixSeconds(rig.clock() // SECOND)
    await rig.post(3, msclkid=None, visitor_id="v-1", time=at)  # at once, so that one claim sees all of them
    await rig.until_counts(lambda counts: counts.delivered == 1)
    await rig.until(lambda: rig.count("reason = 'not_yet'") == 2)
    assert sorted(row["due_at"] // 1000 - at for row in rig.rows("state = 'pending'")) == [1, 2]
    await rig.pass_in_steps()
    assert sorted(row["sent_time"] - row["time"] for row in rig.rows()) == [0, 1, 2]
    await rig.balance()


async def test_orders_of_one_person_near_the_limit_of_age_are_all_taken(rig: Rig) -> None:
    at = UnixSeconds(now_seconds(rig) - NINETY_DAYS // 1000 + 40)
    await rig.post(130, msclkid=CLICK, time=at)
    await rig.until_pending(0)
    assert {row["state"] for row in rig.rows()} == {"delivered"}
    assert sorted(row["sent_time"] - at for row in rig.rows()) == list(range(130))
    await rig.balance()


async def test_lost_answer_does_not_move_a_second_again(rig: Rig) -> None:
    rig.fault(times=2, type="reset_after")
    at = UnixSeconds(now_seconds(rig) - 100)
    await rig.post(5, msclkid=CLICK, time=at)
    await rig.hurry()
    await rig.post(5, msclkid=CLICK, time=at)
    await rig.until_pending(0)
    assert len(await rig.ledger()) == 10
    await rig.balance()


async def test_conversion_of_the_near_future_waits_for_its_time(rig: Rig) -> None:
    (seq,) = await rig.post(time=UnixSeconds(now_seconds(rig) + 200))
    assert rig.row(seq)["reason"] == "not_yet"
    await rig.give_time(0.1)
    assert rig.row(seq)["attempt"] == 0
    rig.pass_time(201_000)
    await rig.until_pending(0)
    await rig.balance()


# --- age -------------------------------------------------------------------------------------------------------------


def aged(rig: Rig) -> UnixSeconds:
    """Two days before now: after 89 more the row is too old, and the sign-in, unused all the while, is not."""
    return UnixSeconds(now_seconds(rig) - 2 * DAY // 1000)


async def all_too_old(rig: Rig, count: int) -> None:
    await rig.until(lambda: len(rig.rows("state = 'dead' AND reason = 'too_old' AND claimed = 0")) == count)

    async def are_recorded() -> bool:
        return len({entry.conversion_id for entry in await rig.journal("row_died")}) == count

    await rig.until(are_recorded)


async def test_due_rows_over_ninety_days_die_unsent(rig: Rig) -> None:
    rig.parts.gates.close_account("main", None, rig.clock(), UnixMillis(rig.clock() + NINETY_DAYS))
    await rig.post(5, time=aged(rig))
    rig.clock.offset += NINETY_DAYS - DAY
    await rig.post(2)
    rig.parts.gates.retry_now()
    await all_too_old(rig, 5)
    await rig.until_pending(0)
    assert [request["rows"] for request in await rig.requests() if request["rows"]] == [2]
    await rig.balance()


async def test_rows_of_a_closed_goal_die_of_age_too(rig: Rig) -> None:
    rig.map(lead="Missing")
    await rig.post(5, event="lead", time=aged(rig))
    await rig.until(lambda: rig.parts.gates.held("main", "Missing") is not None)
    await rig.until(lambda: not rig.rows("claimed = 1"))
    rig.clock.offset += NINETY_DAYS - DAY
    await rig.parts.housekeeping.expire()
    await all_too_old(rig, 5)
    assert rig.metric("conversions_settled_total", goal="Missing", state="dead", reason="too_old") == 5
    await rig.balance()


async def test_rows_of_a_batch_that_waits_to_go_again_die_of_age(rig: Rig) -> None:
    await rig.post_unanswered(3, times=None, time=aged(rig))
    rig.clear_faults()
    sent = len(await rig.requests())
    rig.pass_time(NINETY_DAYS - DAY)
    await all_too_old(rig, 3)
    await rig.give_time(0.1)
    assert len(await rig.requests()) == sent
    await rig.post()
    await rig.until_counts(lambda counts: counts.delivered == 1)
    await rig.balance()


async def test_row_whose_request_is_on_its_way_does_not_die_of_age(rig: Rig) -> None:
    rig.stop_clock()
    (seq,) = await rig.post(time=UnixSeconds(now_seconds(rig) - NINETY_DAYS // 1000 + 5))
    await rig.until_pending(0)
    under_way = rig.hold()
    rig.fault(type="reset_after")
    (seq,) = await rig.post(time=UnixSeconds(now_seconds(rig) - NINETY_DAYS // 1000 + 5))
    await rig.until(lambda: under_way.fired)
    rig.clock.offset += 6_000
    await rig.parts.housekeeping.expire()
    assert rig.row(seq)["state"] == "pending"
    rig.clear_faults()
    await rig.until(lambda: rig.row(seq)["maybe_sent"])
    await rig.parts.housekeeping.expire()
    assert (rig.row(seq)["state"], rig.row(seq)["reason"]) == ("dead", "too_old")
    assert await rig.parts.store.outbox.expire(rig.clock(), 10) == []


async def test_row_is_never_ended_by_the_number_of_its_attempts(rig: Rig) -> None:
    rig.fault(times=None, type="partial_errors", code=7777)
    (seq,) = await rig.post()
    for retries in range(1, 16):
        await rig.until(lambda retries=retries: rig.row(seq)["retries"] == retries)
        rig.pass_time(6 * HOUR + MINUTE)
    rig.clear_faults()
    await rig.until_counts(lambda counts: counts.pending == 0 or rig.pass_time(6 * HOUR))
    assert rig.row(seq)["state"] == "delivered"
    await rig.balance()
