"""A 109 is repeated once with a fresh token, unless what came before may have been applied."""

from aiohttp import web
from http_peers import ENTRY, Recorder, client_of, microsoft

from sidecar.core.answer import Answer, Refused, Taken
from sidecar.core.entry import Delivered
from sidecar.core.instant import UnixMillis
from sidecar.microsoft.pacer import Pacer
from sidecar.microsoft.platform import AccountIds, MicrosoftAdvertising
from sidecar.microsoft.tokens import AccessToken
from sidecar.ports import NotConnected

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


async def upload(*answers: web.Response, signed_in: bool = True) -> tuple[Answer | NotConnected, int]:
    """What the platform makes of these answers, and how many requests it sent."""
    told = iter(answers)
    recorder = Recorder(lambda: next(told))
    async with microsoft(recorder) as base, client_of(base) as client:
        pacer = Pacer(lambda: 60_000, lambda: 0.0, lambda: {"main": "111"})
        tokens = Tokens(signed_in)
        accounts = {"main": AccountIds("111", "222")}
        platform = MicrosoftAdvertising(client, tokens, pacer, "test-developer-token", lambda: accounts)  # type: ignore[arg-type]
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
    assert (answer, requests) == (Taken((Delivered(), Delivered()), None), 2)


async def test_expired_token_without_a_sign_in_is_not_connected() -> None:
    answer, requests = await upload(fault(), signed_in=False)
    assert (type(answer), requests) == (NotConnected, 1)


async def test_what_may_have_been_applied_is_never_forgotten_over_a_repeat() -> None:
    """Inside a 200 without an index nobody knows which rows it means: the same bytes must go again as a batch."""
    for signed_in in (True, False):
        answer, requests = await upload(web.json_response({"PartialErrors": [EXPIRED]}), signed_in=signed_in)
        assert isinstance(answer, Refused)
        assert (answer.maybe_applied, requests) == (True, 1)
