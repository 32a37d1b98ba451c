"""What a sidecar at work holds in memory."""

from process_kit.emulator import microsoft
from process_kit.running import Starter
from process_kit.service import GOALS, Services, config
from process_kit.vitals import memory

MEBIBYTE = 2**20

MOST_MORE = 20 * MEBIBYTE
"""Between the first and the last request below. It takes some 9: the writer's pages, statements, freed memory."""


async def test_ten_thousand_conversions_leave_the_memory_nearly_as_it_was(starter: Starter, services: Services) -> None:
    there = await starter.stack.enter_async_context(microsoft(starter, *GOALS))
    sidecar = await services.start(config(there))
    await sidecar.post([order(number) for number in range(100)])
    before = memory(sidecar.running.pid)
    for first in range(100, 10_100, 100):
        answer = await sidecar.post([order(first + number) for number in range(100)])
        assert answer.status == 202
    more = memory(sidecar.running.pid) - before
    assert more < MOST_MORE, more / MEBIBYTE


def order(number: int) -> dict[str, object]:
    user = {"email": f"shopper.{number}@example.com"}
    return {
        "event": "purchase",
        "order_id": f"ORDER-{number}",
        "value": number,
        "msclkid": f"{number:032x}",
        "user": user,
    }
