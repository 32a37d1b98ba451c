"""Each fault at Microsoft or on this machine turns exactly the right line of the doctor red, with cause and remedy."""

import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from catalogue_kit import all_read, change_goal, make_goal, set_auto_tagging
from delivery_kit import HOUR, MICROSOFT, Clock, Rig, options
from place_kit import OutboxPlace, file_place
from proxy_double import proxy

from sidecar.core.doctor.check import Area
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.doctor.gathering import Doctor
from sidecar.doctor.texts import report_json
from sidecar.emulator import Emulator, MappedGoal
from sidecar.emulator.ad_accounts import find_account, replace_account, set_role
from sidecar.emulator.faults import Rule
from sidecar.emulator.goals import all_goals
from sidecar.ports.intake import Arrival
from sidecar.service.doctor_wiring import wire_doctor
from sidecar.service.runtime import Runtime

CUSTOMER, ACCOUNT = "100000001", "200000001"
TEXT = (
    MICROSOFT
    + """
accounts:
  main: {{customer_id: "100000001", account_id: "200000001"}}
events:
  purchase: {{goal: Sidecar Purchase, currency: USD, category: Purchase}}
  lead: {{goal: Sidecar Lead, category: SubmitLeadForm}}
"""
)
PURCHASE = "Sidecar Purchase"

NEEDS_TOKEN = frozenset({"scope", "developer_token", "account", "role", "auto_tagging", "goal"})
NEEDS_READING = frozenset({"auto_tagging", "goal"})
NEEDS_ACCOUNT = NEEDS_READING | {"role"}


@dataclass
class Patient:
    """A sidecar, the emulator it talks to, and its doctor."""

    rig: Rig
    doctor: Doctor

    async def report(self) -> dict[str, Any]:
        """A new report."""
        self.doctor._last = None
        return report_json(await self.doctor.report())

    def fault(self, operation: str | None, **action: Any) -> None:
        """Something goes wrong with every such request from now on."""
        rule = {"match": {} if operation is None else {"operation": operation}, "times": None, "action": action}
        self.rig.emulator.script.add(Rule.model_validate(rule))


Opened = contextlib.AbstractAsyncContextManager[Patient]


@contextlib.asynccontextmanager
async def patient(place: OutboxPlace, text: str = TEXT, *, waits: bool = True, **given: Any) -> AsyncIterator[Patient]:
    """A sidecar that has read its goals, unless it cannot (`waits` False); `given` are options of the emulator."""
    clock = Clock()
    goals = MappedGoal(name=PURCHASE), MappedGoal(name="Sidecar Lead", category="SubmitLeadForm")
    given = {"accounts": ((CUSTOMER, ACCOUNT),), "goals": goals, **given}
    async with Emulator(options(**given), clock) as emulator:
        rig = await Rig.of(place, emulator, clock, text=text)
        await rig.start()
        if waits:
            await all_read(rig)
        chances = Runtime(clock, time.monotonic, random.Random(7).random)
        yield Patient(rig, wire_doctor(rig.parts, chances))
        await rig.close()


def marked(report: dict[str, Any]) -> dict[tuple[str, str | None], str]:
    """The lines that are not ok, by name and goal; each says why, and what to do."""
    found = [check for check in report["checks"] if check["status"] != "ok"]
    assert all(check["cause"] and check["fix"] for check in found)
    assert not any("<" in check["fix"] for check in found if check.get("account"))
    return {(check["name"], check.get("goal")): check["status"] for check in found}


def green(report: dict[str, Any]) -> set[str]:
    return {check["name"] for check in report["checks"] if check["status"] == "ok"}


def unchecked(report: dict[str, Any]) -> set[str]:
    return {each["name"] for each in report["not_checked"]}


ALL = {area.value for area in Area} - {"service"}


async def test_every_line_is_green_where_nothing_is_wrong(outbox_place: OutboxPlace) -> None:
    async with patient(outbox_place) as well:
        report = await well.report()
    assert (report["status"], marked(report), report["not_checked"]) == ("ok", {}, [])
    assert green(report) == ALL


async def _expired_secret(well: Patient) -> None:
    well.fault("token", type="oauth_error", aadsts=7000222)


async def _scope_refused_at_the_sign_in(well: Patient) -> None:
    well.fault("token", type="oauth_error", aadsts=65001)


async def _scope_refused_by_the_api(well: Patient) -> None:
    for operation in ("User/Query", "ConversionGoals/QueryByIds", "AccountProperties/Query"):
        well.fault(operation, type="fault", code=3101)


async def _revoked(well: Patient) -> None:
    await well.rig.revoke_sign_in()


async def _missing_goal(well: Patient) -> None:
    def remove(db: Any) -> None:
        [goal] = [each for each in all_goals(db) if each.body["Name"] == PURCHASE]
        db.execute("DELETE FROM goals WHERE id = ?", (goal.id,))

    await well.rig.emulator._state().transact(remove)


async def _renamed_goal(well: Patient) -> None:
    await change_goal(well.rig, PURCHASE, Name="sidecar purchase")


