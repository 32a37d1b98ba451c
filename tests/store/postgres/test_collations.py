"""A server may sort texts as a language does, where a semicolon comes before a colon."""

import asyncio

import postgres_kit
import psycopg
from instant_kit import NOW

from sidecar.core.adaptive_rate import HalvedRate
from sidecar.core.instant import UnixMillis
from sidecar.store.opening import open_store
from sidecar.store.store import StoreLimits


async def test_pauses_and_throttles_are_found_however_the_server_sorts() -> None:
    url = postgres_kit.empty_database("TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
    try:
        with psycopg.connect(url) as db:
            assert db.execute("SELECT 'a;' < 'a:'").fetchone() == (True,)
        async with open_store(url, "emulator", lambda: NOW, StoreLimits()) as store:
            running = asyncio.create_task(store.run())
            until, halved = UnixMillis(NOW + 60_000), HalvedRate(0.5, NOW)
            await store.pauses.put("main", NOW)
            await store.outbox.record_throttle("main", until)
            await store.outbox.record_rates({"main": halved})
            assert await store.pauses.all() == {"main": NOW}
            assert await store.outbox.throttled(NOW) == {"main": until}
            assert await store.outbox.halved_rates() == {"main": halved}
            store.stop()
            await running
    finally:
        postgres_kit.drop(url)
