"""What is forgotten, and when: settled rows, clicks and the journal, each after its own time."""

from delivery_kit import DAY, HOUR, MINUTE, Rig
from visitor_kit import capture


async def test_each_is_forgotten_after_its_own_time_and_nothing_before(rig: Rig) -> None:
    """The defaults of rows and clicks are equal, which would hide a mix-up."""
    rig.keep(rows=100, clicks=20, journal=10)
    (seq,) = await rig.post()
    await rig.until_pending(0)
    await capture(rig, 1, MINUTE)
    assert await rig.journal()
    kept = []
    for days in (5, 8, 12, 80):  # the 5th, 13th, 25th and 105th day
        rig.pass_time(days * DAY)
        await rig.parts.housekeeping.prune()
        kept.append((bool(rig.rows_of("journal")), bool(rig.rows_of("clicks")), bool(rig.rows(f"seq = {seq}"))))
    assert kept == [(True, True, True), (False, True, True), (False, False, True), (False, False, False)]


async def test_figures_by_the_hour_become_figures_by_the_day_after_eight_days(rig: Rig) -> None:
    if rig.clock() % DAY < HOUR:  # the first hour of a day begins with the day
        rig.pass_time(HOUR)
    await rig.post()
    await rig.until_pending(0)
    rig.pass_time(7 * DAY)
    await rig.parts.housekeeping.gather()
    (hour,) = {at for at, *_ in rig.rows_of("tallies")} - {0}
    assert hour % 86_400
    rig.pass_time(2 * DAY)
    await rig.parts.housekeeping.gather()
    assert {at for at, *_ in rig.rows_of("tallies")} == {0, hour // 86_400 * 86_400}
