"""A probe and a shop in a process of their own, so that a busy test does not count as a slow sidecar.

`prober.py URL`: asks /livez and posts conversions until its stdin ends, then prints how long each took.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import aiohttp


async def _repeat(work: Callable[[int], Awaitable[int]], over: asyncio.Event) -> tuple[list[float], Counter[int]]:
    """The seconds that each took, and the statuses."""
    took: list[float] = []
    statuses = Counter[int]()
    while not over.is_set():
        began = time.perf_counter()
        statuses[await work(len(took))] += 1
        took.append(time.perf_counter() - began)
        await asyncio.sleep(0.02)  # fifty a second: a probe, no load
    return took, statuses


async def main(url: str) -> None:
    over = asyncio.Event()
    async with aiohttp.ClientSession() as session:

        async def probe(_: int) -> int:
            async with session.get(f"{url}/livez") as answer:
                return answer.status

        async def shop(number: int) -> int:
            body = {"event": "purchase", "order_id": f"SHOP-{number}", "value": 1, "msclkid": f"{number:032x}"}
            async with session.post(f"{url}/v1/conversions", json=body) as answer:
                return answer.status

        print("ready", flush=True)
        work = asyncio.gather(_repeat(probe, over), _repeat(shop, over))
        await asyncio.to_thread(sys.stdin.read)
        over.set()
        (livez, alive), (posts, stored) = await work
    print(json.dumps({"livez": livez, "posts": posts, "statuses": [dict(alive), dict(stored)]}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
