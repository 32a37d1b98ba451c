"""The user's accounts are read page by page, once for all who ask, and again after a sign-in."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from client_kit import client_of, microsoft

from sidecar.core.ad_accounts import AccountsUnread, VisibleAccounts
from sidecar.core.instant import UnixMillis
from sidecar.microsoft.ad_accounts import PAGE_SIZE, QUERY_USER, SEARCH
from sidecar.microsoft.customer_platform import (
    FRESH_SECONDS,
    MOST_PAGES,
    RETRY_SECONDS,
    CustomerManagement,
    own_pace,
)
from sidecar.ports.errors import NotConnected
from sidecar.ports.tokens import AccessToken

USER = {"User": {"Id": "300", "UserName": "ads@example.com"}, "CustomerRoles": [{"RoleId": 41, "CustomerId": "11"}]}


@dataclass
class SignIn:
    """A token, or none; a fresh one has another value."""

    signed_in: bool = True
    refreshed: int = 0

    async def access_token(self) -> AccessToken:
        if not self.signed_in:
            raise NotConnected("not_connected", "no one has signed in yet")
        return AccessToken(f"test-access-token-{self.refreshed}", UnixMillis(2_000_000_000_000))

    async def refresh(self, rejected: str) -> AccessToken:
        self.refreshed += 1
        return await self.access_token()


@dataclass
class CustomerServer:
    """Answers the two calls with `number` accounts, or with the next of `refusals`."""

    number: int = 2
    refusals: list[web.Response] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    page: Callable[[int], int] = lambda index: index
    """Which page is given for one that is asked for."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def take(self, request: web.Request) -> web.Response:
        self.calls.append(request.path)
        self.headers.append(dict(request.headers))
        await self.gate.wait()
        if self.refusals:
            return self.refusals.pop(0)
        if request.path == QUERY_USER:
            return web.json_response(USER)
        index = self.page((await request.json())["PageInfo"]["Index"])
        there = range(index * PAGE_SIZE, min(self.number, (index + 1) * PAGE_SIZE))
        return web.json_response({"Accounts": [{"Id": str(2001 + one), "ParentCustomerId": "11"} for one in there]})


@dataclass
class Rig:
    server: CustomerServer
    sign_in: SignIn
    customers: CustomerManagement
    seconds: float = 0.0

    async def ids(self) -> list[str]:
        result = await self.customers.visible()
        assert isinstance(result, VisibleAccounts), result
        return [account.account_id for account in result.accounts]

    async def unread(self) -> AccountsUnread:
        result = await self.customers.visible()
        assert isinstance(result, AccountsUnread), result
        return result


@asynccontextmanager
async def rig_of(**options: Any) -> AsyncIterator[Rig]:
    server, sign_in = CustomerServer(**options), SignIn()
    async with microsoft(server) as base, client_of(base) as client:  # type: ignore[arg-type]
        pace = own_pace(lambda: 600_000, lambda: 0.0)
        customers = CustomerManagement(
            client,
            sign_in,  # type: ignore[arg-type]
            pace,
            "test-developer-token",
            now=lambda: UnixMillis(7),
            monotonic=lambda: rig.seconds,
            clean=lambda text: text.replace("secret", "***"),
        )
        rig = Rig(server, sign_in, customers)
        yield rig


def fault(code: int, status: int = 400, **headers: str) -> web.Response:
    body = {"Type": "ApiFault", "OperationErrors": [{"Code": code, "Message": "a secret word"}]}
    return web.json_response(body, status=status, headers={"TrackingId": "test-tracking", **headers})


