"""A real process reads Microsoft's verdict by itself, once a round is due."""

import asyncio
import signal

from process_kit.service import Services, config

ORDERS = [
    {"event": "purchase", "order_id": f"ORDER-{number}", "value": 9.99, "msclkid": f"{number:032x}"}
    for number in range(1, 4)
]


async def test_verdict_on_what_was_delivered_is_read_after_a_start(services: Services) -> None:
    settings = config(None, delivery={"linger": "0s"})
    sidecar = await services.start(settings)
    assert (await sidecar.post(ORDERS)).status == 202
    await sidecar.settled(60)
    (day,) = (await sidecar.get("/v1/verdicts"))["items"]
    assert (day["sent"], day["attributed"], day["read_at"]) == (3, 0, None)
    sidecar.running.signal(signal.SIGTERM)
    assert await sidecar.running.ended() == 0
    again = await services.start(settings)
    async with asyncio.timeout(60):
        while day["read_at"] is None:
            await asyncio.sleep(0.1)
            (day,) = (await again.get("/v1/verdicts?goal=Shop%20Purchase&account=default"))["items"]
    assert (day["attributed"], day["unattributed"], day["reasons"]) == (3, 0, {})
    assert (await again.metrics())["sidecar_attributed_total", ""] == 3
