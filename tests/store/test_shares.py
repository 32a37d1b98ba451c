"""What conversions could be matched by outlives a restart, and is added up over all replicas."""

import os
from collections.abc import Iterator
from contextlib import closing

import pytest
from store_kit import House

from sidecar.core.instant import UnixMillis
from sidecar.core.match_share import WINDOW, Share
from sidecar.ports.delivery import StoredMatchShares
from sidecar.telemetry import Telemetry

GOOD, LOW = Share(412, 359, 247, 186, 41), Share(200, 10, 10)


@pytest.fixture
async def shares(house: House) -> StoredMatchShares:
    await house.open()
    return house.shares


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    with closing(Telemetry(lambda: UnixMillis(0), fd=os.open(os.devnull, os.O_WRONLY))) as opened:
        yield opened


async def test_what_replicas_count_is_added_up_goal_by_goal(shares: StoredMatchShares) -> None:
    assert await shares.load() == {}
    assert await shares.add({"Sale": GOOD, "Lead": LOW}) == {"Sale": GOOD, "Lead": LOW}
    assert await shares.add({"Sale": Share(3, 1, 1, none=2)}) == {
        "Sale": Share(415, 360, 248, 186, 41, none=2),
        "Lead": LOW,
    }
    assert (await shares.load())["Lead"] == LOW


async def test_old_conversions_fade_in_the_store_as_they_do_in_memory(shares: StoredMatchShares) -> None:
    seen = Share()
    for matched_by, n in [((), 900), (("msclkid",), 101), (("email", "phone"), 7_000), ((), 1), (("msclkid",), 499)]:
        seen = seen.plus(matched_by, n)
        assert await shares.add({"Sale": Share().counting(matched_by, n)}) == {"Sale": seen}
        assert await shares.load() == {"Sale": seen}
    assert seen.received <= WINDOW


async def test_goal_that_left_the_configuration_is_forgotten(shares: StoredMatchShares) -> None:
    await shares.add({"Sale": GOOD, "Lead": LOW})
    await shares.retain({"Sale", "Signup"})
    assert await shares.load() == {"Sale": GOOD}
    await shares.retain(())
    assert await shares.load() == {}


async def test_after_a_restart_a_share_goes_on_and_a_low_one_is_a_trouble_still(
    shares: StoredMatchShares, telemetry: Telemetry
) -> None:
    await shares.add({"Sale": GOOD, "Lead": LOW})
    matches = telemetry.intake.matches
    matches.restore(await shares.load())
    (standing,) = telemetry.board.active()
    assert (standing.code, standing.subject) == ("low_match_rate", "Lead")
    assert standing.message.startswith("Low match rate: Lead (5 %: of the last 200 conversions 10 can be matched")
    assert not matches.changed
    matches.seen("Sale", {("msclkid",): 1})
    assert matches.shares["Sale"] == GOOD.plus(("msclkid",))
    assert matches.changed
    matches.retain({"Sale"})
    assert list(matches.shares) == ["Sale"]


async def test_what_could_not_be_stored_or_came_in_meanwhile_is_stored_next(
    shares: StoredMatchShares, telemetry: Telemetry
) -> None:
    matches = telemetry.intake.matches
    matches.seen("Sale", {("email",): 3})
    assert matches.begin_saving() == {"Sale": Share(3, 3, email=3)}
    matches.seen("Sale", {(): 1})
    matches.not_stored()
    counted = matches.begin_saving()
    assert counted == {"Sale": Share(4, 3, email=3, none=1)}
    matches.seen("Lead", {(): 2})
    await shares.add({"Sale": LOW})  # by another replica
    matches.stored(await shares.add(counted))
    assert matches.shares == {"Sale": Share(204, 13, 10, 3, none=1), "Lead": Share(2, none=2)}
    assert matches.begin_saving() == {"Lead": Share(2, none=2)}
