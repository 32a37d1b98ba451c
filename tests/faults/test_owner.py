"""One process owns an outbox, however its path is written; a second one ends at once and names the first."""

import time

import pytest
from process_kit.running import Starter
from process_kit.service import LISTENING, Services, config
from promises import Show


@pytest.mark.promise("A7")
async def test_second_process_ends_and_names_the_first_by_any_path(
    starter: Starter, services: Services, shown: Show
) -> None:
    first = await services.start(config(None))
    (starter.folder / "link").symlink_to(starter.folder)
    (starter.folder / "alias.db").symlink_to("outbox.db")
    paths = ("outbox.db", str(starter.folder.resolve() / "outbox.db"), "../" + starter.folder.name + "/outbox.db")
    seconds, let_in = [], 0
    for path in (*paths, "link/outbox.db", "alias.db"):
        began = time.monotonic()
        second = await services.launch(config(None, storage={"url": f"sqlite:///{path}"}))
        code = await second.ended()
        seconds.append(time.monotonic() - began)
        let_in += code != 1 or f"process {first.running.pid}" not in second.err
    assert (await first.post({"event": "purchase", "order_id": "1", "msclkid": f"{1:032x}"})).status == 202
    shown(f"{len(seconds)} second processes by {len(seconds)} paths", let_in, f"each over within {max(seconds):.1f} s")


@pytest.mark.promise("A7")
async def test_outbox_of_a_killed_process_is_free_at_once(services: Services, shown: Show) -> None:
    """Each start ends with an error if it is refused."""
    for _ in range(3):
        running = await services.launch(config(None))
        await running.output_matching(LISTENING)
        await running.kill()
    await (await services.launch(config(None))).output_matching(LISTENING)
    shown("3 starts after a kill", lost=0)
