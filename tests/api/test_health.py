"""/healthz, /livez, /readyz: first the judgement on plain values, then the pages."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from api_kit import NOW, Api, OpenApi

from sidecar.api import health
from sidecar.api.health_page import Level, Vitals, health_page
from sidecar.api.request import reader as taking
from sidecar.core.instant import UnixMillis
from sidecar.core.match_share import Share
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.leases import ReplicaStanding
from sidecar.ports.queries import Backlog, Counts
from sidecar.telemetry import ActiveTrouble
from sidecar.troubles import CATALOGUE, Severity

GIB = 2**30

WELL = Vitals(
    version="1.2.3",
    uptime_seconds=3.14159,
    now=NOW,
    failure=None,
    troubles=(),
    free_bytes=100 * GIB,
    min_free_bytes=GIB,
    counts=Counts(pending=7, dead=2, delivered=100),
    backlog=Backlog(oldest_due_at=UnixMillis(NOW - 2_500), first_expiry_at=UnixMillis(NOW + 1_000)),
)

CHECKS = ["storage", "token", "delivery", "goals", "clock", "disk"]


def active(code: str, subject: str | None = None) -> ActiveTrouble:
    return ActiveTrouble(code=code, account="default", subject=subject, detail=None, since=NOW, seen_at=NOW)


def unwell(page: dict[str, Any]) -> list[str]:
    return [name for name, check in page["checks"].items() if check["status"] is not Level.OK]


def test_page_has_the_shape_of_the_contract() -> None:
    page = health_page(WELL)
    assert list(page) == ["status", "version", "uptime_seconds", "checks", "outbox"]
    assert (page["status"], page["version"], page["uptime_seconds"]) == ("ok", "1.2.3", 3.1)
    assert list(page["checks"]) == CHECKS
    assert all(set(check) == {"status", "message", "fix"} for check in page["checks"].values())
    assert page["outbox"] == {
        "pending": 7,
        "dead": 2,
        "oldest_due_seconds": 2.5,
        "first_expiry_at": "2026-11-23T14:30:46Z",
    }


def test_replica_says_what_it_carries_beside_the_numbers_of_the_whole() -> None:
    page = health_page(replace(WELL, standing=ReplicaStanding(replicas=3, accounts=7, duties=("token",))))
    assert page["replica"] == {"replicas": 3, "accounts": 7, "duties": ("token",)}
    assert page["outbox"]["pending"] == 7


ADVICE = {code for code, trouble in CATALOGUE.items() if trouble.severity is Severity.ADVICE}


@pytest.mark.parametrize("due_at", [None, NOW + 60_000])
def test_nothing_due_is_zero_seconds_old(due_at: UnixMillis | None) -> None:
    outbox = health_page(replace(WELL, backlog=Backlog(due_at, None)))["outbox"]
    assert (outbox["oldest_due_seconds"], outbox["first_expiry_at"]) == (0, None)


# The disk itself is asked, and advice is no trouble.
@pytest.mark.parametrize("code", sorted(set(CATALOGUE) - {"disk_nearly_full"} - ADVICE))
def test_any_active_trouble_degrades_one_check_and_names_its_remedy(code: str) -> None:
    """Microsoft being away makes it degraded, never down."""
    page = health_page(replace(WELL, troubles=(active(code),)))
    [name] = unwell(page)
    assert (page["status"], page["checks"][name]["status"]) == ("degraded", "degraded")
    assert page["checks"][name]["fix"] == CATALOGUE[code].solution


@pytest.mark.parametrize(
    ("code", "check"),
    [
        ("not_connected", "token"),
        ("client_secret_expired", "token"),
        ("unreachable", "delivery"),
        ("developer_token_invalid", "delivery"),
        ("goal_not_found", "goals"),
        ("goal_paused", "goals"),
        ("goal_wrong_type", "goals"),
        ("goal_settling", "goals"),
        ("goal_not_enhanced", "goals"),
        ("auto_tagging_off", "goals"),
        ("clock_skew", "clock"),
        ("clock_jumped", "clock"),
        ("storage_failed", "storage"),
        ("storage_unreachable", "storage"),
    ],
)
def test_trouble_shows_in_the_check_it_belongs_to(code: str, check: str) -> None:
    assert unwell(health_page(replace(WELL, troubles=(active(code),)))) == [check]


@pytest.mark.parametrize("code", ["name_not_found", "tls_failed", "proxy_unusable", "proxy_login"])
def test_connection_trouble_without_an_account_degrades_the_token_check(code: str) -> None:
    met = active(code)
    assert unwell(health_page(replace(WELL, troubles=(replace(met, account=None),)))) == ["token"]
    assert unwell(health_page(replace(WELL, troubles=(replace(met, account="main"),)))) == ["delivery"]


def test_advice_is_shown_and_degrades_nothing() -> None:
    page = health_page(replace(WELL, troubles=(active("low_match_rate", "Sidecar Lead"),)))
    assert (page["status"], unwell(page)) == ("ok", [])
    assert "Sidecar Lead" in page["checks"]["goals"]["message"]
    both = health_page(replace(WELL, troubles=(active("low_match_rate"), active("goal_not_found"))))
    assert unwell(both) == ["goals"]


def test_every_fix_is_shown_with_its_trouble_and_equal_ones_once() -> None:
    shown = health_page(replace(WELL, troubles=(active("throttled"), active("wrong_account"), active("throttled"))))
    throttled, wrong = CATALOGUE["throttled"], CATALOGUE["wrong_account"]
    expected = f"{throttled.title}: {throttled.solution} {wrong.title}: {wrong.solution}"
    assert shown["checks"]["delivery"]["fix"] == expected
    alike = health_page(replace(WELL, troubles=(active("throttled"), active("throttled"))))
    assert alike["checks"]["delivery"]["fix"] == throttled.solution


def test_waiting_rows_are_named_first() -> None:
    at_stake = "3 conversions worth 300 EUR wait: Microsoft has no goal called A; the first expires on 27 February"
    missing = replace(active("goal_not_found", "A"), detail="did you mean B?", waiting="2 rows wait")
    page = health_page(replace(WELL, troubles=(missing,), stakes={"goals": at_stake}))
    assert page["checks"]["goals"]["message"] == f"{at_stake}. Conversion goal not found: A (did you mean B?)"
    unknown = health_page(replace(WELL, troubles=(missing,)))["checks"]["goals"]["message"]
    assert unknown == "Conversion goal not found: A (did you mean B?; 2 rows wait)"


async def test_each_check_is_asked_for_the_stake_of_its_own_troubles(open_api: OpenApi) -> None:
    api = await open_api()
    for code in ("goal_not_found", "throttled", "unreachable"):
        api.telemetry.service.trouble_raised(code, account="default")
    api.world.at_stake = lambda troubles: f"{len(troubles)} wait"
    checks = (await api.get("/healthz")).json["checks"]
    said = {name: check["message"].partition(".")[0] for name, check in checks.items() if " wait" in check["message"]}
    assert said == {"delivery": "2 wait", "goals": "1 wait"}


def test_match_share_is_a_percentage_also_when_it_is_good() -> None:
    shares = {"Sale": Share(100, 87, 80, 20, 10), "Lead": Share(4, 1, 1), "New": Share()}
    said = (
        " Lead: 25 % of the last 4 conversions can be matched (25 % by click id, 0 % by e-mail, 0 % by phone)."
        " Sale: 87 % of the last 100 conversions can be matched (80 % by click id, 20 % by e-mail, 10 % by phone)."
    )
    well = health_page(replace(WELL, shares=shares))["checks"]
    assert well["goals"]["message"].endswith(said)
    assert "%" not in well["delivery"]["message"]
    unwell_ = health_page(replace(WELL, shares=shares, troubles=(active("goal_paused", "Lead"),)))["checks"]["goals"]
    assert unwell_["message"] == f"Conversion goal is paused: Lead.{said}"
    many = health_page(replace(WELL, shares={f"Goal {n}": Share(10, n, n) for n in range(8)}))["checks"]["goals"][
        "message"
    ]
    assert many.count(" can be matched (") == 5
    assert many.endswith("Of 3 more goals more can be.")


def test_sign_in_that_works_says_until_when() -> None:
    token = health_page(replace(WELL, signed_in_until=UnixMillis(NOW + 3_600_000)))["checks"]["token"]
    assert token["message"] == "Signed in; the token is good until 15:30 UTC."
    for none in (None, NOW):
        message = health_page(replace(WELL, signed_in_until=none))["checks"]["token"]["message"]
        assert message == "Nothing is wrong with the sign-in."


def test_many_troubles_of_a_check_are_cut_short() -> None:
    goals = tuple(active("goal_not_found", f"Goal {n}") for n in range(5))
    message = health_page(replace(WELL, troubles=goals))["checks"]["goals"]["message"]
    assert "Goal 0" in message
    assert "Goal 3" not in message
    assert "2 more" in message


def test_outbox_that_cannot_be_written_is_down() -> None:
    page = health_page(replace(WELL, failure=StorageUnavailable("storage_failed", "disk I/O error")))
    assert (page["status"], unwell(page)) == ("down", ["storage"])
    assert "disk I/O error" in page["checks"]["storage"]["message"]


@pytest.mark.parametrize(("free", "status"), [(2 * GIB, "ok"), (2 * GIB - 1, "degraded"), (GIB - 1, "down")])
def test_disk_check_warns_before_intake_stops(free: int, status: str) -> None:
    assert health_page(replace(WELL, free_bytes=free))["checks"]["disk"]["status"] == status


def test_worst_check_is_the_status_of_the_whole() -> None:
    assert health_page(replace(WELL, troubles=(active("throttled"),), free_bytes=0))["status"] == "down"


# --- Pages -----------------------------------------------------------------------------------------------------------


async def test_healthy_service_answers_200_everywhere(api: Api) -> None:
    for path in ("/livez", "/readyz", "/healthz"):
        answer = await api.get(path)
        assert (answer.status, answer.json["status"]) == (200, "ok")


async def test_pending_is_exact_right_after_every_202(api: Api, conversion: dict[str, Any]) -> None:
    for n in range(1, 6):
        await api.post({**conversion, "order_id": str(n)})
        assert (await api.get("/healthz")).json["outbox"]["pending"] == n


async def test_degraded_is_200_and_down_is_503(open_api: OpenApi) -> None:
    api = await open_api(min_free_bytes=GIB)
    api.telemetry.service.trouble_raised("unreachable", account="default")
    answer = await api.get("/healthz")
    assert (answer.status, answer.json["status"]) == (200, "degraded")
    api.world.free_bytes = 0
    answer = await api.get("/healthz")
    assert (answer.status, answer.json["status"]) == (503, "down")
    assert answer.headers["Retry-After"]


async def test_full_disk_is_not_ready_but_alive(open_api: OpenApi) -> None:
    api = await open_api(min_free_bytes=GIB)
    api.world.free_bytes = 0
    answer = await api.get("/readyz")
    assert (answer.status, answer.codes) == (503, ["disk_nearly_full"])
    assert answer.headers["Retry-After"]
    assert (await api.get("/livez")).status == 200


async def test_full_outbox_is_not_ready(open_api: OpenApi, conversion: dict[str, Any]) -> None:
    api = await open_api(max_pending=1)
    await api.post(conversion)
    assert (await api.get("/readyz")).codes == ["outbox_growing"]


@pytest.mark.parametrize("path", ["conversions", "validate", "clicks", "adjustments"])
async def test_while_the_time_is_unknown_nothing_is_accepted(
    api: Api, conversion: dict[str, Any], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "CLOCK_SECONDS", 0.1)
    api.world.clock_unsettled = "this machine's clock shows a time before 2024"
    answer = await api.post(conversion, f"/v1/{path}")
    assert (answer.status, answer.codes, answer.headers["Retry-After"]) == (503, ["clock_jumped"], "10")
    assert (await api.get("/readyz")).status == 503
    assert (await api.get("/livez")).status == 200
    api.world.clock_unsettled = None
    assert (await api.post(conversion)).status == 202


async def test_request_waits_until_the_time_is_known(api: Api, conversion: dict[str, Any]) -> None:
    api.world.clock_unsettled = "this machine's clock was set"
    posting = asyncio.create_task(api.post(conversion))
    while api.world.clock_checks < 3:
        await asyncio.sleep(0.001)
    assert not posting.done()
    api.world.clock_unsettled = None
    assert (await posting).status == 202


async def test_asking_often_costs_one_write(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", 600.0)  # thirty requests may take a busy machine longer than one
    writes = 0
    before = api.outbox.committer.engine.committed

    def counted(db: Any, state: Any) -> None:
        nonlocal writes
        writes += 1
        before(db, state)

    api.outbox.committer.engine.committed = counted
    answers = await asyncio.gather(*(api.get("/readyz") for _ in range(30)))
    assert ({answer.status for answer in answers}, writes) == ({200}, 1)
