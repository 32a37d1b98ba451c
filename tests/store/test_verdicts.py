"""What was sent to each goal and day, and Microsoft's verdict on it."""

from dataclasses import replace

from adjusting_kit import adjusted
from conversion_kit import conversion, orders
from instant_kit import DAY, HOUR, NOW, later
from outbox_kit import REFUSED, TAKEN, claim, claimed, due, put, seqs
from store_kit import House
from verdict_kit import days_ago, goal_day

from sidecar.core.entry import Settled
from sidecar.core.goal_days import SentRows
from sidecar.core.states_and_reasons import State
from sidecar.ports.reports import VerdictQuery

NO_CLICK = {"NoMatchingClickFound": 3}


async def test_delivered_rows_count_on_the_day_of_their_delivery_by_goal_and_kind(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(5))
    batch = await claimed(outbox, limit=3)
    dead = {seqs(batch)[0]: Settled(State.DEAD, REFUSED.error, REFUSED)}
    assert await outbox.settle(batch, dead, TAKEN, NOW)
    await put(outbox, conversion("LEAD-1", event="lead"))
    rest = await due(outbox, later(DAY))
    for event in ("purchase", "lead"):
        taken = await claim(outbox, [entry for entry in rest if entry.lane.event == event], later(DAY))
        assert taken is not None
        assert await outbox.settle(taken, {}, TAKEN, later(DAY))
    await adjusted(outbox, "7", later(DAY))
    assert await outbox.settle(await claimed(outbox, later(2 * DAY)), {}, TAKEN, later(2 * DAY))
    assert [(day.day, day.goal, day.sent) for day in (await house.verdicts.find(VerdictQuery())).days] == [
        (days_ago(-2), "Sidecar Purchase", SentRows(0, 1)),
        (days_ago(-1), "Sidecar Lead", SentRows(1, 0)),
        (days_ago(-1), "Sidecar Purchase", SentRows(2, 0)),
        (days_ago(0), "Sidecar Purchase", SentRows(2, 0)),
    ]


async def test_batch_of_a_passed_claim_counts_once(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(2))
    batch = await claimed(outbox)
    assert await outbox.settle(batch, {}, TAKEN, NOW)
    assert not await outbox.settle(batch, {}, TAKEN, later(HOUR))
    assert [day.sent.rows for day in (await house.verdicts.find(VerdictQuery())).days] == [2]


async def test_verdict_stands_beside_what_was_sent_and_survives_a_crash(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(2))
    assert await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    await house.verdicts.save("main", [goal_day(0, 1, reasons={"AccountMismatch": 2}), goal_day(9, 4)], later(HOUR))
    await house.verdicts.finish("main", later(HOUR))
    await house.crash()
    await house.open()
    today, before = (await house.verdicts.find(VerdictQuery())).days
    assert (today.attributed, today.unattributed, today.reasons, today.sent.rows) == (1, 2, {"AccountMismatch": 2}, 2)
    assert (today.read_at, today.surplus) == (later(HOUR), 1)
    assert (before.day, before.attributed, before.sent) == (days_ago(9), 4, SentRows())
    assert (await house.verdicts.known("main")).read_at == later(HOUR)
    assert (await house.verdicts.known("other")).read_at is None


async def test_reading_returns_what_it_added_and_what_fell(house: House) -> None:
    await house.open()
    first = await house.verdicts.save("main", [goal_day(1, 5, reasons=NO_CLICK), goal_day(0, 1)], NOW)
    assert (first.attributed, first.unattributed, first.fell) == (
        {"Sidecar Purchase": 6},
        {("Sidecar Purchase", "NoMatchingClickFound"): 3},
        [],
    )
    again = await house.verdicts.save("main", [goal_day(1, 7, reasons={"NoMatchingClickFound": 1})], later(HOUR))
    assert (again.attributed, again.unattributed, again.fell) == ({"Sidecar Purchase": 2}, {}, [])
    fewer = await house.verdicts.save("main", [goal_day(1, 2), goal_day(0, 4)], later(2 * HOUR))
    assert (fewer.attributed, fewer.unattributed) == ({"Sidecar Purchase": 3}, {})
    assert fewer.fell == [goal_day(1, 7, reasons={"NoMatchingClickFound": 1})]


