"""Troubles reach a webhook: over a real store, with a webhook on 127.0.0.1 that takes them or does not."""

import asyncio
import contextlib
import os
import sqlite3
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from instant_kit import NOW
from place_kit import OutboxPlace
from store_kit import running_store
from webhook_double import WebhookDouble, answering, hanging, webhook

from sidecar.core.alerts import AlertRules
from sidecar.core.instant import UnixMillis, UnixSeconds, text_of_millis
from sidecar.core.waiting_summary import Waiting
from sidecar.ports.alerts import Reception, StoredAlerts
from sidecar.ports.errors import StorageUnavailable
from sidecar.store.store import Store
from sidecar.telemetry import ActiveTrouble, Telemetry
from sidecar.upkeep.alerts import Alerts, Stake
from sidecar.webhook import HttpWebhook

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
WAITING = Waiting(3, more=False, first_time=UnixSeconds(1_795_444_245), values={"EUR": Decimal(300)})
STAKE = Stake(WAITING, "3 conversions worth 300 EUR wait: Microsoft has no goal called Sale")


@dataclass
class Watched:
    """A webhook of which it is known whether a message is on its way."""

    webhook: HttpWebhook
    is_posting: bool = False

    async def post(self, body: dict[str, Any]) -> Reception:
        self.is_posting = True
        try:
            return await self.webhook.post(body)
        finally:
            self.is_posting = False


@dataclass
class Alerting:
    """Alerts at work, with a clock that tests move and troubles that they raise."""

    store: Store
    there: WebhookDouble
    clock: list[int] = field(default_factory=lambda: [NOW])
    telemetry: Telemetry = field(init=False)
    webhook: Watched = field(init=False)
    alerts: Alerts = field(init=False)
    stake: Stake = STAKE

    async def start(self, stack: contextlib.AsyncExitStack, stored: StoredAlerts | None = None, **given: Any) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        self.telemetry = Telemetry(lambda: UnixMillis(self.clock[0]), fd=null)
        stack.callback(os.close, null)
        stack.callback(self.telemetry.close)

        async def stake(active: ActiveTrouble) -> Stake:
            return self.stake if active.code == "goal_not_found" else Stake()

        seconds = given.pop("seconds", 60.0)
        self.webhook = Watched(HttpWebhook(self.there.address, ssl.create_default_context(), seconds=seconds))
        self.alerts = Alerts(
            store=stored or self.store.alerts,
            webhook=self.webhook,
            form=given.pop("form", "json"),
            rules=AlertRules(HOUR, **given),
            telemetry=self.telemetry,
            stake=stake,
            now=lambda: UnixMillis(self.clock[0]),
            chance=lambda: 0.0,
            version="1.2.3",
        )
        running = asyncio.create_task(self.alerts.run("http://127.0.0.1:8077/"))

        async def end() -> None:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

        stack.push_async_callback(end)
        await asyncio.sleep(0)

    def find(self, code: str = "goal_not_found", **given: Any) -> None:
        """A trouble is found."""
        self.telemetry.service.trouble_raised(code, **{"account": "main", "subject": "Sale", **given})

    def end(self, code: str = "goal_not_found", **given: Any) -> None:
        """It is over."""
        self.telemetry.service.trouble_cleared(code, **{"account": "main", "subject": "Sale", **given})

    def failing(self) -> ActiveTrouble | None:
        return self.telemetry.board.find("alerts_failing")

    async def until(self, condition: Callable[[], object], step: int = SECOND) -> None:
        """Time passes until the condition holds, a second each time that somebody looks; none while a message goes."""

        def look() -> object:
            if not self.webhook.is_posting:
                self.clock[0] += step
                self.alerts.wake()
            return condition()

        await self.there.until(look)


Opened = Callable[..., Awaitable[Alerting]]


@pytest.fixture
async def opened(outbox_place: OutboxPlace) -> AsyncIterator[Opened]:
    """Starts alerts over one store and one webhook; a second start is one after a crash."""
    async with contextlib.AsyncExitStack() as stack:
        store = await stack.enter_async_context(running_store(outbox_place.url))
        there = await stack.enter_async_context(webhook())
        lives = await stack.enter_async_context(contextlib.AsyncExitStack())

        async def start(clock: list[int] | None = None, **given: Any) -> Alerting:
            await lives.aclose()
            alerting = Alerting(store, there, clock or [NOW])
            await alerting.start(lives, **given)
            return alerting

        yield start


