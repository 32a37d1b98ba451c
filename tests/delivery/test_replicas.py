"""Several replicas over one database: who carries what, and what each takes over from the others."""

from collections.abc import AsyncIterator
from pathlib import Path

import postgres_kit
import pytest
from delivery_kit import APPLY, HOUR
from replica_kit import Replica, Team, team_of

from sidecar.core.adaptive_rate import MADE_UP
from sidecar.core.erasure import ErasureRequest, Subject
from sidecar.core.states_and_reasons import Reason
from sidecar.emulator.faults import Rule
from sidecar.ports.leases import UPKEEP
from sidecar.ports.reports import VerdictQuery

REPORT = "OfflineConversionReport/QueryByGoalIds"


@pytest.fixture
async def team(tmp_path: Path) -> AsyncIterator[Team]:
    if postgres_kit.binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    async with team_of(tmp_path) as built:
        yield built


async def test_rows_taken_at_one_replica_are_delivered_by_the_one_that_holds_their_account(team: Team) -> None:
    for _ in range(3):
        await team.join()
    await team.settled()
    assert [len(replica.held) for replica in team.replicas] == [1, 1, 1]
    standings = [replica.parts.holdings.standing for replica in team.replicas]
    assert [(one.replicas, one.accounts) for one in standings if one is not None] == [(3, 1)] * 3
    assert sorted(duty for one in standings if one is not None for duty in one.duties) == ["token", "upkeep"]
    for replica in team.replicas:
        for account in ("main", "twin", "other"):
            await team.post(replica, 2, account)
    await team.until_delivered()
    await team.balance()


async def test_replica_that_joins_gets_accounts_of_the_others_and_carries_them(team: Team) -> None:
    first = await team.join()
    await team.until(lambda: len(first.held) == 3)
    second = await team.join()
    await team.settled()
    assert first.held | second.held == {"main", "twin", "other"}
    await team.post(first, 3, next(iter(second.held)))
    await team.until_delivered()
    await team.balance()


async def test_account_is_given_back_only_once_its_last_answer_is_settled(team: Team) -> None:
    first = await team.join()
    await team.until(lambda: len(first.held) == 3)
    held = team.hold(times=3)
    for account in ("main", "twin", "other"):
        await team.post(first, 1, account)
    await team.until(lambda: held.fired == 3)
    second = await team.join()
    await team.until(lambda: second.parts.holdings.replicas == first.parts.holdings.replicas == 2)
    assert (len(first.held), second.held) == (3, set())
    team.release()
    await team.settled()
    await team.until_delivered()
    await team.balance()
    assert [item["seen"] for item in (await team.emulator.ledger("conversions", limit=10))["items"]] == [1, 1, 1]


async def test_what_a_replica_leaves_goes_on_at_another_one(team: Team) -> None:
    first, second = await team.join(), await team.join()
    await team.settled()
    account = next(iter(first.held))
    await first.leave()
    await team.until(lambda: len(second.held) == 3)
    await team.post(second, 2, account)
    await team.until_delivered()
    await team.balance()


async def test_rows_of_a_replica_that_died_go_out_once_its_lease_is_over(team: Team) -> None:
    first, second = await team.join(), await team.join()
    await team.settled()
    account = next(iter(first.held))
    held = team.hold()
    await team.post(first, 2, account)
    await team.until(lambda: held.fired == 1)
    await first.crash()
    team.release()
    team.end_lease_of(first)
    await team.until(lambda: len(second.held) == 3)
    await team.until_delivered()
    await team.balance()
    assert len(await team.requests(account)) == 2, "what was on its way went again, as its answer was lost"


async def test_replica_that_was_stopped_longer_than_its_lease_sends_and_settles_nothing_more(team: Team) -> None:
    first, second = await team.join(), await team.join()
    await team.settled()
    account = next(iter(first.held))
    held = team.hold()
    await team.post(first, 1, account)
    await team.until(lambda: held.fired == 1)
    batch = "SELECT token, settled_at, tracking_id FROM batches"
    async with team.frozen(first):
        assert first.held == set()
        await team.post(first, 1, account)
        await team.until_delivered(2)
        settled = team.query(batch)
        assert [token for token, *_ in settled] == [2, 1]
        team.release()
        await team.until(lambda: not first.parts.gates.accounts[account].in_flight._requests)
        assert team.query(batch) == settled
    await team.settled()
    await team.balance()
    assert second.held


async def test_pause_at_one_replica_stops_the_account_at_another(team: Team) -> None:
    first, second = await team.join(), await team.join()
    await team.settled()
    account = next(iter(second.held))
    await first.parts.pauses.pause(account)
    await team.until(lambda: second.parts.gates.held(account, None) is Reason.ACCOUNT_PAUSED)
    await team.post(first, 1, account)
    await first.parts.pauses.resume(account)
    await team.until_delivered()
    assert second.parts.gates.paused_since(account) is None
    await team.balance()


async def test_call_of_a_replica_that_does_not_hold_the_account_counts_at_the_one_that_does(team: Team) -> None:
    first, second = await team.join(), await team.join()
    await team.settled()
    account = next(iter(first.held))
    await team.until(lambda: not first.parts.gates.awaits_reading(account))
    before, _ = first.parts.last_minute(account)
    await second.parts.catalogue.reader.read(account)
    await team.until(lambda: first.parts.last_minute(account)[0] == before + 2)
    assert second.parts.last_minute(account)[0] == 2, "its goals, and its auto-tagging"


