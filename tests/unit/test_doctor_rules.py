"""What the doctor concludes from facts: each rule with plain values, and one report of all of them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.ad_accounts import AdAccount, UserRole, VisibleAccounts
from sidecar.core.doctor import accounts, delivery, goals, machine, sign_in
from sidecar.core.doctor.check import Area, Checked, CheckStatus, Diagnosed, Finding, Unchecked, ok
from sidecar.core.doctor.facts import (
    AccountFacts,
    ActiveFacts,
    DiskFacts,
    Endpoint,
    Facts,
    FailedCall,
    MappedGoalFacts,
    QueueFacts,
    ReadAccount,
    SignInFacts,
    StorageFacts,
)
from sidecar.core.doctor.first_look import OutsideFacts, SilentService, look, without_configuration
from sidecar.core.doctor.report import diagnose
from sidecar.core.goals.goal import Goal
from sidecar.core.goals.mapping import Mapped, MappingState
from sidecar.core.goals.rule import GoalRule
from sidecar.core.instant import UnixMillis
from sidecar.doctor.texts import report_json
from sidecar.troubles import CATALOGUE

NOW = UnixMillis(1_795_444_245_000)
GIB = 2**30
HOUR = 3_600_000

OFFLINE_GOAL = Goal(id="1", name="Shop Purchase", type="OfflineConversion", category="Purchase", enhanced=True)
RULE = GoalRule(name="Shop Purchase")
SHOP = AdAccount("Shop", "F118ABCD", "11", "2001", "EUR", "Active")
ADMIN = UserRole("11", "Super Admin", may_upload=True)
VISIBLE = VisibleAccounts((SHOP,), (ADMIN,), "ads@example.com", NOW)
CONNECTED = SignInFacts(connected=True, expires_at=NOW)
REACHED = Endpoint("campaign.example", ahead_millis=0)


def reading(*others: Goal, **mapped: Any) -> ReadAccount:
    one = Mapped(**{"state": MappingState.OK, "goal": OFFLINE_GOAL, **mapped})
    facts = MappedGoalFacts(("purchase",), RULE, one)
    return ReadAccount(True, (OFFLINE_GOAL, *others), {"Shop Purchase": facts})


ACCOUNT = AccountFacts("eu", "11", "2001", reading())


def facts(**changes: Any) -> Facts:
    usual: dict[str, Any] = {
        "now": NOW,
        "storage": StorageFacts("outbox.db", schema=2, environment="production", size_bytes=2**20),
        "disk": DiskFacts(10 * GIB, GIB),
        "endpoints": [REACHED],
        "sign_in": CONNECTED,
        "visible": VISIBLE,
        "accounts": [ACCOUNT],
        "queue": QueueFacts(0),
    }
    return Facts(**{**usual, **changes})


def status(finding: Finding) -> str | None:
    """Its status; None where it was not checked."""
    return finding.status.value if isinstance(finding, Checked) else None


def failed(trouble: str, detail: str = "so it is") -> FailedCall:
    return FailedCall(trouble, detail, CATALOGUE[trouble].area)


def marked(found: Diagnosed) -> dict[str, str]:
    return {check.name.value: check.status.value for check in found.checks if check.status is not CheckStatus.OK}


def test_report_of_a_sidecar_without_fault_is_green_and_complete() -> None:
    found = diagnose(facts())
    assert (found.status, marked(found), found.unchecked) == (CheckStatus.OK, {}, ())
    assert {check.name for check in found.checks} == set(Area) - {Area.SERVICE}


def test_status_of_a_report_is_that_of_its_worst_check() -> None:
    assert diagnose(facts(config_warnings=["config.yaml, line 3: odd"])).status is CheckStatus.WARNING
    assert diagnose(facts(disk=DiskFacts(0, GIB))).status is CheckStatus.FAILED


def test_checks_stand_in_the_order_of_the_areas() -> None:
    order = [check.name for check in diagnose(facts()).checks]
    assert order == sorted(order, key=list(Area).index)


@pytest.mark.parametrize(
    ("free", "wanted"), [(2 * GIB, "ok"), (2 * GIB - 1, "warning"), (GIB, "warning"), (GIB - 1, "failed")]
)
def test_disk_warns_below_twice_the_reserve_and_fails_below_it(free: int, wanted: str) -> None:
    assert status(machine.disk(DiskFacts(free, GIB))) == wanted


@pytest.mark.parametrize(
    ("ahead", "wanted"),
    [(0, "ok"), (5_000, "ok"), (-5_000, "ok"), (5_001, "warning"), (-60_000, "warning"), (60_001, "failed")],
)
def test_clock_is_measured_by_microsofts_answers(ahead: int, wanted: str) -> None:
    assert status(machine.clock([Endpoint("a", ahead_millis=ahead)], None)) == wanted


def test_clock_takes_the_answer_that_is_nearest_since_a_slow_one_proves_nothing() -> None:
    assert status(machine.clock([Endpoint("a", ahead_millis=9_000), Endpoint("b", ahead_millis=100)], None)) == "ok"


@pytest.mark.parametrize(
    ("ahead", "words"),
    [(7_200_000, "is 2.0 h ahead of Microsoft's."), (-90_000, "is 90 s behind Microsoft's.")],
)
def test_clock_says_how_far_it_is_off(ahead: int, words: str) -> None:
    finding = machine.clock([Endpoint("a", ahead_millis=ahead)], None)
    assert finding.message.endswith(words)


def test_clock_without_an_answer_is_not_checked_unless_it_jumped() -> None:
    silent = Endpoint("a", failed("tls_failed"))
    assert status(machine.clock([silent], None)) is None
    assert status(machine.clock([silent], "this machine's clock shows a time before 2024")) == "failed"


def test_connection_names_each_host_that_was_not_reached() -> None:
    broken = [Endpoint("a", failed("tls_failed", "no trust")), Endpoint("b"), Endpoint("c", failed("tls_failed"))]
    finding = machine.connection(broken, ())
    assert (status(finding), finding.message) == ("failed", "a, c: no trust.")
    assert isinstance(finding, Checked)
    assert finding.trouble == "tls_failed"


def test_connection_fails_too_where_hosts_are_reached_and_calls_are_not_answered() -> None:
    finding = machine.connection([REACHED], [failed("unreachable", "no answer within 20 s")])
    assert (status(finding), finding.message) == ("failed", "No answer within 20 s.")


@pytest.mark.parametrize(
    ("connected", "trouble", "is_cut_off", "wanted"),
    [
        (True, None, False, "ok"),
        (True, "token_refresh_failed", False, "failed"),
        (False, "not_connected", False, "failed"),
        (True, "sign_in_unavailable", False, "warning"),
        (False, "sign_in_unavailable", False, "failed"),
        (True, "sign_in_unavailable", True, "ok"),
        (False, "sign_in_unavailable", True, None),
        (True, "tls_failed", True, "ok"),
        (False, "proxy_login", True, None),
        (True, "scope_missing", False, "ok"),
        (False, "client_secret_expired", False, "failed"),
    ],
)
def test_token_is_judged_by_its_renewal(
    connected: bool, trouble: str | None, is_cut_off: bool, wanted: str | None
) -> None:
    tried = SignInFacts(connected, NOW if connected else None, failed(trouble) if trouble else None)
    assert status(sign_in.token(tried, (), is_cut_off=is_cut_off)) == wanted


def test_scope_fails_where_the_sign_in_or_a_call_lacks_it() -> None:
    lacking = SignInFacts(False, failure=failed("scope_missing"))
    assert status(sign_in.scope(lacking, ())) == "failed"
    assert status(sign_in.scope(CONNECTED, [failed("scope_missing")])) == "failed"
    assert status(sign_in.scope(CONNECTED, [])) == "ok"
    assert status(sign_in.scope(SignInFacts(False), [])) is None


def test_105_without_account_blames_the_developer_token_and_with_one_the_ids() -> None:
    refused = failed("developer_token_invalid")
    everywhere = diagnose(facts(visible=refused, accounts=[replace(ACCOUNT, reading=refused)]))
    assert marked(everywhere) == {"developer_token": "failed"}
    only_here = diagnose(facts(visible=VISIBLE, accounts=[AccountFacts("eu", "11", "2009", refused)]))
    assert marked(only_here) == {"account": "failed"}


IDS = [
    ("11", "2001", "ok", "Account 2001 of customer 11, Shop, is one that the signed-in user can reach."),
    ("2001", "11", "failed", "customer_id and account_id are swapped."),
    ("99", "2001", "failed", "this account belongs to customer 11."),
    ("11", "2009", "failed", "the signed-in user can reach 1 account, and not this one."),
    ("", "", "failed", "Account eu has no ids yet."),
]


@pytest.mark.parametrize(("customer_id", "account_id", "wanted", "words"), IDS)
def test_ids_are_looked_up_among_the_accounts_of_the_user(
    customer_id: str, account_id: str, wanted: str, words: str
) -> None:
    account = AccountFacts("eu", customer_id, account_id, failed("wrong_account"))
    finding = accounts.ids(facts(), account)
    assert status(finding) == wanted
    assert finding.message.endswith(words)


def test_ids_that_microsoft_answers_are_right_though_it_does_not_list_them() -> None:
    account = AccountFacts("eu", "77", "2009", reading())
    assert status(accounts.ids(facts(), account)) == "ok"


def test_account_that_is_not_active_fails() -> None:
    closed = VisibleAccounts((SHOP._replace(status="Suspended"),), (ADMIN,), None, NOW)
    finding = accounts.ids(facts(visible=closed), ACCOUNT)
    assert (status(finding), finding.message[-25:]) == ("failed", "has the status Suspended.")


def test_account_not_listed_in_full_is_not_checked() -> None:
    part = replace(VISIBLE, accounts=(), is_complete=False)
    account = AccountFacts("eu", "11", "2001", failed("unreachable"))
    assert status(accounts.ids(facts(visible=part), account)) is None


@pytest.mark.parametrize(
    ("role", "raised", "wanted"),
    [
        (ADMIN, frozenset(), "ok"),
        (UserRole("11", "Viewer", may_upload=False), frozenset(), "failed"),
        (UserRole("11", "Aggregator", may_upload=None), frozenset(), None),
        (UserRole("12", "Super Admin", may_upload=True), frozenset(), None),
        (ADMIN, frozenset({"not_authorized"}), "failed"),
    ],
)
def test_role_is_that_of_the_user_for_the_account(role: UserRole, raised: frozenset[str], wanted: str | None) -> None:
    given, account = facts(visible=replace(VISIBLE, roles=(role,))), replace(ACCOUNT, raised=raised)
    assert status(accounts.role(given, account, ok(Area.ACCOUNT, "well"))) == wanted


def test_refusal_of_wrong_ids_says_nothing_of_the_role() -> None:
    found = diagnose(facts(accounts=[AccountFacts("eu", "11", "2009", failed("not_authorized"))]))
    assert marked(found) == {"account": "failed"}
    assert Area.ROLE in {each.name for each in found.unchecked}


@pytest.mark.parametrize(
    ("mapped", "wanted", "words"),
    [
        ({}, "ok", "The goal is active"),
        ({"state": MappingState.NOT_FOUND, "goal": None, "near": "Purchase"}, "failed", "did you mean Purchase?"),
        ({"state": MappingState.NOT_FOUND, "goal": None, "owner": "us"}, "failed", "account us has it for itself"),
        ({"state": MappingState.PAUSED}, "failed", "The goal is paused"),
        ({"state": MappingState.WRONG_TYPE, "goal": replace(OFFLINE_GOAL, type="Url")}, "failed", "its type is Url"),
        ({"state": MappingState.SETTLING, "settles_at": NOW}, "warning", "too young"),
        ({"state": MappingState.NOT_ENHANCED}, "ok", "The goal is active"),
        ({"state": MappingState.UNKNOWN, "goal": None}, None, "not read yet"),
    ],
)
def test_goal_is_judged_by_its_mapping(mapped: dict[str, Any], wanted: str | None, words: str) -> None:
    [name] = reading(**mapped).mapped
    finding = goals.goal("eu", name, reading(**mapped).mapped[name])
    assert status(finding) == wanted
    assert words in finding.message


@pytest.mark.parametrize(
    ("found", "configured", "wanted"),
    [(True, None, ["ok"]), (False, None, ["warning"]), (False, False, ["ok"]), (None, None, [])],
)
def test_goal_without_hashes_is_a_warning_unless_configured(
    found: bool | None, configured: bool | None, wanted: list[str]
) -> None:
    mapped = Mapped(MappingState.OK, replace(OFFLINE_GOAL, enhanced=found))
    given = MappedGoalFacts(("purchase",), replace(RULE, enhanced=configured), mapped)
    assert [status(each) for each in goals.enhanced("eu", "Shop Purchase", given)] == wanted


@pytest.mark.parametrize(
    ("name", "changes", "counts_twice"),
    [
        ("Thank you", {"type": "Url", "category": "Purchase"}, True),
        ("Thank you", {"type": "Event", "category": "Signup"}, False),
        ("Purchase (UET)", {"type": "Event", "category": None}, True),
        ("Website goal", {"type": "Event", "category": "Other"}, False),
        ("Thank you", {"type": "Url", "category": "Purchase", "status": "Paused"}, False),
        ("Second import", {"type": "OfflineConversion", "category": "Purchase"}, False),
    ],
)
def test_goal_of_another_type_that_counts_the_same_is_a_warning(
    name: str, changes: dict[str, Any], counts_twice: bool
) -> None:
    other = replace(OFFLINE_GOAL, id="2", name=name, **changes)
    given = reading(other).mapped["Shop Purchase"]
    check = goals.double_counting("eu", given, OFFLINE_GOAL, (OFFLINE_GOAL, other))
    assert (check.status is CheckStatus.WARNING) is counts_twice


@pytest.mark.parametrize(
    ("pending", "due_seconds", "days_left", "wanted"),
    [
        (0, 0.0, None, "ok"),
        (5, 899.0, 60, "ok"),
        (5, 900.0, 60, "warning"),
        (5, 6 * 3_600.0, 60, "failed"),
        (5, 900.0, 6, "failed"),
        (5, 10.0, 6, "ok"),
    ],
)
def test_queue_is_judged_by_its_oldest_row(
    pending: int, due_seconds: float, days_left: int | None, wanted: str
) -> None:
    expiry = None if days_left is None else UnixMillis(NOW + days_left * 24 * HOUR)
    assert status(delivery.queue(QueueFacts(pending, due_seconds, expiry), NOW)) == wanted


@pytest.mark.parametrize(("ago_days", "wanted"), [(None, "ok"), (0, "ok"), (6, "ok"), (8, "warning")])
def test_last_success_warns_after_a_week_of_silence(ago_days: int | None, wanted: str) -> None:
    at = None if ago_days is None else UnixMillis(NOW - ago_days * 24 * HOUR)
    assert status(delivery.last_success(replace(ACCOUNT, last_success_at=at), NOW)) == wanted


def active(code: str, account: str | None = "eu", subject: str | None = None) -> ActiveFacts:
    return ActiveFacts(code, CATALOGUE[code].title, CATALOGUE[code].area, True, account, subject)


def test_trouble_that_another_check_explains_is_not_shown_twice() -> None:
    paused = reading(state=MappingState.PAUSED)
    found = diagnose(
        facts(accounts=[replace(ACCOUNT, reading=paused)], active=[active("goal_paused", subject="Shop Purchase")])
    )
    assert marked(found) == {"goal": "failed"}


def test_trouble_that_no_other_check_explains_is_shown() -> None:
    for trouble in (active("batch_refused"), active("goal_paused", subject="An old goal"), active("unreachable")):
        found = diagnose(facts(active=[trouble]))
        assert marked(found) == {"delivery": "failed"}
        [check] = [check for check in found.checks if check.name is Area.DELIVERY]
        assert check.trouble == trouble.code


@given(st.sampled_from(sorted(CATALOGUE)), st.booleans())
def test_no_active_trouble_is_passed_over_in_silence(code: str, of_account: bool) -> None:
    """A sidecar with a trouble never gets a green report, unless the check that would explain it was just made."""
    found = diagnose(facts(active=[active(code, "eu" if of_account else None)]))
    assert found.status is not CheckStatus.OK


def test_texts_of_a_check_name_its_account_and_event() -> None:
    missing = reading(state=MappingState.NOT_FOUND, goal=None)
    report = report_json(diagnose(facts(accounts=[replace(ACCOUNT, reading=missing)])))
    [line] = [check for check in report["checks"] if check["status"] != "ok"]
    assert line["fix"].startswith("Correct events.purchase.goal to the exact name")
    assert line["cause"] == CATALOGUE["goal_not_found"].cause
    assert (line["account"], line["goal"]) == ("eu", "Shop Purchase")


# --- Without a running sidecar ---------------------------------------------------------------------------------------

SILENT = SilentService("No sidecar answers at http://127.0.0.1:8077.")


def outside(**changes: Any) -> OutsideFacts:
    usual: dict[str, Any] = {
        "config_warnings": (),
        "storage": StorageFacts("outbox.db", exists=False),
        "disk": DiskFacts(10 * GIB, GIB),
        "endpoints": [REACHED],
        "embeds_emulator": False,
        "sign_in": False,
    }
    return OutsideFacts(**{**usual, **changes})


def test_before_the_first_start_what_needs_no_sidecar_is_checked() -> None:
    found = look(SILENT, outside())
    assert marked(found) == {"service": "warning", "token": "warning"}
    green = {check.name for check in found.checks if check.status is CheckStatus.OK}
    assert green == {Area.CONFIGURATION, Area.STORAGE, Area.DISK, Area.CLOCK, Area.CONNECTION}
    assert {each.name for each in found.unchecked} | green | {Area.SERVICE, Area.TOKEN} == set(Area)


def test_stored_sign_in_is_named_and_not_judged() -> None:
    found = look(SILENT, outside(sign_in=True))
    [token] = [each for each in found.unchecked if each.name is Area.TOKEN]
    assert token.message.startswith("a sign-in is stored")


def test_stored_sign_in_that_cannot_be_opened_is_a_failure() -> None:
    found = look(SILENT, outside(sign_in=failed("not_connected", "the stored sign-in is sealed with another key")))
    assert marked(found) == {"service": "warning", "token": "failed"}


def test_embedded_emulator_needs_no_connection() -> None:
    found = look(SILENT, outside(embeds_emulator=True, endpoints=[]))
    assert marked(found) == {"service": "warning"}


def test_sidecar_that_has_the_outbox_and_does_not_answer_is_a_failure() -> None:
    found = look(SilentService("No sidecar answers.", has_owner=True), outside(sign_in=True))
    assert marked(found) == {"service": "failed"}


@pytest.mark.parametrize(("replicas", "they"), [(1, "1 replica runs"), (3, "3 replicas run")])
def test_replicas_elsewhere_are_named_where_none_answers_here(replicas: int, they: str) -> None:
    found = look(SilentService("No sidecar answers.", replicas=replicas), outside(sign_in=True))
    assert marked(found) == {"service": "warning"}
    [service] = [each for each in found.checks if each.name is Area.SERVICE]
    assert service.cause == f"{they} with this outbox, but none answers at this address."


def test_configuration_that_cannot_be_used_fails_and_nothing_else_is_judged() -> None:
    found = without_configuration(SILENT, "config.yaml, line 3: microsoft.tenat: unknown key")
    assert marked(found) == {"service": "warning", "configuration": "failed"}
    assert all(isinstance(each, Unchecked) for each in found.unchecked)
    assert {each.name for each in found.unchecked} == set(Area) - {Area.SERVICE, Area.CONFIGURATION}