async def test_trouble_is_raised_repeated_and_cleared_once_each(opened: Opened) -> None:
    one = await opened()
    one.find(detail="near: Sales")
    await one.until(lambda: one.there.taken)
    raised = one.there.taken[0]
    assert raised["message"] == f"Conversion goal not found: Sale (account main). {STAKE.sentence}. Near: Sales."
    assert raised["at_stake"]["value"] == {"EUR": 300}
    assert raised["since"] == text_of_millis(NOW)
    assert raised["dashboard"] == "http://127.0.0.1:8077/"
    assert "sidecar goals apply" in raised["fix"]
    await one.until(lambda: len(one.there.taken) == 2, step=MINUTE)
    assert one.clock[0] >= NOW + HOUR
    one.end()
    await one.until(lambda: len(one.there.taken) == 3)
    cleared = one.there.taken[2]
    assert one.there.states() == ["raised goal_not_found", "repeated goal_not_found", "cleared goal_not_found"]
    assert cleared["message"] == "Conversion goal not found: Sale (account main). It is over, after 1 h."
    assert cleared["until"] is not None
    assert cleared["incident"] == raised["incident"]
    await one.until(lambda: one.clock[0] > NOW + 24 * HOUR, step=HOUR)
    assert len(one.there.asked) == 3
    assert await one.store.alerts.load() == []


async def test_short_trouble_is_not_posted(opened: Opened) -> None:
    one = await opened()
    one.find()
    one.end()
    one.find("disk_nearly_full", account=None, subject=None)
    await one.until(lambda: one.there.taken)
    assert one.there.states() == ["raised disk_nearly_full"]


async def test_webhook_that_was_away_hears_what_is_true_now(opened: Opened) -> None:
    """One message for each trouble that is there, one for each that came and went, none twice."""
    one = await opened()
    one.there.script = answering(503, "away")
    one.find()
    await one.until(lambda: len(one.there.asked) >= 3)
    failing = one.failing()
    assert failing is not None
    assert failing.message == "Alerts do not get out (it answered HTTP 503: away)"
    one.end()
    one.find("poison", subject="one")
    one.end("poison", subject="one")
    one.find("poison", subject="two")
    await one.until(lambda: one.clock[0] > NOW + HOUR, step=MINUTE)
    one.there.script = None
    await one.until(lambda: len(one.there.taken) == 2)
    assert sorted(one.there.states()) == ["cleared goal_not_found", "raised poison"]
    assert one.failing() is None
    assert not any(body["code"] == "alerts_failing" for body in one.there.asked)


async def test_failing_webhook_is_asked_with_growing_pauses(opened: Opened) -> None:
    one = await opened()
    one.alerts.chance = lambda: 0.999
    one.there.script = answering(500)
    one.find()
    await one.until(lambda: one.clock[0] > NOW + HOUR, step=20 * SECOND)
    assert 10 < len(one.there.asked) < 25, "1, 2, 4 … 256 s, then every five minutes"


async def test_webhook_that_asks_for_a_pause_gets_it(opened: Opened) -> None:
    one = await opened()
    one.there.script = answering(429, "rate_limited", Retry_After="600")
    one.find()
    await one.until(lambda: one.there.asked)
    at = one.clock[0]
    one.there.script = None
    await one.until(lambda: one.there.taken, step=10 * SECOND)
    assert one.clock[0] >= at + 600 * SECOND


async def test_address_that_refuses_or_redirects_is_a_trouble_at_once(opened: Opened) -> None:
    one = await opened()
    one.there.script = answering(302, Location="/elsewhere")
    one.find()
    await one.until(one.failing)
    assert len(one.there.asked) == 1
    assert one.there.elsewhere == []


async def test_hanging_webhook_may_have_taken_the_message_so_that_its_end_is_posted(opened: Opened) -> None:
    one = await opened(seconds=0.5)
    one.there.script = hanging
    one.find()
    await one.until(lambda: one.there.asked)
    one.end()
    one.there.script = None
    await one.until(lambda: one.there.taken)
    assert one.there.states() == ["cleared goal_not_found"]


