"""What each action of a scripted fault does to a request."""

import asyncio
from typing import Any

import aiohttp
import pytest
from emulator_kit import HOUR, Client, Serve, StillClock, adjustment, conversion

from sidecar.emulator import SEED_REFRESH_TOKEN

APPLY = {"operation": "OfflineConversions/Apply"}


async def script(client: Client, action: dict[str, Any], **rule: Any) -> None:
    reply = await client.control("POST", "faults", {"match": APPLY, "action": action, **rule})
    assert reply.status == 200, reply.text


async def seen(client: Client) -> int:
    kept = (await client.emulator.summary())["conversions"]["kept"]
    assert isinstance(kept, int)
    return kept


@pytest.mark.parametrize(("action", "kept"), [("reset_before", 0), ("reset_after", 1)])
async def test_reset_leaves_the_caller_without_answer(client: Client, action: str, kept: int) -> None:
    await script(client, {"type": action})
    with pytest.raises((aiohttp.ClientConnectionError, ConnectionResetError)):
        await client.apply(conversion(1))
    assert await seen(client) == kept
    lost = (await client.stored("requests"))[-1]
    assert (lost["status"], lost["fault"], lost["taken"]) == (0, action, kept)
    assert (await client.apply(conversion(1))).status == 200
    (entry,) = await client.stored()
    assert entry["seen"] == 1 + kept


async def test_slow_answer_comes_late_and_is_right(client: Client) -> None:
    await script(client, {"type": "slow", "seconds": 0.05})
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert (await client.apply(conversion(1))).json() == {"PartialErrors": []}
    assert loop.time() - started >= 0.05


async def test_slow_request_is_stored_with_the_time_at_which_it_arrived(client: Client, clock: StillClock) -> None:
    await script(client, {"type": "slow", "seconds": 3_600})
    held = asyncio.create_task(client.apply(conversion(1)))
    while not client.emulator.script.active[0].fired:
        await asyncio.sleep(0.01)
    clock.now += HOUR // 2
    await client.control("DELETE", "faults")
    await held
    request, (entry,) = (await client.stored("requests"))[-1], await client.stored()
    assert entry["first_seen_at"] - request["at"] == HOUR // 2


async def test_date_of_an_answer_is_as_far_off_as_the_rule_says(serve: Serve) -> None:
    async with serve() as client:
        await script(client, {"type": "date", "seconds": -7_200})
        off, right = await client.apply(conversion(1)), await client.apply(conversion(2))
    assert off.headers["Date"] == "Fri, 20 Nov 2026 10:00:00 GMT"
    assert off.json() == {"PartialErrors": []}
    assert right.headers["Date"] != off.headers["Date"]


@pytest.mark.parametrize("path", ["faults", "faults/1"])
async def test_slow_answer_comes_at_once_when_its_rule_is_removed(client: Client, path: str) -> None:
    await script(client, {"type": "slow", "seconds": 3_600})
    held = asyncio.create_task(client.apply(conversion(1)))
    while not client.emulator.script.active[0].fired:
        await asyncio.sleep(0.01)
    assert not held.done()
    assert (await client.control("DELETE", path)).status < 300
    assert (await held).json() == {"PartialErrors": []}


async def test_hang_never_answers_and_does_not_hold_up_others_nor_the_end(serve: Serve) -> None:
    async with serve() as client:
        await script(client, {"type": "hang"})
        hung = asyncio.create_task(client.apply(conversion(1)))
        while not client.emulator.script.active[0].fired:
            await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):  # which cancels it
            await asyncio.wait_for(hung, 0.1)
        assert (await client.apply(conversion(2))).status == 200
        assert await seen(client) == 1


@pytest.mark.parametrize(
    ("action", "status", "body", "retry_after"),
    [
        ({"status": 503, "retry_after": "7"}, 503, "", "7"),
        (
            {"status": 502, "body": "<html>Bad gateway</html>", "content_type": "text/html"},
            502,
            "<html>Bad gateway</html>",
            None,
        ),
        ({"status": 204}, 204, "", None),
    ],
)
async def test_any_status_with_any_body(
    client: Client, action: dict[str, Any], status: int, body: str, retry_after: str | None
) -> None:
    await script(client, {"type": "status", **action})
    reply = await client.apply(conversion(1))
    assert (reply.status, reply.text, reply.headers.get("Retry-After")) == (status, body, retry_after)
    assert await seen(client) == 0


async def test_status_may_hide_that_everything_was_applied(client: Client) -> None:
    await script(client, {"type": "status", "status": 500, "applied": True})
    assert (await client.apply(conversion(1))).status == 500
    assert await seen(client) == 1


@pytest.mark.parametrize(
    ("action", "status", "code", "symbol"),
    [
        ({"code": 117}, 429, 117, "CallRateExceeded"),
        ({"code": 109}, 401, 109, "AuthenticationTokenExpired"),
        ({"symbol": "InvalidCredentials"}, 401, 105, "InvalidCredentials"),
        ({"code": 0, "status": 503}, 503, 0, "InternalError"),
        ({"code": 9999}, 400, 9999, "Unlisted9999"),
        ({"symbol": "SomethingNew"}, 400, 0, "SomethingNew"),
    ],
)
async def test_fault_by_number_or_symbol(
    client: Client, action: dict[str, Any], status: int, code: int, symbol: str
) -> None:
    await script(client, {"type": "fault", **action})
    reply = await client.apply(conversion(1))
    (error,) = reply.json()["Errors"]
    assert (reply.status, error["Code"], error["ErrorCode"]) == (status, code, symbol)
    assert await seen(client) == 0


