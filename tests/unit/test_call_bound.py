"""Calls that are no uploads leave room for uploads, however many accounts are read."""

import asyncio

from aiohttp import web
from client_kit import ENTRY, Recorder, client_of, microsoft

from sidecar.core.answer import Taken
from sidecar.core.instant import UnixMillis
from sidecar.delivery.account_state import AccountStates
from sidecar.microsoft.account_ids import AccountIds
from sidecar.microsoft.goals import QUERY
from sidecar.microsoft.platform import CALLS, MicrosoftAdvertising
from sidecar.microsoft.rate_limiter import RateLimiter
from sidecar.ports.tokens import AccessToken


class Token:
    """Always the same one."""

    async def access_token(self) -> AccessToken:
        return AccessToken("test-access-token", UnixMillis(2_000_000_000_000))


class SlowReadings(Recorder):
    """Answers uploads at once, and readings of goals once `over` is set."""

    def __init__(self) -> None:
        super().__init__(lambda: web.json_response({"PartialErrors": []}))
        self.over = asyncio.Event()
        self.readings = 0
        self.begun = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        if request.path.endswith(QUERY):
            async with self.begun:
                self.readings += 1
                self.begun.notify_all()
            await self.over.wait()
        return await super().take(request)


async def test_upload_passes_while_more_accounts_are_read_than_there_are_connections() -> None:
    server, accounts = SlowReadings(), {f"shop{n}": AccountIds("111", str(n)) for n in range(3 * CALLS)}
    async with microsoft(server) as base, client_of(base) as client:
        pace = RateLimiter(lambda: 60_000, lambda: 0.0, lambda account: [account], AccountStates().history)
        platform = MicrosoftAdvertising(client, Token(), pace, "test-developer-token", lambda: accounts)  # type: ignore[arg-type]
        readings = [asyncio.create_task(platform.goals(account)) for account in accounts]
        async with asyncio.timeout(60):
            async with server.begun:
                await server.begun.wait_for(lambda: server.readings >= CALLS)
            assert await platform.upload("shop1", [ENTRY]) == Taken(1, {}, None)
            assert server.readings == CALLS
            server.over.set()
            await asyncio.gather(*readings)
    assert server.readings == len(accounts)
