"""An outbox that moves to another store: everything goes over as it was, and only one of the two places starts."""

from pathlib import Path
from typing import Any

import pytest
from conversion_kit import captured, orders, trace
from instant_kit import DAY, HOUR, MINUTE, NOW, later
from move_kit import WAYS, change, contents, house, indexes, moved
from outbox_kit import LOST, TAKEN, claimed, due, put, retaken, seqs, seqs_of
from store_kit import House, PostgresHouse
from verdict_kit import goal_day

from sidecar.core.erasure import ErasureRequest, Subject
from sidecar.ports.errors import MoveFailed, OutboxRefused
from sidecar.store.moving import row_pages
from sidecar.store.moving.report import MoveReport
from sidecar.store.opening import open_store
from sidecar.store.store import StoreLimits

Houses = tuple[House, House]


@pytest.fixture(params=WAYS, ids="-to-".join)
def houses(request: pytest.FixtureRequest, tmp_path: Path) -> Houses:
    """A source and an empty target, of each kind."""
    source, target = request.param
    return house(source, tmp_path / "source"), house(target, tmp_path / "target")


async def lived_in(one: House) -> dict[str, Any]:
    """Fill the house with something of everything, some of it on its way; it is closed afterwards."""
    outbox = await one.open()
    await put(outbox, *orders(7))
    first, second, third = [await claimed(outbox, limit=limit) for limit in (2, 2, 1)]
    assert await outbox.settle(first, {}, TAKEN, NOW)
    assert await outbox.postpone(second, later(MINUTE), LOST, maybe_sent=True)
    await one.clicks.capture([captured()])
    await one.secrets.put("refresh_token", "test-sealed")
    await one.pauses.put("other", NOW)
    await one.unstored.append([trace()])
    await one.verdicts.save("main", [goal_day(1, 2, reasons={"AccountMismatch": 1})], NOW)
    await one.verdicts.finish("main", NOW)
    await one.erasures.add(ErasureRequest(Subject.EMAIL, "e1" * 32, False), NOW)
    await one.close()
    return {"delivered": seqs(first), "resent": second, "claimed": third}


async def test_every_row_of_every_table_goes_over(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_pages, "PAGE_ROWS", 2)
    source, target = houses
    await lived_in(source)
    before = await contents(source)
    report = await moved(source, target)
    assert await contents(target) == await contents(source) == before
    assert {table.name: table.rows for table in report.tables} == {name: len(rows) for name, rows in before.items()}
    assert report.states == {"delivered": 2, "pending": 5}
    assert report.copied == sum(len(rows) for rows in before.values()) > 20


async def test_what_was_on_its_way_goes_on_in_the_new_place(houses: Houses) -> None:
    """What was delivered is not sent again; what may have been sent goes again as it was; the rest is claimed."""
    source, target = houses
    was = await lived_in(source)
    await moved(source, target)
    outbox = await target.open(later(HOUR))
    again = [await retaken(outbox, later(HOUR)) for _ in range(2)]
    assert {tuple(seqs(batch)) for batch in again} == {tuple(seqs(was["resent"])), tuple(seqs(was["claimed"]))}
    assert {batch.batch_id for batch in again} == {was["resent"].batch_id, was["claimed"].batch_id}
    assert all(batch.token > was["claimed"].token for batch in again if batch.batch_id == was["claimed"].batch_id)
    rest = seqs(await due(outbox, later(HOUR)))
    assert sorted([*was["delivered"], *(seq for batch in again for seq in seqs(batch)), *rest]) == [1, 2, 3, 4, 5, 6, 7]


async def test_numbers_go_on_beyond_those_that_were_given(houses: Houses) -> None:
    """Also beyond rows that are gone: a number that was given once never means another conversion."""
    source, target = houses
    outbox = await source.open()
    await put(outbox, *orders(5))
    batch = await claimed(outbox)
    await outbox.settle(batch, {}, TAKEN, NOW)
    await outbox.prune(later(200 * DAY), 0, 1_000)
    await source.close()
    await moved(source, target)
    outbox = await target.open()
    assert await seqs_of(outbox, *orders(1)) == [6]
    assert (await claimed(outbox)).batch_id == batch.batch_id + 1


async def test_sidecar_starts_in_the_new_place_alone(houses: Houses) -> None:
    """Both would send every conversion twice."""
    source, target = houses
    await lived_in(source)
    await moved(source, target)
    with pytest.raises(OutboxRefused, match=r"was moved to .* would send conversions twice: name the new place"):
        await source.open()
    await target.open()


async def test_move_that_was_interrupted_goes_on(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_pages, "PAGE_ROWS", 2)
    source, target = houses
    await lived_in(source)
    before = await contents(source)
    total = sum(len(rows) for rows in before.values())
    runs = 0
    for _ in range(total):
        runs += 1
        report = await ended_after(source, target, pages=3)
        if report is not None:
            break
        with pytest.raises(OutboxRefused, match=r"is not complete: a move from .* has not ended"):
            await target.open()
    assert report is not None
    assert runs > 3
    assert await contents(target) == before
    await target.open()


