"""Uploads through a proxy: what fails on the way sent nothing, has a trouble of its own, and passes by itself."""

import pytest
from delivery_kit import CONFIG, Clock, Rig, options
from place_kit import OutboxPlace
from proxy_double import proxy

from sidecar.emulator import Emulator

HOST = "campaign.example"


async def test_rows_wait_unsent_behind_a_proxy_that_refuses_and_go_out_once_it_lets_them(
    outbox_place: OutboxPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    names = options(host_names=("localhost", "127.0.0.1", HOST))
    text = CONFIG.replace('campaign: "{url}"', f'campaign: "https://{HOST}"')
    async with Emulator(names, clock) as emulator, proxy(says=b"HTTP/1.1 407 No\r\n\r\n") as between:
        monkeypatch.setenv("HTTPS_PROXY", f"localhost:{between.port}")
        rig = await Rig.of(outbox_place, emulator, clock, text=text)
        rig.reads_goals = False
        await rig.start()
        await rig.post(3)
        await rig.until(lambda: "proxy_login" in rig.active_troubles())
        between.says = b"HTTP/1.1 503 Busy\r\n\r\n"
        clock.offset += 60_000
        await rig.until(lambda: (rig.pass_time(500), rig.active_troubles() == {"proxy_unusable"})[1])
        assert {row["maybe_sent"] for row in rig.rows()} == {0}
        between.says, between.leads_to = None, int(emulator.url.rsplit(":", 1)[1])
        await rig.hurry()
        await rig.until(lambda: rig.active_troubles() == set())
        assert len(await rig.requests()) == 1
        await rig.balance()
        await rig.close()
