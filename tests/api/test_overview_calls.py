"""GET /v1/overview and GET /v1/series: what the dashboard and `sidecar status` show."""

from typing import Any

import pytest
from api_kit import MSCLKID, NOW, Api, OpenApi

from sidecar.core.goal_days import GoalDay, day_of
from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds
from sidecar.core.states_and_reasons import Reason

HOUR, DAY = 3_600_000, 86_400_000
STATES = ("pending", "delivered", "skipped", "dead", "canceled")


def order(number: int, event: str = "purchase", **more: Any) -> dict[str, Any]:
    return {"event": event, "order_id": f"O-{number}", "msclkid": MSCLKID, "value": 2.5, **more}


async def overview(api: Api) -> Any:
    answer = await api.get("/v1/overview")
    assert answer.status == 200, answer.text
    return answer.json


async def series(api: Api, query: str) -> Any:
    answer = await api.get(f"/v1/series?{query}")
    assert answer.status == 200, answer.text
    return answer.json


async def test_new_service_is_well_and_has_received_nothing(api: Api) -> None:
    found = await overview(api)
    assert (found["state"], found["headline"]) == ("ok", "All is well. Nothing was received yet.")
    assert (found["fix"], found["since"], found["first_received_at"], found["lag_seconds"]) == (None,) * 4
    assert (found["troubles"], found["waiting"], found["dead"]) == ([], [], {"rows": 0, "value": {}})
    assert set(found["match_share"].values()) == {None}


async def test_conversion_appears_at_once_and_figures_add_up(api: Api) -> None:
    await api.post([order(1), order(2), order(3, "trial")])
    discarded = (await api.post({}, "/v1/conversions/conv_2/discard")).json
    assert discarded["state"] == "canceled"
    found = await overview(api)
    counts = found["counts_24h"]
    assert counts == {"received": 3, "pending": 2, "delivered": 0, "skipped": 0, "dead": 0, "canceled": 1}
    assert counts["received"] == sum(counts[state] for state in STATES) == found["received_24h"]
    assert found["first_received_at"] == "2026-11-23T14:30:45Z"
    assert found["waiting"] == [
        {"reason": None, "rows": 2, "value": {"EUR": 2.5, "USD": 2.5}, "first_expiry_at": "2027-02-21T14:30:45Z"}
    ]
    assert found["match_share"] == {"msclkid": 1, "visitor": 0, "email": 0, "phone": 0, "none": 0}


async def test_worst_trouble_is_the_sentence_with_money_and_deadline(api: Api) -> None:
    await api.post([order(1), order(2, "lead", currency="USD")])
    api.world.held_goals["default", "Sidecar Purchase"] = Reason.GOAL_NOT_FOUND
    raised = api.telemetry.service.trouble_raised
    raised("low_match_rate", subject="Sidecar Lead", detail="12 %")
    raised("goal_not_found", account="default", subject="Sidecar Purchase")
    found = await overview(api)
    cause = "Microsoft has no goal called Sidecar Purchase"
    words = f"1 conversion worth 2.50 USD waits: {cause}. It would be lost on 21 February."
    assert (found["state"], found["headline"], found["since"]) == ("degraded", words, "2026-11-23T14:30:45Z")
    assert [(one["code"], one["severity"], one["check"]) for one in found["troubles"]] == [
        ("goal_not_found", "error", "goals"),
        ("low_match_rate", "advice", "goals"),
    ]
    worst = found["troubles"][0]
    assert (worst["headline"], worst["fix"]) == (words, found["fix"])
    assert (worst["account"], worst["subject"]) == ("default", "Sidecar Purchase")
    assert worst["cause"] and worst["title"] == "Conversion goal not found"
    assert [(part["reason"], part["rows"]) for part in found["waiting"]] == [(None, 1), ("goal_not_found", 1)]
    [account] = found["accounts"]
    assert account["state"] == "needs_attention"
    assert {goal["event"]: goal["state"] for goal in account["goals"]} == {
        "purchase": "needs_attention",
        "lead": "no_recent_conversions",
        "trial": "no_recent_conversions",
    }


async def test_remedy_names_account_and_event(api: Api) -> None:
    raised = api.telemetry.service.trouble_raised
    raised("paused_by_operator", account="default", subject="default")
    raised("goal_not_found", account="default", subject="Sidecar Trial")
    fixes = {one["code"]: one["fix"] for one in (await overview(api))["troubles"]}
    assert "`sidecar resume default`" in fixes["paused_by_operator"]
    assert "events.trial.goal" in fixes["goal_not_found"]