async def test_accounts_that_share_a_limit_wait_together_at_all_replicas(team: Team) -> None:
    """`main` and `twin` belong to one customer."""
    first = await team.join()
    for _ in range(2):
        await team.join()
    await team.settled()
    throttled = {"type": "status", "status": 429, "retry_after": "600"}
    team.emulator.script.add(
        Rule.model_validate({"match": {"operation": APPLY}, "times": 1, "after": 0, "action": throttled})
    )
    await team.post(first, 1, "main")

    def waits(account: str) -> bool:
        holder = team.holder_of(account)
        return holder.parts.gates.throttled_until(account, team.clock()) is not None

    def rates(replica: Replica) -> list[float]:
        limiter = replica.parts.last_minute
        return [limiter(account)[1] for account in ("main", "twin", "other")]

    await team.until(lambda: waits("main") and waits("twin"))
    assert not waits("other")
    await team.until(lambda: [rates(replica) for replica in team.replicas] == [[15_000, 15_000, 30_000]] * 3)
    assert rates(await team.join()) == [15_000, 15_000, 30_000], "it begins where the others are"


async def test_limit_holds_in_every_sliding_stretch_while_an_account_moves(team: Team) -> None:
    """20 permits in every sliding second, through two takeovers; what is made up for may come beside it."""
    first = await team.join(requests_per_minute=1_200, batch_size=1, linger=0)
    await team.until(lambda: len(first.held) == 3)
    await team.post(first, 60)
    await team.until(lambda: has(team, 15))
    second = await team.join(requests_per_minute=1_200, batch_size=1, linger=0)
    await first.leave()
    await team.until(lambda: has(team, 40))
    await team.join(requests_per_minute=1_200, batch_size=1, linger=0)
    await second.leave()
    await team.until_delivered()
    at = [one for replica in team.replicas for one in replica.parts.gates.accounts["main"].history.permitted]
    assert len(at) >= len(await team.requests("main")) == 60
    fullest = max(sum(start <= one < start + 1 for one in at) for start in at)
    assert fullest <= 20 + MADE_UP + 1
    await team.balance()


async def has(team: Team, count: int) -> bool:
    return len(await team.requests("main")) >= count


async def test_trouble_of_an_account_and_the_reason_of_its_rows_show_at_every_replica(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await team.join()
    await team.settled()
    holder = team.holder_of("main")
    other = team.other_than(holder)
    refused = {"type": "status", "status": 429, "retry_after": "600"}
    team.emulator.script.add(
        Rule.model_validate({"match": {"operation": APPLY}, "times": 1, "after": 0, "action": refused})
    )
    assert other.parts.gates.held("main", None) is None
    await team.post(other, 1, "main")
    board = other.parts.telemetry.board
    await team.until(lambda: "throttled" in {one.code for one in board.everywhere()})
    assert "throttled" not in {one.code for one in board.active()}
    await team.until(lambda: other.parts.gates.held("main", None) is Reason.THROTTLED)
    monkeypatch.setattr("sidecar.service.shared_standing.LINGER_SECONDS", 0.0)
    await holder.leave()
    await team.until(lambda: "throttled" not in {one.code for one in board.everywhere()})


async def test_erasure_that_one_replica_takes_is_carried_out_by_another(team: Team) -> None:
    replicas = [await team.join() for _ in range(2)]
    await team.settled()
    (idle,) = [one for one in replicas if not one.parts.holdings.does(UPKEEP)]
    (seq,) = await team.post(idle, 1, "main")
    await team.until_delivered()
    job = await idle.parts.store.erasures.add(ErasureRequest(Subject.ORDER, "ORDER-0", False), team.clock())
    idle.parts.eraser.begun()
    await team.until(lambda: team.query(f"SELECT phase FROM erasures WHERE id = {job.id}") == [("done",)])
    assert team.query(f"SELECT order_id FROM entries WHERE seq = {seq}") != [("ORDER-0",)]


async def test_verdict_is_read_by_the_holder_of_the_account_and_after_its_crash_by_another(team: Team) -> None:
    """The other one goes on when the next round is due, and not before."""

    async def read() -> list[int]:
        for replica in [one for one in team.replicas if one.tasks]:
            await replica.parts.reports.step()
        return [len(await team.requests(account, REPORT)) for account in ("main", "twin", "other")]

    first, second = await team.join(), await team.join()
    await team.settled()
    for account in ("main", "twin", "other"):
        await team.post(first, 1, account)
    await team.until_delivered()
    both = (first.parts.catalogue.known, second.parts.catalogue.known)
    await team.until(lambda: all(any(known.catalogue(name) for known in both) for name in ("main", "twin", "other")))
    assert await read() == [1, 1, 1]
    team.clock.offset += HOUR
    assert await read() == [1, 1, 1]
    await second.crash()
    team.end_lease_of(second)
    await team.until(lambda: first.held == {"main", "twin", "other"})
    assert await read() == [1, 1, 1]
    team.clock.offset += 6 * HOUR
    await team.until(lambda: all(first.parts.catalogue.known.catalogue(name) for name in ("main", "twin", "other")))
    assert await read() == [2, 2, 2]
    found = await first.parts.store.verdicts.find(VerdictQuery())
    assert sorted((day.account, day.attributed, day.sent.rows) for day in found.days) == [
        ("main", 1, 1),
        ("other", 1, 1),
        ("twin", 1, 1),
    ]