class Killed(BaseException):
    """The process ends."""


async def ended_after(source: House, target: House, pages: int) -> MoveReport | None:
    """A move whose process ends after that many steps, and what it reports when it comes to its end before."""
    left = pages

    def watch(step: str, done: int, total: int) -> None:
        nonlocal left
        left -= step == "copy"
        if left < 0:
            raise Killed

    try:
        return await moved(source, target, watch)
    except Killed:
        return None


async def test_source_that_was_used_since_is_moved_from_the_start(houses: Houses) -> None:
    """An interrupted move holds up no sidecar on the old place; what it receives goes over, too."""
    source, target = houses
    await lived_in(source)
    assert await ended_after(source, target, pages=5) is None
    await put(await source.open(), *orders(3, start=100))
    await source.close()
    report = await moved(source, target)
    assert sum(report.states.values()) == 10
    assert await contents(target) == await contents(source)


async def test_move_that_ended_is_not_done_twice(houses: Houses) -> None:
    source, target = houses
    await lived_in(source)
    await moved(source, target)
    assert (await moved(source, target)).was_done
    await target.open()
    await target.close()
    with pytest.raises(MoveFailed, match=r"was moved to .* before, and what has happened since is there"):
        await moved(source, target)


async def test_there_and_back_again(houses: Houses, tmp_path: Path) -> None:
    source, target = houses
    await lived_in(source)
    before = await contents(source)
    await moved(source, target)
    back = type(source)(tmp_path / "back")  # type: ignore[call-arg]
    await moved(target, back)
    assert await contents(back) == before


async def test_target_with_rows_is_refused(houses: Houses) -> None:
    source, target = houses
    await lived_in(source)
    await put(await target.open(), *orders(1))
    await target.close()
    before = await contents(target)
    with pytest.raises(MoveFailed, match=r"is not empty \(.*1 in entries.* cannot be merged: give an empty database"):
        await moved(source, target)
    assert await contents(target) == before
    await source.open()
    await target.open()


async def test_target_has_the_indexes_of_a_new_outbox(houses: Houses, tmp_path: Path) -> None:
    """They are made once the rows are there, also after a move that began twice."""
    source, target = houses
    await lived_in(source)
    new = type(target)(tmp_path / "as-new")  # type: ignore[call-arg]
    await new.open()
    await new.close()
    assert await ended_after(source, target, pages=5) is None
    assert await indexes(target) == set()
    await source.open()
    await source.close()
    assert await ended_after(source, target, pages=5) is None
    await moved(source, target)
    assert await indexes(target) == await indexes(new) > {"entries_due", "clicks_msclkid"}


# --- What is refused -------------------------------------------------------------------------------------------------


async def test_outbox_of_another_environment_is_refused(houses: Houses) -> None:
    """Rows for the emulator must never reach real accounts, nor the reverse."""
    source, target = houses
    await lived_in(source)
    async with open_store(target.url, "production", lambda: NOW, StoreLimits()):
        pass
    with pytest.raises(MoveFailed, match=r"is for microsoft.environment 'production', and .* is for 'emulator'"):
        await moved(source, target)


async def test_target_with_a_part_of_another_outbox_is_refused(houses: Houses, tmp_path: Path) -> None:
    source, target = houses
    other = house("sqlite", tmp_path / "other")
    for one in (source, other):
        await lived_in(one)
    assert await ended_after(other, target, pages=5) is None
    with pytest.raises(MoveFailed, match=r"has a part of .*, from a move that has not ended: go on with that move"):
        await moved(source, target)
    with pytest.raises(MoveFailed, match=r"is a part of .*, from a move that has not ended: end that first"):
        await moved(target, house("sqlite", tmp_path / "third"))
    await moved(other, target)
    await source.open()


async def test_outbox_that_was_never_used_is_refused(houses: Houses) -> None:
    source, target = houses
    if isinstance(source, PostgresHouse):
        with pytest.raises(MoveFailed, match="holds nothing yet: no sidecar ever started there"):
            await moved(source, target)
    else:
        with pytest.raises(OutboxRefused, match="there is no outbox"):
            await moved(source, target)


async def test_place_with_a_sidecar_at_work_is_refused(houses: Houses) -> None:
    """Either side: what it writes during the move would be missing, or in between."""
    source, target = houses
    await lived_in(source)
    await source.open()
    with pytest.raises(OutboxRefused, match="is in use by"):
        await moved(source, target)
    await source.close()
    await target.open()
    with pytest.raises(OutboxRefused, match="is in use by"):
        await moved(source, target)


async def test_place_whose_rows_differ_at_the_end_is_not_released(houses: Houses) -> None:
    source, target = houses
    await lived_in(source)

    def watch(step: str, done: int, total: int) -> None:
        if step == "index" and done == total:
            change(target, "UPDATE entries SET message = 'odd' WHERE seq = 3")

    with pytest.raises(MoveFailed, match="source and target are not equal: entries has 7 rows"):
        await moved(source, target, watch)
    with pytest.raises(OutboxRefused, match="is not complete"):
        await target.open()
    await moved(source, target)
    assert await contents(target) == await contents(source)