async def _paused_goal(well: Patient) -> None:
    await change_goal(well.rig, PURCHASE, Status="Paused")


async def _goal_of_another_type(well: Patient) -> None:
    await change_goal(well.rig, PURCHASE, Type="Url")


async def _goal_without_hashes(well: Patient) -> None:
    await change_goal(well.rig, PURCHASE, IsEnhancedConversionsEnabled=False)


async def _auto_tagging_off(well: Patient) -> None:
    await set_auto_tagging(well.rig, "false")


async def _uet_goal(well: Patient) -> None:
    await make_goal(well.rig, "Thank-you page", Type="Url", GoalCategory="Purchase")


async def _refused_upload(well: Patient) -> None:
    well.fault("OfflineConversions/Apply", type="fault", code=106)
    await well.rig.post()
    await well.rig.until(lambda: "not_authorized" in well.rig.active_troubles())


async def _refused_reading(well: Patient) -> None:
    well.fault("ConversionGoals/QueryByIds", type="fault", code=106)


async def _server_errors(well: Patient) -> None:
    well.fault("ConversionGoals/QueryByIds", type="status", status=503)


async def _reset_connections(well: Patient) -> None:
    well.fault("ConversionGoals/QueryByIds", type="reset_before")


async def _clock_ahead(well: Patient) -> None:
    well.fault(None, type="date", seconds=-7_200)


async def _clock_slightly_behind(well: Patient) -> None:
    well.fault(None, type="date", seconds=30)


async def _user_who_may_only_read(well: Patient) -> None:
    await well.rig.emulator._state().transact(lambda db: set_role(db, 100))


async def _account_taken_away(well: Patient) -> None:
    def take_away(db: Any) -> None:
        account = find_account(db, ACCOUNT)
        assert account is not None
        replace_account(db, replace(account, is_visible=False))

    await well.rig.emulator._state().transact(take_away)


async def _account_suspended(well: Patient) -> None:
    def suspend(db: Any) -> None:
        account = find_account(db, ACCOUNT)
        assert account is not None
        replace_account(db, replace(account, status="Suspended"))

    await well.rig.emulator._state().transact(suspend)


async def _full_disk(well: Patient) -> None:
    storage = well.rig.config.storage.model_copy(update={"min_free_disk": 2**60})
    well.rig._take_up(well.rig.config.model_copy(update={"storage": storage}))
    chances = Runtime(well.rig.clock, time.monotonic, random.Random(7).random)
    well.doctor = wire_doctor(well.rig.parts, chances)