async def test_after_a_crash_nothing_is_said_twice_and_what_waited_goes_out(opened: Opened) -> None:
    one = await opened()
    one.find()
    one.find("throttled", subject=None)
    await one.until(lambda: len(one.there.taken) == 2)
    one.there.script = answering(503)
    one.end("throttled", subject=None)
    await one.until(lambda: len(one.there.asked) == 3)
    again = await opened(one.clock)
    again.there.script = None
    again.find()
    await again.until(lambda: len(again.there.taken) == 3)
    assert again.there.states() == ["raised goal_not_found", "raised throttled", "cleared throttled"]
    at = again.clock[0]
    await again.until(lambda: again.clock[0] > at + 10 * MINUTE, step=MINUTE)
    assert len(again.there.taken) == 3


async def test_trouble_that_is_not_found_again_after_a_restart_is_over_five_minutes_later(opened: Opened) -> None:
    one = await opened()
    one.find()
    await one.until(lambda: one.there.taken)
    again = await opened(one.clock)
    started = again.clock[0]
    await again.until(lambda: again.clock[0] > started + 4 * MINUTE, step=10 * SECOND)
    assert len(again.there.asked) == 1
    await again.until(lambda: len(again.there.taken) == 2)
    assert again.there.states() == ["raised goal_not_found", "cleared goal_not_found"]
    assert again.clock[0] >= started + 5 * MINUTE


@dataclass
class FailingStore:
    """A store whose disk takes nothing until it is well again; or only after a long time."""

    behind: StoredAlerts
    is_well: bool = False
    saves: int = 0

    async def load(self) -> Any:
        return await self.behind.load()

    async def save(self, changed: Any, gone: Any) -> None:
        self.saves += 1
        if not self.is_well:
            raise StorageUnavailable("storage_failed", "SQLite could not write: disk I/O error")
        await self.behind.save(changed, gone)


async def test_trouble_of_the_disk_is_posted_though_the_disk_takes_nothing(
    opened: Opened, outbox_place: OutboxPlace
) -> None:
    one = await opened()
    failing = FailingStore(one.store.alerts)
    again = await opened(stored=failing)
    again.find("storage_failed", account=None, subject=None)
    await again.until(lambda: again.there.taken)
    assert again.there.states() == ["raised storage_failed"]
    assert failing.saves
    failing.is_well = True
    await again.until(lambda: _stored(outbox_place) == ["storage_failed"])


def _stored(place: OutboxPlace) -> list[str]:
    return [row["code"] for row in place.query("SELECT code FROM alerts ORDER BY code")]


async def test_numbers_that_cannot_be_read_do_not_hold_the_message_back(opened: Opened) -> None:
    one = await opened()

    async def broken(_: ActiveTrouble) -> Stake:
        raise sqlite3.OperationalError("disk I/O error")

    one.alerts.stake = broken
    one.find()
    await one.until(lambda: one.there.taken)
    assert one.there.taken[0]["message"] == "Conversion goal not found: Sale (account main)."
    assert one.there.taken[0]["at_stake"]["conversions"] == 0


async def test_test_message_goes_out_at_once_before_all_that_waits(opened: Opened) -> None:
    one = await opened(form="slack")
    one.there.script = answering(500)
    one.find()
    await one.until(lambda: len(one.there.asked) == 1)
    reception = await one.alerts.test()
    assert reception.error == "it answered HTTP 500"
    one.there.script = None
    assert (await one.alerts.test()).answer == "ok"
    assert "Test: The alerts of the sidecar arrive here" in [body["text"] for body in one.there.taken]
    assert await one.store.alerts.load() != []


async def test_messages_are_counted_by_what_became_of_them(opened: Opened) -> None:
    one = await opened()
    await one.alerts.test()
    one.there.script = answering(404)
    await one.alerts.test()
    one.there.script = hanging
    one.webhook.webhook = replace(one.webhook.webhook, seconds=0.2)
    await one.alerts.test()
    page = one.telemetry.metrics.exposition("")[0].decode()
    for result in ("taken", "refused", "lost"):
        assert f'sidecar_alerts_posted_total{{result="{result}"}} 1.0' in page
