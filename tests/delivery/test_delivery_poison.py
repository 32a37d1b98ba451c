"""One unreadable row makes Microsoft refuse a whole request: it is found, and the others go out."""

import random
from math import log2

import pytest
from delivery_kit import MINUTE, SECOND, Rig
from promises import Show

from sidecar.emulator import uploads
from sidecar.emulator.error_bodies import Refused
from sidecar.ports.intake import Arrival


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Values of conversions that the emulator cannot read from now on: the whole request is refused with 201."""
    unreadable: set[str] = set()
    real = uploads.read_rows

    def read_rows(body: bytes, name: str) -> object:
        rows = real(body, name)
        if any(str(row.value["ConversionValue"]) in unreadable for row in rows or ()):
            raise Refused("ApiInputValidationError", detail="a row cannot be read")
        return rows

    monkeypatch.setattr(uploads, "read_rows", read_rows)
    return unreadable


def half(rig: Rig, number: int) -> Arrival:
    """A conversion whose value ends in a half."""
    return Arrival(rig.order(value=f"{number + 1}.5"), rig.clock(), "request-1")


async def _isolate(rig: Rig, poison: set[str], places: list[int]) -> int:
    """How many requests it takes, the first not counted, until these rows of a thousand stand alone."""
    rig.stop_clock()
    poison.update(f"{place + 1}.5" for place in places)
    conversions = [half(rig, number) for number in range(1000)]
    seqs = await rig.put(conversions)
    k = len(places)
    await rig.until_counts(lambda counts: counts.delivered == 1000 - k)
    await rig.until(lambda: rig.count("refusals > 0") == k)
    isolating = len(await rig.requests()) - 1
    assert isolating <= _bound(k)
    await rig.post()  # rows die only if others are accepted while they stand alone
    await rig.until_counts(lambda counts: counts.delivered == 1001 - k)
    await rig.hurry(step=5_000)
    lone = len(await rig.requests()) - 2 - isolating
    assert lone == 2 * k
    dead = rig.rows("state = 'dead'")
    assert [row["seq"] for row in dead] == [seqs[place] for place in places]
    assert {(row["reason"], row["error"]) for row in dead} == {("poison", "ApiInputValidationError")}
    assert len(await rig.journal("batch_halved")) > 0
    assert {entry.conversion_id for entry in await rig.journal("row_died")} == {f"conv_{row['seq']}" for row in dead}
    await rig.balance()
    return isolating


@pytest.mark.promise("B4")
@pytest.mark.parametrize("places", [[0], [998, 999], [17, 400, 401, 998], list(range(100, 900, 100))])
async def test_poison_rows_of_a_thousand_die_and_all_others_are_delivered(
    rig: Rig, poison: set[str], places: list[int], shown: Show
) -> None:
    isolating, k = await _isolate(rig, poison, places), len(places)
    shown("1,000 rows with poison among them", lost=0, figure=f"k={k}: {isolating} <= {_bound(k):.0f}")


@pytest.mark.faults
@pytest.mark.promise("B4")
@pytest.mark.parametrize("seed", range(20))
async def test_poison_rows_at_random_places_die_and_all_others_are_delivered(
    rig: Rig, poison: set[str], seed: int, shown: Show
) -> None:
    chance = random.Random(seed)
    places = sorted(chance.sample(range(1_000), k := chance.randint(1, 30)))
    isolating = await _isolate(rig, poison, places)
    shown("1,000 rows with poison among them", lost=0, figure=f"k={k}: {isolating} <= {_bound(k):.0f}")


def _bound(k: int) -> float:
    """This many requests are enough to isolate k rows of a thousand, and two more for each."""
    return 2 * k * log2(1000 / k) + 2 * k


async def test_lone_poison_row_lives_while_no_other_row_was_accepted(rig: Rig, poison: set[str]) -> None:
    """The trouble may not be the row's at all."""
    poison.add("7")
    (seq,) = await rig.post(value="7")
    for refusals in (1, 2, 3, 4):
        await rig.until(lambda refusals=refusals: rig.row(seq)["refusals"] == refusals)
        rig.pass_time(40 * MINUTE)
    assert rig.row(seq)["state"] == "pending"
    await rig.until(lambda: rig.row(seq)["refusals"] == 5)
    await rig.post()
    await rig.until_pending(1)
    rig.pass_time(6 * 60 * MINUTE)
    await rig.until_pending(0)
    assert (rig.row(seq)["state"], rig.row(seq)["reason"]) == ("dead", "poison")
    await rig.balance()


async def refused_times(rig: Rig, seq: int, times: int) -> None:
    """So often the row stood alone in a request that was refused."""
    for refusals in range(1, times + 1):
        await rig.until(lambda refusals=refusals: rig.row(seq)["refusals"] == refusals and rig.under_way() == 0)
        rig.pass_time(40 * MINUTE)


