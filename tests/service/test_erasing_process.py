"""A person is erased from a running sidecar, over a restart: nothing that identifies them is left with it."""

import asyncio
import signal
import time

import pytest
from place_kit import OutboxPlace
from process_kit.emulator import Microsoft, microsoft
from process_kit.running import Starter
from process_kit.service import GOALS, Json, Services, Sidecar, config

from sidecar.core.intake.hashing import email_sha256, phone_sha256

EMAIL, PHONE, VISITOR = "canary.erased@canary-mail.example", "+1 425 555 0177", "visitor-canary-81f0"
MSCLKID, OTHER = "0badcafe" * 4, "f894f652ea334e739002f7167ab8f8e3"
CANARIES = (EMAIL, VISITOR, MSCLKID, "CANARY-ORDER", email_sha256(EMAIL) or "", phone_sha256(PHONE) or "")


@pytest.fixture
async def there(starter: Starter) -> Microsoft:
    return await starter.stack.enter_async_context(microsoft(starter, *GOALS))


def order(number: int, **more: object) -> Json:
    return {"event": "purchase", "order_id": f"CANARY-ORDER-{number}", "value": 5, **more}


def held(place: OutboxPlace) -> set[tuple[str, str]]:
    """Which canaries are in the store, and in which of the sidecar's own files, its stdout included."""
    files = [file for file in place.folder.iterdir() if file.is_file() and not file.name.startswith("emulator-")]
    places = {file.name: file.read_bytes() for file in files} | {"the store": place.stored_bytes()}
    return {(text, name) for name, stored in places.items() for text in CANARIES if text.encode() in stored}


async def done(sidecar: Sidecar, id_: str) -> Json:
    until = time.monotonic() + 60
    while (job := await sidecar.get(f"/v1/erasures/{id_}"))["state"] != "done":
        assert time.monotonic() < until, job
        await asyncio.sleep(0.1)
    found: Json = job
    return found


async def logged(sidecar: Sidecar, name: str, count: int) -> str:
    """The log once it has that entry `count` times: it is written some time after what it tells."""
    until = time.monotonic() + 60
    while (logs := (await sidecar.call("GET", "/logs?limit=1000")).text).count(f'"{name}"') < count:
        assert time.monotonic() < until, logs
        await asyncio.sleep(0.1)
    return logs


async def test_nothing_that_identifies_the_person_is_left_in_database_or_log(
    there: Microsoft, services: Services, outbox_place: OutboxPlace
) -> None:
    user = {"email": EMAIL, "phone": PHONE}
    settings = config(there, delivery={"click_settle": "1s"})
    sidecar = await services.start(settings)
    await sidecar.call("POST", "/v1/clicks", {"visitor_id": VISITOR, "msclkid": MSCLKID})
    others = [{"event": "purchase", "order_id": f"OTHER-{n}", "value": 5, "msclkid": OTHER} for n in range(200)]
    await sidecar.post([*others, order(1, user=user), order(2, user=user, msclkid=MSCLKID), order(3, msclkid="1" * 32)])
    await sidecar.settled(60)
    await there.fault("partial_errors", code=5610, indexes=[0])
    assert (await sidecar.post(order(4, user=user, visitor_id=VISITOR, meta={"note": "CANARY-ORDER"}))).status == 202
    await sidecar.settled(60)
    await sidecar.call("POST", "/v1/accounts/default/pause", {})
    assert (await sidecar.post(order(5, user=user))).status == 202
    await sidecar.running.output_matching('"row_died"')
    assert {text for text, name in held(outbox_place) if name == "the store"} >= set(CANARIES[1:])

    by_email = (await sidecar.call("POST", "/v1/erasures", {"email": EMAIL})).json()
    sidecar.running.signal(signal.SIGKILL)
    await sidecar.running.ended()
    outbox_place.end_leases()
    sidecar = await services.start(settings)
    assert (await done(sidecar, by_email["id"]))["removed"]["conversions"] == 4
    by_order = (await sidecar.call("POST", "/v1/erasures", {"order_id": "CANARY-ORDER-3"})).json()
    assert (await done(sidecar, by_order["id"]))["removed"]["conversions"] == 1

    left = {(text, name) for text, name in held(outbox_place) if not name.endswith((".out", ".err"))}
    assert left == set()
    logs = await logged(sidecar, "erased", count=2)
    assert not any(text in logs for text in CANARIES)
    shown = str(await sidecar.rows())
    assert not any(text in shown for text in CANARIES)
    again = await sidecar.post(order(1, user=user))
    assert (again.status, again.json()["state"]) == (200, "delivered")
    by_state = await sidecar.accounts(205)
    assert (by_state["delivered"], by_state["dead"], by_state["skipped"]) == (203, 1, 1)
    sidecar.running.signal(signal.SIGTERM)
    assert await sidecar.running.ended() == 0
    assert {(text, name) for text, name in held(outbox_place) if not name.endswith((".out", ".err"))} == set()
