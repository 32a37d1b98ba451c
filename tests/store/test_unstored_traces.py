"""Traces of items that were not stored: found by their order alone, gone with an erasure of it."""

import pytest
from conversion_kit import conversion, trace
from instant_kit import NOW, later
from outbox_kit import put
from store_kit import House

from sidecar.core.erasure import ErasureRequest, Subject
from sidecar.core.unstored import SHOWN_TRACES


async def test_trace_is_found_by_its_order_as_it_was(house: House) -> None:
    await house.open()
    unstored = house.unstored
    await unstored.append([trace(), trace("R-2")])
    assert await unstored.of_order("R-1") == [trace()]
    assert await unstored.of_order("R-3") == []


async def test_same_again_counts_up_and_is_the_newest(house: House) -> None:
    await house.open()
    unstored = house.unstored
    await unstored.append([trace(), trace(event="lead", at=later(1))])
    await unstored.append([trace(at=later(5))])
    first, second = await unstored.of_order("R-1")
    assert (first.event, first.times, first.first_at, first.time) == ("purchase", 2, NOW, later(5))
    assert (second.event, second.times) == ("lead", 1)
    assert len(await house.rows("unstored")) == 2


async def test_few_of_an_order_are_read_however_many_there_are(house: House) -> None:
    await house.open()
    unstored = house.unstored
    await unstored.append([trace(event=f"event_{number}") for number in range(80)])
    assert [each.event for each in await unstored.of_order("R-1")] == [
        f"event_{number}" for number in range(79, 79 - SHOWN_TRACES, -1)
    ]


@pytest.mark.parametrize("subject", [Subject.ORDER, Subject.EMAIL])
async def test_erasure_forgets_the_traces_of_its_orders(house: House, subject: Subject) -> None:
    await house.open()
    await put(house.outbox, conversion("R-1", email_sha256="e1" * 32))
    unstored = house.unstored
    await unstored.append([trace(), trace("R-2")])
    taken = await house.outbox.discard(1, NOW)
    assert taken is not None
    search_value = "R-1" if subject is Subject.ORDER else "e1" * 32
    job = await house.erasures.add(ErasureRequest(subject, search_value), NOW)
    await house.erasures.redact(job, await house.erasures.find(job), (), NOW)
    await house.erasures.redact_journal(job)
    assert await unstored.of_order("R-1") == []
    assert len(await unstored.of_order("R-2")) == 1


async def test_erasure_by_an_order_that_was_never_stored_forgets_its_traces(house: House) -> None:
    await house.open()
    unstored = house.unstored
    await unstored.append([trace()])
    await house.erasures.redact_journal(await house.erasures.add(ErasureRequest(Subject.ORDER, "R-1"), NOW))
    assert await unstored.of_order("R-1") == []
