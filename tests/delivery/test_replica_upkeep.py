"""What replicas over one database do once for all, and what they add up."""

from collections.abc import AsyncIterator
from pathlib import Path

import postgres_kit
import pytest
from replica_kit import Replica, Team, team_of

from sidecar.core.match_share import Share
from sidecar.ports.leases import UPKEEP
from sidecar.service.shared_standing import LINGER_SECONDS


@pytest.fixture
async def team(tmp_path: Path) -> AsyncIterator[Team]:
    if postgres_kit.binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    async with team_of(tmp_path) as built:
        yield built


def troubles(replica: Replica, code: str) -> list[str | None]:
    """The subjects of that trouble, as this replica shows them."""
    return [one.subject for one in replica.parts.telemetry.board.everywhere() if one.code == code]


async def test_share_of_matched_conversions_is_the_sum_at_every_replica_and_judged_by_one(team: Team) -> None:
    for _ in range(3):
        await team.join()
    await team.settled()
    matches = [replica.parts.telemetry.intake.matches for replica in team.replicas]
    for number, one in enumerate(matches):
        one.seen("Sidecar Purchase", {("msclkid",): number + 1, (): 40})
    whole = {"Sidecar Purchase": Share(126, 6, 6, none=120)}
    await team.until(lambda: [one.shares for one in matches] == [whole] * 3)
    await team.until(lambda: all(troubles(one, "low_match_rate") == ["Sidecar Purchase"] for one in team.replicas))
    raised = [
        one for one in team.replicas if one.parts.telemetry.board.find("low_match_rate", subject="Sidecar Purchase")
    ]
    assert [one.parts.holdings.does(UPKEEP) for one in raised] == [True]
    (holder,) = raised
    await holder.crash()
    team.end_lease_of(holder)
    rest = [one for one in team.replicas if one is not holder]
    await team.until(lambda: any(one.parts.holdings.does(UPKEEP) for one in rest))
    rest[0].parts.telemetry.intake.matches.seen("Sidecar Purchase", {("email",): 74})
    whole = {"Sidecar Purchase": Share(200, 80, 6, 74, none=120)}
    await team.until(lambda: [one.parts.telemetry.intake.matches.shares for one in rest] == [whole] * 2)
    await team.until(lambda: all(troubles(one, "low_match_rate") == [] for one in rest))


async def test_trouble_of_a_replica_that_is_gone_is_shown_until_its_next_holder_may_have_met_it(team: Team) -> None:
    for _ in range(3):
        await team.join()
    await team.settled()
    holder = team.holder_of("main")
    rest = [one for one in team.replicas if one is not holder]
    holder.parts.telemetry.service.trouble_raised("account_inactive", account="main")
    await team.until(lambda: all(troubles(one, "account_inactive") for one in rest))
    await holder.crash()
    team.end_lease_of(holder)
    await team.until(lambda: any("main" in one.held for one in rest))
    for one in rest:
        await one.parts.holdings.share()
        assert troubles(one, "account_inactive") == [None]
        one.elapsed.ahead += LINGER_SECONDS
    await team.until(lambda: not any(troubles(one, "account_inactive") for one in rest))
