"""One sign-in among several replicas: one asks Microsoft, all have the token, any may sign in."""

from collections.abc import AsyncIterator
from pathlib import Path

import postgres_kit
import pytest
from replica_kit import Replica, Team, team_of

from sidecar.microsoft.sign_in_flow import UnknownSignIn
from sidecar.ports.leases import TOKEN


@pytest.fixture
async def team(tmp_path: Path) -> AsyncIterator[Team]:
    if postgres_kit.binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    async with team_of(tmp_path) as built:
        for _ in range(3):
            await built.join()
        await built.settled()
        yield built


def holder_of_token(team: Team) -> Replica:
    (holder,) = [one for one in team.replicas if one.tasks and one.parts.holdings.does(TOKEN)]
    return holder


def others(team: Team) -> list[Replica]:
    return [one for one in team.replicas if one.tasks and not one.parts.holdings.does(TOKEN)]


async def tokens(team: Team) -> set[str]:
    return {(await one.parts.tokens.access_token()).value for one in team.replicas if one.tasks}


async def test_one_replica_asks_for_the_token_and_all_have_it(team: Team) -> None:
    assert len(await tokens(team)) == 1
    assert await team.tokens_given() == 1


async def test_token_that_microsoft_refuses_is_replaced_once_for_all(team: Team) -> None:
    (before,) = await tokens(team)
    await team.expire_tokens()
    for replica in others(team):
        for account in replica.held:
            await team.post(replica, 1, account)
    await team.until_delivered()
    (after,) = await tokens(team)
    assert after != before
    assert await team.tokens_given() == 2
    await team.balance()


async def test_another_replica_goes_on_refreshing_where_the_one_before_it_left(team: Team) -> None:
    (before,) = await tokens(team)
    await holder_of_token(team).leave()
    await team.until(lambda: any(one.parts.holdings.does(TOKEN) for one in team.replicas if one.tasks))
    await team.expire_tokens()
    replica = others(team)[0]
    assert (await replica.parts.tokens.refresh(before)).value != before
    assert await team.tokens_given() == 2


async def test_sign_out_at_one_replica_is_heard_by_all_and_a_sign_in_at_another_too(team: Team) -> None:
    await tokens(team)
    first, second = others(team)
    await first.parts.sign_in.sign_out()
    await team.until(lambda: not any(one.parts.tokens.connection.connected for one in team.replicas))
    begun = await second.parts.sign_in.begin()
    await first.parts.sign_in.finish(await team.consent(begun.url))
    await team.until(lambda: all(one.parts.tokens.connection.connected for one in team.replicas))
    assert len(await tokens(team)) == 1


async def test_callback_of_a_sign_in_is_taken_once_by_any_replica(team: Team) -> None:
    first, second, third = team.replicas
    answer = await team.consent((await first.parts.sign_in.begin()).url)
    assert await second.parts.sign_in.finish(answer) == "emulator@example.com"
    for replica in (first, third):
        with pytest.raises(UnknownSignIn):
            await replica.parts.sign_in.finish(answer)
    sealed = team.query("SELECT count(*) FROM secrets WHERE name LIKE 'sign_in:%'")
    assert sealed == [(0,)]
