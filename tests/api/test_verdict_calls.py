"""GET /v1/verdicts: what was sent and what Microsoft made of it, by goal and day."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from api_kit import Api
from verdict_kit import days_ago, goal_day

from sidecar.core.goal_days import text_of_day
from sidecar.core.instant import UnixMillis

READ_AT = UnixMillis(1_795_444_245_310)


async def read(api: Api, *lines: Any) -> None:
    await api.store.verdicts.save("main", lines, READ_AT)


async def items(api: Api, query: str = "") -> list[dict[str, Any]]:
    answer = await api.get(f"/v1/verdicts{query}")
    assert answer.status == 200, answer.text
    assert answer.json["next_cursor"] is None
    found: list[dict[str, Any]] = answer.json["items"]
    return found


async def test_day_of_a_goal_has_the_members_of_the_contract(api: Api) -> None:
    await read(api, goal_day(2, 7, reasons={"NoMatchingClickFound": 3, "AccountMismatch": 1}))
    wanted = {
        "account": "main",
        "goal": "Sidecar Purchase",
        "day": text_of_day(days_ago(2)),
        "attributed": 7,
        "unattributed": 4,
        "reasons": {"NoMatchingClickFound": 3, "AccountMismatch": 1},
        "sent": 0,
        "read_at": "2026-11-23T14:30:45.310Z",
    }
    [found] = await items(api)
    assert {name: found[name] for name in wanted} == wanted


async def test_day_of_a_goal_is_in_words_with_advice(api: Api) -> None:
    await read(api, goal_day(2, 7, reasons={"NoMatchingClickFound": 3, "AccountMismatch": 1}))
    api.world.next_readings["main"] = READ_AT
    [found] = await items(api)
    assert found["message"].endswith("3 had no matching click, 1 had a click of another ad account.")
    assert found["next_reading_at"] == "2026-11-23T14:30:45.310Z"
    advice = [(one["reason"], one["rows"], bool(one["fix"])) for one in found["advice"]]
    assert advice == [("NoMatchingClickFound", 3, True), ("AccountMismatch", 1, True)]


async def test_nothing_sent_and_nothing_read_is_an_empty_list(api: Api) -> None:
    assert await items(api) == []


async def test_list_is_narrowed_by_goal_account_and_first_day(api: Api) -> None:
    await read(api, *[goal_day(ago, goal=goal) for ago in range(3) for goal in ("A", "B")])
    date = text_of_day(days_ago(1))
    for since in (date, f"{date}T23:59:59Z", str(days_ago(1) + 7_200)):
        found = await items(api, f"?goal=A&since={since}")
        assert [(one["goal"], one["day"]) for one in found] == [("A", text_of_day(days_ago(ago))) for ago in (0, 1)]
    assert len(await items(api, "?account=main")) == 6
    assert await items(api, "?account=other") == []


async def test_pages_follow_the_cursor_to_the_end(api: Api) -> None:
    lines = [goal_day(ago, goal=goal) for ago in range(4) for goal in ("A", "Ünicode, “quoted”")]
    await read(api, *lines)
    every, found, cursor = await items(api), [], ""
    for _ in lines:
        answer = await api.get(f"/v1/verdicts?limit=3{cursor}")
        found += answer.json["items"]
        if answer.json["next_cursor"] is None:
            break
        cursor = f"&cursor={answer.json['next_cursor']}"
    assert found == every
    assert len(every) == 8


def encoded(place: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("since=yesterday", "invalid_time"),
        ("since=2026-02-30", "invalid_time"),
        ("limit=0", "invalid_limit"),
        ("goals=A", "unknown_parameter"),
        ("goal=", "invalid_length"),
        ("cursor=x", "invalid_cursor"),
        (f"cursor={encoded([1, 'main'])}", "invalid_cursor"),
        (f"cursor={encoded([2**70, 'main', 'A'])}", "invalid_cursor"),
        (f"cursor={encoded([1, 'main', chr(0)])}", "invalid_cursor"),
        (f"cursor={encoded([1, 'main', chr(0xD800)])}", "invalid_cursor"),
        (f"cursor={encoded([[[]]] * 900)}", "invalid_cursor"),
    ],
)
async def test_wrong_parameter_is_refused_by_its_code(api: Api, query: str, code: str) -> None:
    answer = await api.get(f"/v1/verdicts?{query}")
    assert (answer.status, answer.codes) == (422, [code])


@pytest.mark.parametrize("goal", ["\0", "a\0b", "☃", "'; DROP TABLE verdicts; --"])
async def test_goal_of_any_characters_is_looked_for(api: Api, goal: str) -> None:
    assert (await api.get(f"/v1/verdicts?goal={quote(goal)}")).status in (200, 422)
    assert await items(api) == []
