"""What a reload brings into force for delivery, by the very steps that SIGHUP takes."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import yaml
from delivery_kit import CONFIG, GOALS, Rig

from sidecar.core.entry import Lane
from sidecar.core.waiting_summary import Waiting
from sidecar.service.app import Service
from sidecar.service.runtime import Runtime

QUERY = "ConversionGoals/QueryByIds"
DELIVERY = {"linger": "20ms", "requests_per_minute": 1_000}


def service(rig: Rig) -> Service:
    """The service that owns the rig's parts, but for what it runs."""
    chances = Runtime(rig.clock, time.monotonic, rig.chance)
    return Service(rig.folder / "config.yaml", rig.parts, chances)


async def reload(rig: Rig, text: str | None = None, **sections: Any) -> None:
    """Read a file with these sections again, added to those that the rig began with; or the file `text`."""
    first = CONFIG.format(ca=rig.folder / "ca.pem", url=rig.emulator.url, store=rig.place.url)
    document = yaml.safe_load(first) | {"delivery": DELIVERY}
    for name, section in sections.items():
        document[name] = {**document.get(name, {}), **section}
    (rig.folder / "config.yaml").write_text(json.dumps(document) if text is None else text)
    await service(rig)._reload()
    rig.config = rig.parts.settings.config


async def test_reload_tries_a_refused_account_at_once(rig: Rig) -> None:
    """The cause of the refusal is fixed: nothing waits for the next probe, a quarter of an hour away."""
    rig.fault(type="fault", code=106)
    await rig.post(3)
    await rig.until(lambda: rig.parts.gates.held("main", None) == "account_paused" and rig.under_way() == 0)
    await rig.give_time(0.1)
    assert len(await rig.requests()) == 1
    await reload(rig)
    await rig.until_pending(0)
    await rig.balance()


async def test_reload_does_not_shorten_what_microsoft_asked_to_wait(rig: Rig) -> None:
    rig.fault(type="fault", code=117, retry_after="600")
    await rig.post(3)
    await rig.until(lambda: rig.parts.gates.held("main", None) == "throttled" and rig.under_way() == 0)
    await reload(rig)
    await rig.give_time(0.2)
    assert len(await rig.requests()) == 1


async def test_account_that_a_reload_brings_is_read_before_anything_is_sent_to_it(rig: Rig) -> None:
    reading = rig.hold(match={"operation": QUERY, "account": "200000044"})
    await reload(rig, accounts={"fresh": {"customer_id": "100000044", "account_id": "200000044"}})
    await rig.post(3, account="fresh")
    await rig.until(lambda: reading.fired == 1)
    await rig.give_time(0.2)
    assert await rig.requests() == []
    rig.clear_faults()
    await rig.until_pending(0)
    assert [(request["account_id"], request["rows"]) for request in await rig.requests()] == [("200000044", 3)]


async def test_account_that_is_another_one_after_a_reload_is_read_before_anything_is_sent_to_it(rig: Rig) -> None:
    """What was read of the one before says nothing of its goals."""
    await rig.until(lambda: rig.parts.catalogue.known.account_goals("main").catalogue)
    rig.hold(match={"operation": QUERY, "account": "200000033"})
    await reload(rig, accounts={"main": {"customer_id": "100000001", "account_id": "200000033"}})
    await rig.post(1)
    await rig.give_time(0.2)
    assert await rig.requests() == []
    rig.clear_faults()
    await rig.until_pending(0)
    assert [request["account_id"] for request in await rig.requests()] == ["200000033"]


async def test_what_needs_a_restart_is_named_and_not_even_half_in_force(rig: Rig) -> None:
    before = rig.parts.settings.config
    changed = {"clicks": {"wait": "9h"}, "adjustments": {"settle": "5h"}, "matching": {"default_country": "DE"}}
    await reload(rig, events={"lead": {"goal": GOALS["purchase"]}}, **changed)
    after = rig.parts.settings.config
    assert after.events["lead"].goal == GOALS["purchase"]
    unchanged = ("clicks", "adjustments", "matching", "goals", "storage", "microsoft", "server", "privacy")
    assert [getattr(after, name) for name in unchanged] == [getattr(before, name) for name in unchanged]
    (told,) = await rig.journal("reloaded")
    needs = told.message.partition("only after a restart: ")[2]
    assert all(key in needs for key in ("clicks.wait", "adjustments.settle", "matching.default_country"))
    assert "events.lead" not in needs


@pytest.mark.parametrize("broken", ["events: {only: {gaol: Shop}}", "{"])
async def test_file_that_cannot_be_read_changes_nothing(rig: Rig, broken: str) -> None:
    before, lanes = rig.parts.settings.config, await rig.parts.store.outbox.lanes()
    await reload(rig, text=broken)
    assert rig.parts.settings.config is before
    assert await rig.parts.store.outbox.lanes() == lanes
    assert len(await rig.journal("reload_failed")) == 1
    await rig.post(1)
    await rig.until_pending(0)


async def test_trouble_of_a_goal_that_nothing_names_any_more_is_over_with_the_reload(rig: Rig) -> None:
    await reload(rig, events={"lead": {"goal": "Misspelled"}})
    await rig.post(3, event="lead")
    await rig.until(lambda: rig.parts.gates.held("main", "Misspelled") == "goal_not_found")
    await rig.until(lambda: "goal_not_found" in rig.active_troubles())
    await reload(rig)
    assert "goal_not_found" not in rig.active_troubles()
    await rig.until_pending(0)
    assert {row["goal"] for row in rig.rows()} == {GOALS["lead"]}
    await rig.balance()


async def test_auto_tagging_that_is_on_once_rows_are_counted_leaves_no_trouble(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The goals may be read by two at a time: by the catalogue, and for somebody who creates some."""
    outbox, catalogue = rig.parts.store.outbox, rig.parts.catalogue
    count, state, counted = outbox.at_stake, catalogue.known.states["main"], []

    def tagging(on: bool) -> None:
        assert state.catalogue is not None
        state.catalogue = replace(state.catalogue, auto_tagging=on)

    async def count_after_a_reading(lanes: Sequence[Lane]) -> Waiting:
        counted.append(lanes)
        tagging(on=True)
        return await count(lanes)

    await rig.until(lambda: state.catalogue is not None)
    monkeypatch.setattr(outbox, "at_stake", count_after_a_reading)
    rig.map(lead="Misspelled")
    await rig.until(lambda: counted)
    tagging(on=False)
    await catalogue.judge.report("main")
    assert "auto_tagging_off" not in rig.active_troubles()


async def test_reload_while_rows_are_counted_raises_no_trouble_of_a_goal_that_left(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A goal's trouble says how many rows wait for it, so it is raised a moment after the goal was judged."""
    outbox = rig.parts.store.outbox
    count, counted = outbox.at_stake, []

    async def count_after_a_reload(lanes: Sequence[Lane]) -> Waiting:
        counted.append(lanes)
        rig.map(lead=GOALS["lead"])
        return await count(lanes)

    await rig.until(lambda: all(rig.parts.catalogue.known.catalogue(account) for account in rig.config.accounts))
    monkeypatch.setattr(outbox, "at_stake", count_after_a_reload)
    rig.map(lead="Misspelled")
    await rig.until(lambda: counted and rig.parts.settings.names_goal("main", GOALS["lead"]))
    await rig.give_time(0.1)
    assert "goal_not_found" not in await rig.troubles()