@pytest.mark.parametrize("number", [0, 1, PAGE_SIZE - 1, PAGE_SIZE, 2 * PAGE_SIZE + 1])
async def test_every_page_is_read(number: int) -> None:
    async with rig_of(number=number) as rig:
        assert await rig.ids() == [str(2001 + one) for one in range(number)]
        assert rig.server.calls == [QUERY_USER, *[SEARCH] * (number // PAGE_SIZE + 1)]
        seen = await rig.customers.visible()
    assert isinstance(seen, VisibleAccounts)
    assert (seen.user, seen.read_at, seen.is_complete) == ("ads@example.com", 7, True)
    assert [role.name for role in seen.roles] == ["Super Admin"]


async def test_calls_name_no_account_and_carry_token_and_developer_token() -> None:
    async with rig_of() as rig:
        await rig.ids()
    for sent in rig.server.headers:
        assert sent["Authorization"] == "Bearer test-access-token-0"
        assert sent["DeveloperToken"] == "test-developer-token"
        assert not {"CustomerId", "CustomerAccountId"} & sent.keys()


async def test_server_that_repeats_its_first_page_ends_the_reading() -> None:
    async with rig_of(number=PAGE_SIZE, page=lambda index: 0) as rig:
        assert len(await rig.ids()) == PAGE_SIZE
        assert len(rig.server.calls) == 3


async def test_more_accounts_than_are_read_make_the_list_incomplete() -> None:
    async with rig_of(number=PAGE_SIZE * MOST_PAGES) as rig:
        seen = await rig.customers.visible()
    assert isinstance(seen, VisibleAccounts)
    assert (len(seen.accounts), seen.is_complete) == (PAGE_SIZE * MOST_PAGES, False)


async def test_list_is_used_for_some_minutes() -> None:
    async with rig_of() as rig:
        await rig.ids()
        rig.seconds = FRESH_SECONDS - 1
        await rig.ids()
        assert len(rig.server.calls) == 2
        rig.seconds = FRESH_SECONDS
        await rig.ids()
        assert len(rig.server.calls) == 4


async def test_all_who_ask_at_once_share_one_reading() -> None:
    async with rig_of() as rig:
        lists = await asyncio.gather(*(rig.ids() for _ in range(5)))
        assert len(rig.server.calls) == 2
    assert lists == [["2001", "2002"]] * 5


async def test_list_is_read_again_after_a_sign_in_also_one_that_came_during_a_reading() -> None:
    async with rig_of() as rig:
        rig.server.gate.clear()
        reading = asyncio.create_task(rig.ids())
        while not rig.server.calls:
            await asyncio.sleep(0)
        rig.customers.forget()
        rig.server.gate.set()
        await reading
        assert len(rig.server.calls) == 2
        await rig.ids()
        assert len(rig.server.calls) == 4
        rig.customers.forget()
        await rig.ids()
        assert len(rig.server.calls) == 6


async def test_without_a_sign_in_no_list_is_shown_not_even_the_last_one() -> None:
    async with rig_of() as rig:
        await rig.ids()
        rig.sign_in.signed_in = False
        assert await rig.unread() == AccountsUnread("not_connected", "no one has signed in yet")
        rig.sign_in.signed_in = True
        assert await rig.ids() == ["2001", "2002"]


async def test_expired_token_is_refreshed_once() -> None:
    async with rig_of(refusals=[fault(109, 401)]) as rig:
        assert await rig.ids() == ["2001", "2002"]
        assert rig.sign_in.refreshed == 1
        assert rig.server.calls == [QUERY_USER, QUERY_USER, SEARCH]


async def test_refusal_is_a_trouble_with_clean_words_and_is_not_repeated_at_once() -> None:
    async with rig_of(refusals=[fault(106, 403)]) as rig:
        found = await rig.unread()
        assert found == AccountsUnread("not_authorized", "a *** word", "test-tracking", "UserIsNotAuthorized")
        await rig.unread()
        assert len(rig.server.calls) == 1
        rig.seconds = RETRY_SECONDS
        assert await rig.ids() == ["2001", "2002"]


async def test_105_cannot_be_about_ids_here() -> None:
    async with rig_of(refusals=[fault(105, 401), fault(105, 401)]) as rig:
        found = await rig.unread()
    assert found.trouble == "developer_token_invalid"
    assert "names no account" in found.detail


async def test_too_many_calls_are_waited_for_as_long_as_microsoft_asks() -> None:
    async with rig_of(refusals=[fault(117, 429, **{"Retry-After": "90"})]) as rig:
        assert (await rig.unread()).trouble == "throttled"
        rig.seconds = 89
        assert (await rig.unread()).trouble == "throttled"
        rig.seconds = 90
        assert await rig.ids() == ["2001", "2002"]


async def test_second_page_that_fails_makes_no_short_list() -> None:
    async with rig_of(number=PAGE_SIZE + 1) as rig:
        good = rig.server.take

        async def take(request: web.Request) -> web.Response:
            asked = json.loads(await request.read())
            return fault(0, 500) if asked.get("PageInfo", {}).get("Index") == 1 else await good(request)

        rig.server.take = take  # type: ignore[method-assign]
        async with microsoft(rig.server) as base, client_of(base) as client:  # type: ignore[arg-type]
            rig.customers.client = client
            assert (await rig.unread()).trouble == "unreachable"
