"""`sidecar doctor` as users run it: a process asks another, which asks a stand-in for Microsoft that misbehaves."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from process_kit.emulator import Microsoft, microsoft
from process_kit.running import Starter
from process_kit.service import EVENTS, GOALS, Services, Sidecar, config

ACCOUNTS = {"main": {"customer_id": 100000001, "account_id": 200000001}}


@pytest.fixture
async def there(starter: Starter) -> Microsoft:
    return await starter.stack.enter_async_context(microsoft(starter, *GOALS))


async def doctor(starter: Starter, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report of the command."""
    running = await starter.start("doctor", "--json", *arguments)
    code = await running.ended(60.0)
    return code, json.loads(running.out)


def marked(report: dict[str, Any]) -> dict[str, str]:
    """The status of each line that is not ok."""
    return {check["name"]: check["status"] for check in report["checks"] if check["status"] != "ok"}


async def shows(starter: Starter, sidecar: Sidecar, lines: dict[str, str], code: int) -> None:
    """Wait until the report has these lines, as one of before is used again for some seconds; the command agrees."""
    async with asyncio.timeout(60):
        while marked(await sidecar.get("/v1/doctor")) != lines:
            await asyncio.sleep(0.2)
    ended, report = await doctor(starter, "--url", sidecar.url)
    assert (ended, marked(report)) == (code, lines)


async def test_faults_come_and_go_in_the_report_with_the_exit_code(
    there: Microsoft, services: Services, starter: Starter
) -> None:
    sidecar = await services.start(config(there, events=EVENTS, accounts=ACCOUNTS))
    for goal in (await there.call("GET", "goals"))["items"]:
        category = "Subscribe" if "Subscription" in goal["goal"]["Name"] else "Purchase"
        await there.call("PATCH", f"goals/{goal['id']}", {"goal": {"GoalCategory": category}})
    await shows(starter, sidecar, {}, 0)
    await there.call("PUT", "user", {"role_id": 100})
    await shows(starter, sidecar, {"role": "failed"}, 2)
    await there.call("PUT", "user", {"role_id": 41})
    await there.call("POST", "goals", {"goal": {"Name": "Thanks", "Type": "Url", "GoalCategory": "Subscribe"}})
    await shows(starter, sidecar, {"double_counting": "warning"}, 1)
    await there.call("POST", "tokens/revoke")
    await shows(starter, sidecar, {"token": "failed", "double_counting": "warning"}, 2)


async def test_microsoft_that_went_away_is_the_one_failure_and_the_rest_is_not_checked(
    there: Microsoft, services: Services, starter: Starter
) -> None:
    sidecar = await services.start(config(there, events=EVENTS, accounts=ACCOUNTS))
    await there.running.kill()
    code, report = await doctor(starter, "--url", sidecar.url)
    red = [check["name"] for check in report["checks"] if check["status"] == "failed"]
    assert (code, red) == (2, ["connection"])
    assert {each["name"] for each in report["not_checked"]} >= {"account", "goal"}


async def test_report_before_the_first_start_asks_microsoft_through_the_configured_roots(
    there: Microsoft, services: Services, starter: Starter
) -> None:
    settings = config(there, events=EVENTS, accounts=ACCOUNTS, server={"port": 1})
    path = services.configure(settings)
    code, report = await doctor(starter, "--config", str(path))
    status = {check["name"]: check["status"] for check in report["checks"]}
    assert (code, status.pop("service")) == (1, "warning")
    assert status == dict.fromkeys(("configuration", "storage", "disk", "clock", "connection"), "ok")
    settings["microsoft"].pop("ca_bundle")
    services.configure(settings)
    code, report = await doctor(starter, "--config", str(path))
    [connection] = [check for check in report["checks"] if check["name"] == "connection"]
    assert (code, connection["status"]) == (2, "failed")
    assert "microsoft.ca_bundle" in connection["fix"]
    assert not Path(starter.folder / "outbox.db").exists()
