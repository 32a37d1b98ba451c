"""What the alerts' webhook heard of each trouble outlives a crash."""

from instant_kit import NOW, later
from store_kit import House

from sidecar.core.alerts import MOST_ALERTS, Alert

RAISED = Alert("goal_not_found", "main", "Sale", NOW)
WHOLE = Alert("disk_nearly_full", None, None, later(1), ended_at=later(7), taken_at=later(5), is_unsure=True)


async def test_alerts_survive_a_crash_as_they_were_saved(house: House) -> None:
    await house.open()
    assert await house.alerts.load() == []
    await house.alerts.save([WHOLE, RAISED], [])
    await house.crash()
    await house.open()
    assert await house.alerts.load() == [RAISED, WHOLE]


async def test_saved_alert_replaces_the_one_before_and_others_stay(house: House) -> None:
    await house.open()
    await house.alerts.save([RAISED, WHOLE], [])
    known = Alert("goal_not_found", "main", "Sale", NOW, taken_at=later(6))
    await house.alerts.save([known], [WHOLE.key])
    assert await house.alerts.load() == [known]
    await house.alerts.save([], [known.key, ("throttled", "main", None)])
    assert await house.alerts.load() == []


async def test_no_more_are_read_than_are_held(house: House) -> None:
    await house.open()
    await house.alerts.save([Alert("poison", "main", str(n), later(n)) for n in range(MOST_ALERTS + 5)], [])
    assert [alert.subject for alert in await house.alerts.load()] == [str(n) for n in range(MOST_ALERTS)]