async def test_day_is_settled_by_two_equal_readings_and_unsettled_by_another(house: House) -> None:
    await house.open()
    settled = []
    for hour, line in enumerate([goal_day(20, 1), goal_day(20, 1), goal_day(20, 2), goal_day(20, 2)]):
        await house.verdicts.save("main", [line], later(hour * HOUR))
        settled.append((await house.verdicts.known("main")).read["Sidecar Purchase"][days_ago(20)].is_settled)
    assert settled == [False, True, False, True]


async def test_pages_go_from_the_newest_day_back_and_leave_nothing_out(house: House) -> None:
    await house.open()
    lines = [goal_day(ago, 1, goal=goal) for ago in range(4) for goal in ("A", "B", "C")]
    await house.verdicts.save("main", lines, NOW)
    await house.verdicts.save("other", [replace(line, account="other") for line in lines], NOW)
    every = (await house.verdicts.find(VerdictQuery(limit=1_000))).days
    assert [(day.day, day.account, day.goal) for day in every] == sorted(
        ((day.day, day.account, day.goal) for day in every), key=lambda key: (-key[0], key[1:])
    )
    assert len(every) == 24
    for query in (VerdictQuery(limit=5), VerdictQuery(limit=1, goal="B"), VerdictQuery(limit=3, account="other")):
        wanted = [day for day in every if query.goal in (None, day.goal) and query.account in (None, day.account)]
        found, before = [], query.before
        while len(found) < len(wanted):
            page = await house.verdicts.find(replace(query, before=before))
            found += page.days
            before = page.next_before
        assert found == wanted
        assert before is None


async def test_list_is_narrowed_by_account_goal_and_first_day(house: House) -> None:
    await house.open()
    await house.verdicts.save("main", [goal_day(ago, goal=goal) for ago in range(3) for goal in ("A", "B")], NOW)
    await house.verdicts.save("other", [goal_day(0, goal="A", account="other")], NOW)

    async def found(**given: object) -> list[tuple[str, str, int]]:
        page = await house.verdicts.find(VerdictQuery(**given))  # type: ignore[arg-type]
        return [(day.account, day.goal, day.day) for day in page.days]

    assert await found(account="main", goal="A", since=days_ago(1)) == [("main", "A", days_ago(ago)) for ago in (0, 1)]
    assert await found(goal="A", since=days_ago(0)) == [("main", "A", days_ago(0)), ("other", "A", days_ago(0))]
    assert await found(account="other") == [("other", "A", days_ago(0))]
    assert await found(account="unknown") == []


async def test_days_of_a_goal_are_added_up(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(2))
    assert await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    await house.verdicts.save("main", [goal_day(ago, 3, reasons={"Unknown": 1}) for ago in range(3)], NOW)
    (found,) = await house.verdicts.sums(days_ago(1), "main")
    assert (found.attributed, found.unattributed, found.sent, found.attributed_share) == (6, 2, SentRows(2), 0.75)
    assert await house.verdicts.sums(days_ago(1)) == [found]
    assert await house.verdicts.sums(days_ago(1), "other") == []


async def test_days_are_forgotten_a_few_at_a_time(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(1))
    assert await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    await house.verdicts.save("main", [goal_day(ago) for ago in range(1, 6)], NOW)
    assert await house.verdicts.prune(days_ago(2), 2)
    assert not await house.verdicts.prune(days_ago(2), 2)
    assert [day.day for day in (await house.verdicts.find(VerdictQuery())).days] == [days_ago(ago) for ago in (0, 1, 2)]
    assert not await house.verdicts.prune(days_ago(-1), 100)
    assert (await house.verdicts.find(VerdictQuery())).days == []
