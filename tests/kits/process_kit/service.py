"""The sidecar as a process of its own: its configuration, its addresses, and the accounts that must balance."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from prometheus_client.parser import text_string_to_metric_families

from process_kit.emulator import Microsoft
from process_kit.running import Running, Starter

EVENTS = {
    "purchase": {"goal": "Shop Purchase", "currency": "USD"},
    "subscription": {"goal": "Shop Subscription"},
}
GOALS = tuple(event["goal"] for event in EVENTS.values())

FILE_URL = "sqlite:///outbox.db"

LISTENING = r"listening on (http://\S+)"

Json = dict[str, Any]


def config(there: Microsoft | None, **sections: Any) -> Json:
    """A configuration for tests, JSON being YAML; without an emulator of its own the embedded one runs."""
    whole: Json = {
        "server": {"port": 0},
        "storage": {"url": FILE_URL, "min_free_disk": "1MiB"},
        "microsoft": {"environment": "emulator"},
        "events": EVENTS,
        "delivery": {"linger": "100ms"},
    }
    if there is not None:
        whole["microsoft"] |= reaching(there)
    for name, section in sections.items():
        whole[name] = {**whole.get(name, {}), **section} if name != "events" else section
    return whole


def reaching(there: Microsoft) -> Json:
    """The part of `microsoft:` that names an emulator."""
    url = there.url
    endpoints = {"campaign": url, "customer": url, "authority": f"{url}/common"}
    return {"endpoints": endpoints, "ca_bundle": str(there.ca_file)}


@dataclass(frozen=True)
class Answer:
    """An answer, read to its end."""

    status: int
    text: str
    headers: Mapping[str, str]

    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Sidecar:
    """A sidecar that listens."""

    running: Running
    url: str
    session: aiohttp.ClientSession
    key: str = ""
    """Sent with every call that brings no Authorization of its own."""

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One call; `body` is JSON, or bytes as they are."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        given |= {"Content-Type": "application/json"} if body is not None else {}
        async with self.session.request(
            method, self.url + path, data=data, headers={**given, **headers}, allow_redirects=False
        ) as response:
            return Answer(response.status, await response.text(), dict(response.headers))

    async def post(self, body: Any, **headers: str) -> Answer:
        return await self.call("POST", "/v1/conversions", body, **headers)

    async def get(self, path: str) -> Any:
        answer = await self.call("GET", path)
        assert answer.status == 200, answer.text
        return answer.json()

    async def rows(self, **query: str) -> list[Json]:
        """Every row of the list API."""
        found: list[Json] = []
        parameters = {"limit": "1000", **query}
        while True:
            text = "&".join(f"{name}={value}" for name, value in parameters.items())
            page = await self.get(f"/v1/conversions?{text}")
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            parameters["cursor"] = page["next_cursor"]

    async def metrics(self) -> Counter[tuple[str, str]]:
        """Each sample's value by its name and the label that tells its kind: `state`, else `event`."""
        page = (await self.call("GET", "/metrics")).text
        found: Counter[tuple[str, str]] = Counter()
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                found[sample.name, sample.labels.get("state") or sample.labels.get("event", "")] += sample.value
        return found

    async def pending(self) -> int:
        return int((await self.get("/healthz"))["outbox"]["pending"])

    async def settled(self, seconds: float, but: int = 0) -> None:
        """Wait until no more than `but` rows are pending."""
        until = time.monotonic() + seconds
        while (left := await self.pending()) > but:
            assert time.monotonic() < until, f"{left} still pending after {seconds:g} s: {self.running.out[-2000:]}"
            await asyncio.sleep(0.1)

    async def accounts(self, accepted: int) -> Counter[str]:
        """Rows by state, after making sure that all that count them agree: list, health, metrics, and the caller."""
        by_state = Counter(row["state"] for row in await self.rows())
        outbox = (await self.get("/healthz"))["outbox"]
        metrics = await self.metrics()
        assert by_state.total() == accepted
        assert (outbox["pending"], outbox["dead"]) == (by_state["pending"], by_state["dead"])
        states = ("pending", "delivered", "skipped", "dead", "canceled")
        assert {state: metrics["sidecar_outbox_rows", state] for state in states} == {
            state: by_state[state] for state in states
        }
        return by_state


@dataclass
class Services:
    """Starts sidecars in the starter's folder."""

    starter: Starter
    session: aiohttp.ClientSession
    store_url: str = FILE_URL
    """Where the outbox lies of a configuration that names none of its own."""

    def configure(self, settings: Json, name: str = "config.yaml") -> Path:
        if settings.get("storage", {}).get("url") == FILE_URL:
            settings = {**settings, "storage": {**settings["storage"], "url": self.store_url}}
        path = self.starter.folder / name
        path.write_text(yaml.safe_dump(settings, sort_keys=False))
        return path

    async def launch(self, settings: Json, **more: Any) -> Running:
        """A process that may not come up."""
        return await self.starter.start("run", "--config", str(self.configure(settings)), **more)

    async def start(self, settings: Json, **more: Any) -> Sidecar:
        return await self.ready(await self.launch(settings, **more))

    async def ready(self, running: Running) -> Sidecar:
        """The sidecar, once it listens."""
        return Sidecar(running, await running.output_matching(LISTENING), self.session)
