"""The emulator as a process of its own, and its control API as a test uses it."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from process_kit.running import Running, Starter

APPLY = {"operation": "OfflineConversions/Apply"}
"""Fault rules that are about uploads match this."""

PAGE = 5_000


@dataclass
class Microsoft:
    """The stand-in for Microsoft, seen from outside."""

    running: Running
    url: str
    ca_file: Path
    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        async with self.session.request(method, f"{self.url}/_emulator/{path}", json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def fault(self, kind: str, *, times: int | None = 1, match: Any = None, **more: Any) -> None:
        """Script one: fields of the action beside `after`, `probability` and `seed` of the rule."""
        rule = {name: more.pop(name) for name in ("after", "probability", "seed") if name in more}
        action = {"type": kind, **more}
        await self.call("POST", "faults", {"match": match or APPLY, "times": times, "action": action, **rule})

    async def fired(self) -> dict[str, int]:
        """How often each kind of scripted fault has happened."""
        counts: dict[str, int] = {}
        for rule in (await self.call("GET", "faults"))["items"]:
            kind = rule["rule"]["action"]["type"]
            counts[kind] = counts.get(kind, 0) + rule["fired"]
        return counts

    async def ledger(self, table: str = "conversions") -> list[Any]:
        """Everything it took, oldest first."""
        items: list[Any] = []
        after: int | None = 0
        while after is not None:
            page = await self.call("GET", f"ledger/{table}?limit={PAGE}&after={after}")
            items += page["items"]
            after = page["next_after"]
        return items


@asynccontextmanager
async def microsoft(starter: Starter, *goals: str, requests_per_minute: int = 1_000) -> AsyncIterator[Microsoft]:
    """A running emulator that has these goals."""
    ca_file = starter.folder / "ca.pem"
    named = [option for goal in goals for option in ("--goal", goal)]
    running = await starter.start(
        *("emulator", "--port", "0", "--ca-out", str(ca_file), "--control", *named),
        *("--requests-per-minute", str(requests_per_minute)),
    )
    url = await running.output_matching(r"(https://127\.0\.0\.1:\d+)")
    tls = ssl.create_default_context(cafile=str(ca_file))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        yield Microsoft(running, url, ca_file, session)
