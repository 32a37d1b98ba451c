"""Rows whose event or account left the configuration: kept and shown as unmapped, sent when it comes back."""

import signal

import pytest
from process_kit.emulator import Microsoft, microsoft
from process_kit.running import Starter
from process_kit.service import EVENTS, GOALS, Json, Services, Sidecar, config

REFILL = {"goal": GOALS[0], "currency": "USD"}
MAIN, SECOND = {"customer_id": 100000001, "account_id": 200000001}, {"customer_id": 100000009, "account_id": 200000009}


@pytest.fixture
async def there(starter: Starter) -> Microsoft:
    return await starter.stack.enter_async_context(microsoft(starter, *GOALS))


def order(number: int, **more: object) -> Json:
    return {"event": "purchase", "order_id": f"ORDER-{number}", "account": "main", "msclkid": f"{number:032x}", **more}


async def reload(services: Services, sidecar: Sidecar, settings: Json) -> None:
    services.configure(settings)
    seen = sidecar.running.out.count('"reloaded"')
    sidecar.running.signal(signal.SIGHUP)
    await sidecar.running.output_matching(f'(?s)(?:"reloaded".*){{{seen + 1}}}')


async def shown(sidecar: Sidecar, **query: str) -> dict[str, tuple[str, str | None]]:
    """State and reason of each row that a list gives, by its order."""
    return {row["order_id"]: (row["state"], row["reason"]) for row in await sidecar.rows(**query)}


async def test_rows_of_what_left_the_configuration_wait_visibly_and_go_out_when_it_returns(
    there: Microsoft, services: Services
) -> None:
    whole = config(there, events={**EVENTS, "refill": REFILL}, accounts={"main": MAIN, "second": SECOND})
    less = config(there, events=EVENTS, accounts={"main": MAIN})
    sidecar = await services.start(whole)
    for account in ("main", "second"):
        assert (await sidecar.call("POST", f"/v1/accounts/{account}/pause", {})).status == 200
    given = [order(1), order(2, event="refill"), order(3, account="second"), order(4, event="refill")]
    assert (await sidecar.post(given)).status == 202
    paused, unmapped = ("pending", "account_paused"), ("pending", "unmapped")
    assert set((await shown(sidecar)).values()) == {paused}

    await reload(services, sidecar, less)
    title = "Event or account no longer configured"
    (reloaded,) = [line for line in sidecar.running.out.splitlines() if '"reloaded"' in line]
    assert f"; rows wait: {title}: refill (2 rows wait, the first expires at " in reloaded
    assert f"; second: {title}: purchase (1 row waits, it expires at " in reloaded
    check = (await sidecar.get("/healthz"))["checks"]["delivery"]
    assert check["status"] == "degraded"
    assert check["message"].startswith("4 conversions wait: ")
    assert "the event refill is not configured any more" in check["message"]
    assert "Put it back under events or accounts" in check["fix"]
    left = {"ORDER-2": unmapped, "ORDER-3": unmapped, "ORDER-4": unmapped}
    assert await shown(sidecar) == {"ORDER-1": paused, **left}
    assert await shown(sidecar, event="refill") == {"ORDER-2": unmapped, "ORDER-4": unmapped}
    assert await shown(sidecar, order_id="ORDER-3") == {"ORDER-3": unmapped}
    (row,) = await sidecar.rows(order_id="ORDER-2")
    assert row["goal"] is None
    assert "Put it back under events or accounts" in row["fix"]
    assert (await sidecar.post(order(5, event="refill"))).status == 422
    assert (await sidecar.call("POST", "/v1/accounts/second/resume", {})).status == 404

    sidecar.running.signal(signal.SIGTERM)
    assert await sidecar.running.ended() == 0
    sidecar = await services.start(less)
    assert (await sidecar.call("POST", "/v1/accounts/main/resume", {})).status == 200
    await sidecar.settled(60, but=3)
    assert "Event or account no longer configured" in (await sidecar.get("/healthz"))["checks"]["delivery"]["message"]
    assert await shown(sidecar) == {"ORDER-1": ("delivered", None), **left}

    await reload(services, sidecar, whole)
    await sidecar.settled(60, but=1)
    assert (await shown(sidecar))["ORDER-3"] == paused  # it came back paused, and is told so
    assert "Account paused by an operator: second" in (await sidecar.get("/healthz"))["checks"]["delivery"]["message"]
    assert (await sidecar.call("POST", "/v1/accounts/second/resume", {})).status == 200
    await sidecar.settled(60)
    assert await sidecar.accounts(4) == {"delivered": 4}
    assert (await sidecar.get("/healthz"))["status"] == "ok"