async def test_row_accepted_before_the_batch_was_made_does_not_speak_against_a_lone_one(
    rig: Rig, poison: set[str]
) -> None:
    """The cause may have begun since."""
    await rig.post()
    await rig.until_pending(0)
    rig.pass_time(SECOND)
    poison.add("7")
    (seq,) = await rig.post(value="7")
    await refused_times(rig, seq, 4)
    assert rig.row(seq)["state"] == "pending"


async def test_answer_that_refuses_every_row_does_not_speak_against_a_lone_one(rig: Rig, poison: set[str]) -> None:
    """Microsoft read that batch, and took nothing of it."""
    poison.add("7")
    (seq,) = await rig.post(value="7")
    await rig.until(lambda: rig.row(seq)["refusals"] == 1)
    rig.fault(type="partial_errors", code=5610)
    await rig.post(3)
    await rig.until_pending(1)
    assert rig.count("state = 'dead'") == 3
    await refused_times(rig, seq, 4)
    assert rig.row(seq)["state"] == "pending"


async def shut(rig: Rig) -> None:
    """Every answer is written down, and the account's gate is closed from now on."""
    await rig.until(lambda: not (rig.parts.gates.lets_out("main", rig.clock()) or rig.under_way()))


async def test_batch_that_is_mostly_poison_stops_and_gives_up_no_row(rig: Rig, poison: set[str]) -> None:
    """If more than half of an original batch of 20 rows or more ends poison, stop and call it the configuration."""
    rig.configure(linger=1)
    poison.update(f"{value}.5" for value in range(1, 21))
    await rig.put([half(rig, number) for number in range(30)])
    await rig.until(lambda: "batch_refused" in rig.active_troubles())
    assert rig.parts.gates.held("main", None) == "account_paused"
    await shut(rig)
    sent = len(await rig.requests())
    rig.pass_time(10 * MINUTE)
    await rig.give_time(0.1)
    assert rig.rows("state = 'dead'") == []
    assert len(await rig.requests()) == sent
    for _ in range(8):
        rig.pass_time(15 * MINUTE)
        await rig.until_requests(sent + 1)
        await shut(rig)
        sent = len(await rig.requests())
    assert rig.rows("state = 'dead'") == []
    poison.clear()
    await rig.hurry(step=15 * MINUTE)
    assert (await rig.parts.store.outbox.counts()).delivered == 30
    await rig.balance()


async def test_exactly_half_poison_is_not_yet_the_configuration(rig: Rig, poison: set[str]) -> None:
    rig.configure(linger=1)
    poison.update(f"{value}.5" for value in range(1, 11))
    await rig.put([half(rig, number) for number in range(20)])
    await rig.until(lambda: rig.count("refusals > 0") == 10)
    await rig.post()
    await rig.hurry(step=5_000)
    assert ((await rig.parts.store.outbox.counts()).delivered, (await rig.parts.store.outbox.counts()).dead) == (11, 10)
    assert "batch_refused" not in await rig.troubles()
    await rig.balance()


async def test_rows_that_a_refusal_names_are_taken_out_at_once(rig: Rig) -> None:
    body = """{"BatchErrors": [
        {"Index": 1, "Code": 5604, "ErrorCode": "OfflineConversionMicrosoftClickIdInvalid", "Message": "bad"},
        {"Index": 3, "Code": 5604, "ErrorCode": "OfflineConversionMicrosoftClickIdInvalid", "Message": "bad"}]}"""
    rig.fault(type="status", status=400, body=body, content_type="application/json")
    seqs = await rig.post(10)
    await rig.until_pending(0)
    assert [row["seq"] for row in rig.rows("state = 'dead'")] == [seqs[1], seqs[3]]
    assert [request["rows"] for request in await rig.requests()] == [0, 8]
    assert await rig.journal("batch_halved") == []
    assert [entry.count for entry in await rig.journal("batch_settled")] == [8]
    await rig.balance()


async def test_rows_that_may_have_been_applied_keep_what_was_sent_through_halving(rig: Rig) -> None:
    """An error inside a 200 that names no row leaves the fate of all rows open."""
    body = '{"PartialErrors": [{"Code": 7777, "ErrorCode": "Loose", "Message": "of no row"}]}'
    rig.fault(type="status", status=200, body=body, content_type="application/json", applied=True)
    await rig.post(4)
    await rig.until_pending(0)
    assert {row["maybe_sent"] for row in rig.rows()} == {1}
    assert [request["rows"] for request in await rig.requests()] == [4, 2, 2]
    await rig.balance()