async def test_fault_comes_in_every_shape(client: Client) -> None:
    """Bare or inside ApplicationFault; Detail or Details; with and without ErrorCode."""
    for shape, errors, detail in (
        ("AdApiFaultDetail", "Errors", "Detail"),
        ("ApiFaultDetail", "OperationErrors", "Details"),
        ("ApiFault", "OperationErrors", "Details"),
    ):
        for wrapped in (False, True):
            await script(client, {"type": "fault", "code": 5615, "shape": shape, "wrapped": wrapped, "detail": "why"})
            body = (await client.apply(conversion(1))).json()
            body = body["ApplicationFault"] if wrapped else body
            assert (body["Type"], body[errors][0][detail]) == (shape, "why")
            assert ("ErrorCode" in body[errors][0]) is (shape != "ApiFault")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"indexes": [2, 9]}, [2]),
        ({"every_nth": 2}, [1, 3]),
        ({"goal": "Plain"}, [3]),
        ({"every_nth": 2, "order": "descending"}, [3, 1]),
        ({"indexes": [0], "repeat": 2}, [0, 0]),
    ],
)
async def test_partial_errors_strike_the_chosen_rows_only(
    client: Client, choice: dict[str, Any], expected: list[int]
) -> None:
    await script(client, {"type": "partial_errors", "code": 5612, **choice})
    rows = [*(conversion(number) for number in range(3)), conversion(3, ConversionName="Plain")]
    reply = await client.apply(*rows)
    assert reply.errors == [(index, "OfflineConversionsApplyFailed") for index in expected]
    assert await seen(client) == 4 - len(set(expected))
    assert (await client.apply(*rows)).errors == []


async def test_partial_errors_may_be_of_an_unknown_kind_and_strike_adjustments_too(client: Client) -> None:
    rule = {
        "match": {"operation": "OfflineConversionAdjustments/Apply"},
        "action": {"type": "partial_errors", "code": 9999, "symbol": "BrandNew", "message": "Surprise."},
    }
    await client.control("POST", "faults", rule)
    (error,) = (await client.adjust(adjustment(1))).json()["PartialErrors"]
    assert (error["Code"], error["ErrorCode"], error["Message"]) == (9999, "BrandNew", "Surprise.")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("html", "text/html"),
        ("empty", "application/json"),
        ("truncated", "application/json"),
        ("content_type", "text/html"),
    ],
)
@pytest.mark.parametrize("applied", [True, False])
async def test_answer_that_cannot_be_read(client: Client, body: str, content_type: str, applied: bool) -> None:
    await script(client, {"type": "malformed", "body": body, "applied": applied})
    reply = await client.apply(conversion(1))
    assert (reply.status, reply.headers["Content-Type"]) == (200, content_type)
    if body == "content_type":
        assert reply.json() == {"PartialErrors": []}
    else:
        with pytest.raises(ValueError, match=r"."):
            reply.json()
    assert await seen(client) == int(applied)


async def test_all_tokens_expire_at_once(client: Client) -> None:
    await script(client, {"type": "expire_tokens"}, after=1)
    assert (await client.apply(conversion(1))).status == 200
    assert (await client.apply(conversion(2))).fault == "AuthenticationTokenExpired"
    await client.sign_in()
    assert (await client.apply(conversion(2))).status == 200


async def test_refresh_tokens_are_revoked_but_for_the_seed(client: Client) -> None:
    body = (await client.token(grant_type="refresh_token", refresh_token=SEED_REFRESH_TOKEN)).json()
    await script(client, {"type": "revoke_refresh_tokens"})
    await client.apply(conversion(1))
    revoked = await client.token(grant_type="refresh_token", refresh_token=body["refresh_token"])
    assert revoked.json()["error_codes"] == [50173]
    assert (await client.token(grant_type="refresh_token", refresh_token=SEED_REFRESH_TOKEN)).status == 200


@pytest.mark.parametrize(
    ("action", "status", "error", "suberror"),
    [
        ({"aadsts": 700082}, 400, "invalid_grant", "token_expired"),
        ({"aadsts": 65001}, 400, "invalid_grant", "consent_required"),
        ({"aadsts": 65001, "error": "interaction_required"}, 400, "interaction_required", "consent_required"),
        ({"aadsts": 50076, "suberror": "other"}, 400, "interaction_required", "other"),
        ({"aadsts": 7000222}, 401, "invalid_client", None),
        ({"aadsts": 90033}, 503, "temporarily_unavailable", None),
        ({"aadsts": 90055}, 429, "temporarily_unavailable", None),
        ({"aadsts": 123456}, 400, "invalid_grant", None),
    ],
)
async def test_sign_in_fails_by_aadsts_number(
    client: Client, action: dict[str, Any], status: int, error: str, suberror: str | None
) -> None:
    rule = {"match": {"operation": "token"}, "action": {"type": "oauth_error", **action}}
    await client.control("POST", "faults", rule)
    reply = await client.token(grant_type="refresh_token", refresh_token=SEED_REFRESH_TOKEN)
    body = reply.json()
    assert (reply.status, body["error"], body.get("suberror")) == (status, error, suberror)
    assert body["error_codes"] == [action["aadsts"]]


async def test_fault_on_every_goal_but_one_lets_the_others_through(client: Client, clock: StillClock) -> None:
    rule = {"match": {"goal": "Plain"}, "times": None, "action": {"type": "status", "status": 500}}
    await client.control("POST", "faults", rule)
    clock.now += HOUR // 2
    assert (await client.apply(conversion(1, ConversionName="Plain"))).status == 500
    assert (await client.apply(conversion(1))).status == 200
