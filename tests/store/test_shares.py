"""What conversions could be matched by outlives a restart."""

import os
from contextlib import closing

import pytest
from store_kit import House

from sidecar.core.instant import UnixMillis
from sidecar.core.match_share import Share
from sidecar.ports.delivery import StoredMatchShares
from sidecar.telemetry import Telemetry

GOOD, LOW = Share(412, 359, 247, 186, 41), Share(200, 10, 10)


MOST_GOALS = 500


@pytest.fixture
async def shares(house: House) -> StoredMatchShares:
    await house.open()
    return house.shares


async def test_shares_are_kept_as_a_whole(shares: StoredMatchShares) -> None:
    assert await shares.load() == {}
    await shares.save({"Sale": GOOD, "Lead": LOW})
    assert await shares.load() == {"Sale": GOOD, "Lead": LOW}
    await shares.save({"Sale": LOW})
    assert await shares.load() == {"Sale": LOW}


async def test_table_stays_small(shares: StoredMatchShares) -> None:
    await shares.save({f"Goal {number}": GOOD for number in range(MOST_GOALS + 50)})
    assert len(await shares.load()) == MOST_GOALS


async def test_after_a_restart_a_share_goes_on_and_a_low_one_is_a_trouble_still(shares: StoredMatchShares) -> None:
    await shares.save({"Sale": GOOD, "Lead": LOW})
    with closing(Telemetry(lambda: UnixMillis(0), fd=os.open(os.devnull, os.O_WRONLY))) as telemetry:
        telemetry.intake.matches.restore(await shares.load())
        (standing,) = telemetry.board.active()
        assert (standing.code, standing.subject) == ("low_match_rate", "Lead")
        assert standing.message.startswith("Low match rate: Lead (5 %: of the last 200 conversions 10 can be matched")
        assert not telemetry.intake.matches.changed
        telemetry.intake.matches.seen("Sale", {("msclkid",): 1})
        assert telemetry.intake.matches.shares["Sale"] == GOOD.plus(("msclkid",))
        assert telemetry.intake.matches.changed
        telemetry.intake.matches.retain({"Sale"})
        assert list(telemetry.intake.matches.shares) == ["Sale"]
