"""A 109 is repeated once with a fresh token, unless it may have been applied; of several goals each has its answer."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from client_kit import ENTRY, Recorder, client_of, microsoft

from sidecar.core.answer import Answer, Lost, RefusedBatch, Taken
from sidecar.core.goals.creation import Created, Creation, Exists, NotCreated, new_goal
from sidecar.core.goals.rule import GoalRule
from sidecar.core.instant import UnixMillis
from sidecar.delivery.account_state import AccountStates
from sidecar.microsoft.account_ids import AccountIds
from sidecar.microsoft.platform import MicrosoftAdvertising
from sidecar.microsoft.rate_limiter import RateLimiter
from sidecar.ports.errors import NotConnected
from sidecar.ports.tokens import AccessToken

EXPIRED = {"Code": 109, "ErrorCode": "AuthenticationTokenExpired"}


class Tokens:
    """Gives a token; a fresh one only while somebody is signed in."""

    def __init__(self, signed_in: bool) -> None:
        self.signed_in = signed_in
        self.refreshed = 0

    async def access_token(self) -> AccessToken:
        return AccessToken("test-access-token", UnixMillis(2_000_000_000_000))

    async def refresh(self, stale: str) -> AccessToken:
        self.refreshed += 1
        if not self.signed_in:
            raise NotConnected("token_refresh_failed", "the sign-in has ended")
        return await self.access_token()


@asynccontextmanager
async def platform_of(
    *answers: web.Response, signed_in: bool = True
) -> AsyncIterator[tuple[MicrosoftAdvertising, Recorder]]:
    """The platform, and a server that gives these answers."""
    told = iter(answers)
    recorder = Recorder(lambda: next(told))
    async with microsoft(recorder) as base, client_of(base) as client:
        rate_limiter = RateLimiter(lambda: 60_000, lambda: 0.0, lambda account: [account], AccountStates().history)
        accounts = {"main": AccountIds("111", "222")}
        tokens = Tokens(signed_in)
        yield MicrosoftAdvertising(client, tokens, rate_limiter, "test-developer-token", lambda: accounts), recorder  # type: ignore[arg-type]


async def upload(*answers: web.Response, signed_in: bool = True) -> tuple[Answer | NotConnected, int]:
    """What the platform makes of these answers, and how many requests it sent."""
    async with platform_of(*answers, signed_in=signed_in) as (platform, recorder):
        try:
            answer: Answer | NotConnected = await platform.upload("main", [ENTRY, ENTRY])
        except NotConnected as error:
            answer = error
    return answer, len(recorder.requests)


def fault(status: int = 401) -> web.Response:
    return web.json_response({"Type": "AdApiFaultDetail", "Errors": [EXPIRED]}, status=status)


def clean() -> web.Response:
    return web.json_response({"PartialErrors": []})


async def test_expired_token_is_refreshed_once_and_the_request_repeated() -> None:
    answer, requests = await upload(fault(), clean())
    assert (answer, requests) == (Taken(2, {}, None), 2)


async def test_expired_token_without_a_sign_in_is_not_connected() -> None:
    answer, requests = await upload(fault(), signed_in=False)
    assert (type(answer), requests) == (NotConnected, 1)


async def test_what_may_have_been_applied_is_never_forgotten_over_a_repeat() -> None:
    """Inside a 200 without an index it is unknown which rows it means: the same bytes must go again as a batch."""
    for signed_in in (True, False):
        answer, requests = await upload(web.json_response({"PartialErrors": [EXPIRED]}), signed_in=signed_in)
        assert isinstance(answer, RefusedBatch)
        assert (answer.maybe_applied, requests) == (True, 1)


# --- Creating goals --------------------------------------------------------------------------------------------------

BAD_CATEGORY = {"Code": 201, "ErrorCode": "ApiInputValidationError", "Message": "GoalCategory has no value 'Shop'"}


def refused_whole(*errors: dict[str, object], status: int = 400) -> web.Response:
    return web.json_response({"Type": "ApiFault", "OperationErrors": list(errors)}, status=status)


def taken(id_: str | None, *errors: dict[str, object]) -> web.Response:
    return web.json_response({"ConversionGoalIds": [id_], "PartialErrors": list(errors)})


async def created(
    *answers: web.Response, goals: int = 3
) -> tuple[list[Creation | RefusedBatch | Lost], list[list[str]]]:
    """What became of the goals by these answers, and the names in each request."""
    new = [new_goal(GoalRule(name=f"Goal {number}")) for number in range(goals)]
    async with platform_of(*answers) as (platform, recorder):
        made = await platform.create("main", new)
    bodies = [json.loads(body)["ConversionGoals"] for _, _, _, body in recorder.requests]
    return list(made), [[goal["Name"] for goal in body] for body in bodies]


async def test_one_goal_that_microsoft_cannot_read_stops_no_other() -> None:
    whole, bad = refused_whole(BAD_CATEGORY), refused_whole(BAD_CATEGORY)
    exists = taken(None, {"Index": 0, "ErrorCode": "ConversionGoalNameAlreadyExists"})
    made, requests = await created(whole, taken("1"), bad, exists)
    assert [type(one) for one in made] == [Created, NotCreated, Exists]
    assert isinstance(made[1], NotCreated)
    assert made[1].fault.message == "GoalCategory has no value 'Shop'"
    assert requests == [["Goal 0", "Goal 1", "Goal 2"], ["Goal 0"], ["Goal 1"], ["Goal 2"]]


async def test_single_goal_is_refused_by_one_request() -> None:
    made, requests = await created(refused_whole(BAD_CATEGORY), goals=1)
    assert ([type(one) for one in made], len(requests)) == ([NotCreated], 1)


async def test_refusal_that_no_goal_is_to_blame_for_counts_for_all_and_ends_it() -> None:
    not_allowed = {"Code": 106, "ErrorCode": "UserIsNotAuthorized", "Message": "Not you."}
    made, requests = await created(refused_whole(not_allowed))
    assert [type(one) for one in made] == [RefusedBatch] * 3
    assert len(requests) == 1
    made, requests = await created(refused_whole(BAD_CATEGORY), taken("1"), refused_whole(not_allowed))
    assert [type(one) for one in made] == [Created, RefusedBatch, RefusedBatch]
    assert len(requests) == 3


async def test_goals_of_earlier_requests_are_not_forgotten_over_a_later_refusal() -> None:
    ids = [str(number) for number in range(1, 101)]
    first = web.json_response({"ConversionGoalIds": ids, "PartialErrors": []})
    made, _ = await created(first, refused_whole({"Code": 106}), goals=101)
    assert [type(one) for one in made] == [Created] * 100 + [RefusedBatch]


async def test_account_that_left_between_permit_and_upload_sends_nothing() -> None:
    recorder = Recorder(clean)
    async with microsoft(recorder) as base, client_of(base) as client:
        rate_limiter = RateLimiter(lambda: 60_000, lambda: 0.0, lambda account: (), AccountStates().history)
        platform = MicrosoftAdvertising(client, Tokens(True), rate_limiter, "test-developer-token", dict)  # type: ignore[arg-type]
        await platform.permit("main")
        assert await platform.upload("main", [ENTRY]) == Lost("the account left the configuration", sent=False)
        assert isinstance(await platform.goals("main"), Lost)
        assert platform.identity("main") is None
    assert recorder.requests == []


async def test_account_whose_ids_change_while_a_token_is_waited_for_is_sent_to_as_it_was() -> None:
    """What is on its way goes where it was claimed for."""
    accounts = {"main": AccountIds("111", "222")}

    class Slow(Tokens):
        async def access_token(self) -> AccessToken:
            accounts["main"] = AccountIds("333", "444")
            return await super().access_token()

    recorder = Recorder(clean)
    async with microsoft(recorder) as base, client_of(base) as client:
        rate_limiter = RateLimiter(lambda: 60_000, lambda: 0.0, lambda account: [account], AccountStates().history)
        platform = MicrosoftAdvertising(client, Slow(True), rate_limiter, "test-developer-token", lambda: accounts)  # type: ignore[arg-type]
        await platform.upload("main", [ENTRY])
    assert [headers["CustomerAccountId"] for _, _, headers, _ in recorder.requests] == ["222"]


# --- What a 105 means ------------------------------------------------------------------------------------------------


async def test_lost_answer_of_another_account_says_nothing_of_the_token() -> None:
    """Only what Microsoft itself answers shows that it takes the token."""
    invalid = {"Type": "AdApiFaultDetail", "Errors": [{"Code": 105, "ErrorCode": "InvalidCredentials"}]}
    lost = web.Response(text="<html>Sign in to the network</html>", content_type="text/html")
    refusals = [web.json_response(invalid, status=401) for _ in range(2)]  # the second one with a fresh token
    async with platform_of(lost, *refusals) as (platform, _):
        platform.accounts = lambda: {"main": AccountIds("111", "222"), "other": AccountIds("444", "333")}
        assert isinstance(await platform.upload("main", [ENTRY]), Lost)
        refused = await platform.upload("other", [ENTRY])
    assert isinstance(refused, RefusedBatch)
    assert (refused.trouble, refused.lead) == ("developer_token_invalid", None)


async def test_refused_credentials_of_one_account_are_its_ids_where_another_is_answered() -> None:
    """The developer token and the sign-in are the same for both."""
    invalid = {"Type": "AdApiFaultDetail", "Errors": [{"Code": 105, "ErrorCode": "InvalidCredentials"}]}
    accounts = {"main": AccountIds("111", "222"), "other": AccountIds("444", "333")}

    def refused() -> web.Response:
        return web.json_response(invalid, status=401)

    async with platform_of(refused(), refused(), clean(), refused(), refused(), clean()) as (platform, _):
        platform.accounts = lambda: accounts
        before = await platform.upload("other", [ENTRY])
        assert isinstance(before, RefusedBatch)
        assert (before.trouble, before.lead) == ("developer_token_invalid", None)
        assert isinstance(await platform.upload("main", [ENTRY]), Taken)
        after = await platform.upload("other", [ENTRY])
        assert isinstance(after, RefusedBatch)
        assert (after.trouble, "account main is answered" in (after.lead or "")) == ("wrong_account", True)