@pytest.mark.parametrize(
    ("free", "state", "severity"), [(150, "degraded", "warning"), (50, "down", "error")], ids=["scarce", "full"]
)
async def test_disk_shows_before_any_trouble_is_raised(open_api: OpenApi, free: int, state: str, severity: str) -> None:
    api = await open_api(min_free_bytes=100)
    api.world.free_bytes = free
    found = await overview(api)
    assert (found["state"], found["fix"] is not None) == (state, True)
    disk = next(one for one in found["troubles"] if one["check"] == "disk")
    assert (disk["code"], disk["severity"], disk["since"]) == ("disk_nearly_full", severity, "2026-11-23T14:30:45Z")
    api.world.now = UnixMillis(NOW + HOUR)
    later = next(one for one in (await overview(api))["troubles"] if one["check"] == "disk")
    assert later["since"] == disk["since"]


async def test_series_of_states_add_up_to_what_was_received_in_each_period(api: Api) -> None:
    for number in range(4):
        api.world.now = UnixMillis(NOW + number * HOUR)
        await api.post([order(2 * number), order(2 * number + 1, "lead", currency="EUR")])
    await api.post({}, "/v1/conversions/conv_3/discard")
    found = {name: (await series(api, f"name={name}"))["items"] for name in ("received", *STATES)}
    assert len(found["received"]) == 25
    for place, item in enumerate(found["received"]):
        parts = [found[state][place] for state in STATES]
        assert {part["at"] for part in parts} == {item["at"]}
        assert sum(part["rows"] for part in parts) == item["rows"]
    assert [(item["at"], item["rows"]) for item in found["canceled"] if item["rows"]] == [("2026-11-23T15:00:00Z", 1)]
    assert found["received"][-1] == {"at": "2026-11-23T17:00:00Z", "rows": 2, "value": {"EUR": 2.5, "USD": 2.5}}
    assert sum(item["rows"] for item in found["received"]) == (await overview(api))["received_24h"] == 8


async def test_series_goes_by_steps_account_and_event(api: Api) -> None:
    await api.post([order(1), order(2, "lead", currency="EUR")])
    found = await series(api, "name=pending&step=6h&since=2026-11-23T01:00:00Z&event=lead&account=default")
    assert (found["name"], found["step_seconds"]) == ("pending", 21_600)
    assert [(item["at"], item["rows"]) for item in found["items"]] == [
        ("2026-11-23T00:00:00Z", 0),
        ("2026-11-23T06:00:00Z", 0),
        ("2026-11-23T12:00:00Z", 1),
    ]
    assert [item["rows"] for item in (await series(api, "name=pending&step=1d&account=other"))["items"]] == [0, 0]


async def test_series_that_begins_long_ago_goes_by_whole_days(api: Api) -> None:
    await api.post(order(1))
    found = await series(api, "name=received&step=7h&since=2026-11-10T12:00:00Z")
    assert found["step_seconds"] == DAY // 1_000
    assert [found["items"][place]["at"] for place in (0, -1)] == ["2026-11-10T00:00:00Z", "2026-11-23T00:00:00Z"]
    assert (await series(api, "name=received&step=25h&since=2026-08-25T00:00:00Z"))["step_seconds"] == 2 * DAY // 1_000


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("", ["required"]),
        ("name=lost", ["unknown_series"]),
        ("name=dead&step=30m&since=noon", ["invalid_step", "invalid_time"]),
        ("name=dead&step=0d", ["invalid_step"]),
        ("name=dead&since=2020-01-01T00:00:00Z", ["too_many_items"]),
        ("name=dead&until=1", ["unknown_parameter"]),
    ],
)
async def test_unusable_series_are_refused_with_every_reason(api: Api, query: str, codes: list[str]) -> None:
    answer = await api.get(f"/v1/series?{query}")
    assert (answer.status, answer.codes) == (422, codes)


async def test_series_of_the_future_is_empty(api: Api) -> None:
    assert (await series(api, "name=received&since=2026-11-24T00:00:00Z"))["items"] == []


async def test_goal_has_the_share_that_microsoft_attributed_in_the_last_week(api: Api) -> None:
    today = day_of(api.world.now)
    days = [
        GoalDay(account="default", goal_id="1", goal=goal, day=UnixSeconds(today - ago * DAY_SECONDS),
                attributed=attributed, unattributed=2, reasons={})
        for goal, ago, attributed in (("Sidecar Purchase", 0, 5), ("Sidecar Purchase", 6, 1), ("Sidecar Lead", 7, 99))
    ]  # fmt: skip
    await api.store.verdicts.save("default", days, api.world.now)
    [account] = (await api.get("/v1/overview")).json["accounts"]
    shares = {goal["goal"]: goal["attributed_share"] for goal in account["goals"]}
    assert shares == {"Sidecar Purchase": 0.6, "Sidecar Lead": None, "Sidecar Trial": None}