async def _old_queue(well: Patient) -> None:
    rig = well.rig
    rig.parts.flusher.stop()
    await rig._tasks.pop("flusher")
    received_at = UnixMillis(rig.clock() - 2 * HOUR)
    order = rig.order(time=UnixSeconds(received_at // 1000))
    await rig.parts.store.outbox.put([Arrival(order, received_at, "request-1")])


FAULTS: dict[str, tuple[Callable[[Patient], Awaitable[None]], dict[tuple[str, str | None], str], frozenset[str]]] = {
    "expired client secret": (_expired_secret, {("token", None): "failed"}, frozenset()),
    "revoked sign-in": (_revoked, {("token", None): "failed"}, frozenset()),
    "missing scope at the sign-in": (_scope_refused_at_the_sign_in, {("scope", None): "failed"}, frozenset()),
    "missing scope at the API": (
        _scope_refused_by_the_api,
        {("scope", None): "failed"},
        NEEDS_TOKEN - {"scope"},
    ),
    "missing goal": (_missing_goal, {("goal", PURCHASE): "failed"}, frozenset()),
    "goal of another spelling": (_renamed_goal, {("goal", PURCHASE): "failed"}, frozenset()),
    "paused goal": (_paused_goal, {("goal", PURCHASE): "failed"}, frozenset()),
    "goal of another type": (_goal_of_another_type, {("goal", PURCHASE): "failed"}, frozenset()),
    "goal that is not enhanced": (_goal_without_hashes, {("enhanced", PURCHASE): "warning"}, frozenset()),
    "auto-tagging off": (_auto_tagging_off, {("auto_tagging", None): "warning"}, frozenset()),
    "UET goal of the same category": (_uet_goal, {("double_counting", PURCHASE): "warning"}, frozenset()),
    "upload refused for the role": (_refused_upload, {("role", None): "failed"}, frozenset()),
    "reading refused for the role": (_refused_reading, {("role", None): "failed"}, NEEDS_READING),
    "errors of Microsoft's servers": (_server_errors, {("connection", None): "failed"}, NEEDS_READING),
    "connections that break": (_reset_connections, {("connection", None): "failed"}, NEEDS_READING),
    "clock ahead": (_clock_ahead, {("clock", None): "failed"}, frozenset()),
    "clock slightly behind": (_clock_slightly_behind, {("clock", None): "warning"}, frozenset()),
    "user who may only read": (_user_who_may_only_read, {("role", None): "failed"}, frozenset()),
    "account taken away": (_account_taken_away, {("account", None): "failed"}, NEEDS_ACCOUNT),
    "account suspended": (_account_suspended, {("account", None): "failed"}, frozenset()),
    "old queue": (_old_queue, {("queue", None): "warning"}, frozenset()),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_turns_exactly_its_line_red(fault: str, outbox_place: OutboxPlace) -> None:
    arrange, lines, not_checked = FAULTS[fault]
    async with patient(outbox_place) as well:
        await arrange(well)
        report = await well.report()
    assert marked(report) == lines
    assert unchecked(report) == not_checked
    assert green(report) >= ALL - not_checked - {name for name, _ in lines} - {"enhanced", "double_counting"}


async def test_full_disk_under_a_file_turns_its_line_red(tmp_path: Path) -> None:
    """A server watches its own."""
    with file_place(tmp_path) as place:
        async with patient(place) as well:
            await _full_disk(well)
            report = await well.report()
    assert marked(report) == {("disk", None): "failed"}


async def test_wrong_developer_token_is_told_from_wrong_ids(outbox_place: OutboxPlace) -> None:
    async with patient(outbox_place, waits=False, developer_token="test-another-token") as unwell:
        report = await unwell.report()
    assert marked(report) == {("developer_token", None): "failed"}
    assert unchecked(report) == NEEDS_ACCOUNT | {"account"}


@pytest.mark.parametrize(
    ("accounts", "words"),
    [
        (((ACCOUNT, CUSTOMER),), "customer_id and account_id are swapped"),
        ((("100000001", "200000777"),), "the signed-in user can reach 1 account, and not this one"),
        ((("100000777", ACCOUNT),), "this account belongs to customer 100000777"),
    ],
    ids=["swapped", "foreign", "of another customer"],
)
async def test_wrong_ids_are_recognised(
    outbox_place: OutboxPlace, accounts: tuple[tuple[str, str], ...], words: str
) -> None:
    async with patient(outbox_place, waits=False, accounts=accounts) as unwell:
        report = await unwell.report()
    assert marked(report) == {("account", None): "failed"}
    assert unchecked(report) == NEEDS_ACCOUNT
    [line] = [check for check in report["checks"] if check["name"] == "account"]
    assert line["message"] == f"Account {ACCOUNT} of customer {CUSTOMER}: {words}."
    assert "accounts.main" in line["fix"]


async def test_microsoft_that_is_gone_turns_the_connection_red(outbox_place: OutboxPlace) -> None:
    async with patient(outbox_place) as well:
        await well.rig.emulator.__aexit__()
        report = await well.report()
        assert marked(report) == {("connection", None): "failed"}
        assert unchecked(report) == NEEDS_TOKEN - {"scope"} | {"clock"}
        await well.rig.emulator.__aenter__()


async def test_certificate_of_an_unknown_authority_turns_the_connection_red(outbox_place: OutboxPlace) -> None:
    (outbox_place.folder / "empty").mkdir()
    text = TEXT.replace("  ca_bundle: {ca}\n", "")
    async with patient(outbox_place, text, waits=False) as unwell:
        report = await unwell.report()
    assert marked(report) == {("connection", None): "failed"}
    [line] = [check for check in report["checks"] if check["name"] == "connection"]
    assert "certificate is not trusted" in line["message"]
    assert "microsoft.ca_bundle" in line["fix"]
    assert unchecked(report) == NEEDS_TOKEN | {"token", "clock"}


async def test_proxy_that_refuses_turns_the_connection_red(
    outbox_place: OutboxPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = "microsoft.example"
    text = TEXT.replace("{url}", f"https://{host}")
    async with proxy(says=b"HTTP/1.1 403 Forbidden\r\n\r\n") as between:
        monkeypatch.setenv("HTTPS_PROXY", f"localhost:{between.port}")
        async with patient(outbox_place, text, waits=False, host_names=("127.0.0.1", host)) as unwell:
            report = await unwell.report()
    assert marked(report) == {("connection", None): "failed"}
    [line] = [check for check in report["checks"] if check["name"] == "connection"]
    assert line["message"] == f"{host}: the proxy refused to connect: HTTP 403."
    assert "HTTPS_PROXY" in line["cause"]


async def test_report_is_used_again_for_some_seconds(outbox_place: OutboxPlace) -> None:
    async with patient(outbox_place) as well:
        before = len(await well.rig.requests(operation="User/Query"))
        first = await well.doctor.report()
        assert await well.doctor.report() is first
        assert len(await well.rig.requests(operation="User/Query")) == before + 1


async def test_last_success_is_remembered_over_a_restart(outbox_place: OutboxPlace) -> None:
    async with patient(outbox_place) as well:
        await well.rig.post(3)
        await well.rig.hurry()
        [before] = [check for check in (await well.report())["checks"] if check["name"] == "last_success"]
        await well.rig.parts.telemetry.flush(well.rig.parts.store.journal)
        well.rig.parts.gates.accounts["main"].history.accepted_at = 0
        [after] = [check for check in (await well.report())["checks"] if check["name"] == "last_success"]
    assert before["message"].startswith("The last conversion was accepted at ")
    assert after["message"].startswith("The last conversion was accepted at ")
