"""A real process posts its troubles, and no webhook holds its conversions up."""

import os
import signal
from pathlib import Path

from place_kit import OutboxPlace
from process_kit.service import Services, config
from proxy_double import proxy
from webhook_double import PATH, hanging, webhook

from sidecar.emulator.tls import make_certificate, server_context

ORDER = {"event": "purchase", "order_id": "ORDER-1", "value": 9.99, "msclkid": "1" * 32}


def noted(place: OutboxPlace) -> bool:
    """Whether it is stored that the webhook took a message."""
    return place.query("SELECT 1 FROM alerts WHERE taken_at IS NOT NULL") != []


async def test_pause_of_an_account_is_posted_and_its_end_too_over_a_restart(
    services: Services, tmp_path: Path, outbox_place: OutboxPlace
) -> None:
    async with webhook() as there:
        file = tmp_path / "webhook"
        file.write_text(f"{there.address}\n")
        settings = config(None, alerts={"webhook_file": str(file)})
        sidecar = await services.start(settings)
        await sidecar.call("POST", "/v1/accounts/default/pause", {})
        assert (await sidecar.post(ORDER)).status == 202
        await there.until(lambda: there.taken)
        raised = there.taken[0]
        assert (raised["state"], raised["code"], raised["account"]) == ("raised", "paused_by_operator", "default")
        assert raised["at_stake"] | {"first_expiry_at": None} == {
            "conversions": 1,
            "adjustments": 0,
            "more": False,
            "value": {"USD": 9.99},
            "first_expiry_at": None,
        }
        assert raised["message"].startswith("Account paused by an operator")
        assert "1 conversion worth 9.99 USD waits" in raised["message"]
        assert raised["fix"].startswith("Resume it with `sidecar resume default`")
        assert raised["dashboard"] == f"{sidecar.url}/"
        await there.until(lambda: noted(outbox_place))
        await sidecar.running.kill()
        outbox_place.end_leases()
        again = await services.start(settings)
        await again.call("POST", "/v1/accounts/default/resume", {})
        await there.until(lambda: len(there.taken) == 2)
        assert there.states() == ["raised paused_by_operator", "cleared paused_by_operator"]
        assert there.taken[1]["incident"] == raised["incident"]
        await again.settled(60)
        assert PATH not in sidecar.running.out + again.running.out


async def test_webhook_that_hangs_delays_no_conversion_and_no_stop(services: Services) -> None:
    async with webhook() as there:
        there.script = hanging
        sidecar = await services.start(config(None, alerts={"webhook": there.address}))
        await sidecar.call("POST", "/v1/accounts/default/pause", {})
        await there.until(lambda: there.asked)
        await sidecar.call("POST", "/v1/accounts/default/resume", {})
        assert (await sidecar.post(ORDER)).status == 202
        await sidecar.settled(60)
        assert (await sidecar.accounts(1))["delivered"] == 1
        sidecar.running.signal(signal.SIGTERM)
        assert await sidecar.running.ended() == 0


async def test_alerts_take_the_proxy_and_the_roots_that_uploads_take(services: Services, tmp_path: Path) -> None:
    made = make_certificate(["hooks.example"])
    roots = tmp_path / "roots.pem"
    roots.write_text(made.ca_pem)
    async with webhook(server_context(made)) as there, proxy(leads_to=there.port) as between:
        settings = config(None, alerts={"webhook": f"https://hooks.example{PATH}"}, microsoft={"ca_bundle": str(roots)})
        environment = {"HTTPS_PROXY": f"http://user:test-password@127.0.0.1:{between.port}"}
        sidecar = await services.start(settings, env={**os.environ, **environment})
        answer = await sidecar.call("POST", "/v1/alerts/test", {})
        assert answer.json()["taken"] is True, answer.text
        assert there.states() == ["test test"]
        (head,) = between.heads
    assert head.startswith("CONNECT hooks.example:443 ")
    assert "Proxy-Authorization: Basic " in head
