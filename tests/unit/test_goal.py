"""Goals as Microsoft has them against goals as the configuration wants them: every state, with plain values."""

from dataclasses import replace

import pytest

from sidecar.config import parse
from sidecar.core.goals.creation import new_goal
from sidecar.core.goals.goal import Catalogue, Goal, Revenue, remembered
from sidecar.core.goals.mapping import Mapped, MappingState, mapping
from sidecar.core.goals.plan import Blocked, GoalDifference, plan, window_text
from sidecar.core.goals.rule import GoalRule
from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import Reason
from sidecar.microsoft.account_ids import AccountIds
from sidecar.service.settings import Settings
from sidecar.troubles import CATALOGUE

NOW = UnixMillis(1_795_444_245_000)
HOUR = 3_600_000
SETTLE = 2 * HOUR
RULE = GoalRule(name="Closed deal")
GOAL = Goal(
    id="48210331",
    name="Closed deal",
    type="OfflineConversion",
    count_type="All",
    window_seconds=90 * 86_400,
    category="Purchase",
    revenue=Revenue("VariableValue", "0", "EUR"),
    enhanced=True,
    first_seen_at=UnixMillis(NOW - HOUR),
)
YOUNG = replace(GOAL, is_new=True)


@pytest.mark.parametrize(
    ("goals", "state", "holds"),
    [
        (None, "unknown", None),
        ([], "goal_not_found", "goal_not_found"),
        ([GOAL], "ok", None),
        ([replace(GOAL, name="closed deal")], "goal_not_found", "goal_not_found"),
        ([replace(GOAL, name="Closed deal ")], "goal_not_found", "goal_not_found"),
        ([replace(GOAL, status="Paused")], "goal_paused", "goal_paused"),
        ([replace(GOAL, status="Deleted")], "goal_not_found", "goal_not_found"),
        ([replace(GOAL, type="Url")], "goal_wrong_type", "goal_not_found"),
        ([replace(GOAL, type="Url"), GOAL], "ok", None),
        ([replace(GOAL, status="Paused"), GOAL], "ok", None),
        ([replace(YOUNG, status="Paused")], "goal_paused", "goal_paused"),
        ([replace(GOAL, enhanced=False)], "goal_not_enhanced", None),
        ([replace(GOAL, enhanced=None)], "ok", None),
        ([YOUNG], "goal_settling", "goal_settling"),
        ([replace(YOUNG, first_seen_at=UnixMillis(NOW - SETTLE))], "ok", None),
        ([replace(YOUNG, enhanced=False)], "goal_settling", "goal_settling"),
    ],
)
def test_every_state_of_a_mapping(goals: list[Goal] | None, state: str, holds: str | None) -> None:
    mapped = mapping(RULE, goals, NOW, SETTLE)
    assert (mapped.state, mapped.holds) == (state, holds)


def test_goal_that_is_meant_to_match_by_click_id_only_is_well_without_hashes() -> None:
    rule = replace(RULE, enhanced=False)
    assert mapping(rule, [replace(GOAL, enhanced=False)], NOW, SETTLE).state is MappingState.OK


@pytest.mark.parametrize(
    ("name", "near"),
    [("Closed Deal", "Closed deal"), ("Closed  deals", "Closed deal"), ("Newsletter", None), ("Visit", None)],
)
def test_near_name_is_named(name: str, near: str | None) -> None:
    assert mapping(GoalRule(name=name), [GOAL], NOW, SETTLE).near == near


def test_near_name_of_a_goal_that_would_do_comes_before_any_other() -> None:
    goals = [replace(GOAL, name="Closed deals", type="Url"), replace(GOAL, name="Close deal")]
    assert mapping(RULE, goals, NOW, SETTLE).near == "Close deal"
    assert mapping(RULE, goals[:1], NOW, SETTLE).near == "Closed deals"


def test_young_goal_says_when_it_is_old_enough() -> None:
    assert mapping(RULE, [YOUNG], NOW, SETTLE).settles_at == NOW + HOUR
    assert mapping(RULE, [GOAL], NOW, SETTLE).settles_at is None


def test_states_are_the_codes_of_troubles_and_their_reasons_are_reasons_of_rows() -> None:
    troubles = {state.value for state in MappingState if state.is_trouble}
    assert troubles == {"goal_not_found", "goal_paused", "goal_wrong_type", "goal_settling", "goal_not_enhanced"}
    assert troubles <= CATALOGUE.keys()
    assert mapping(RULE, [replace(GOAL, type="Url")], NOW, SETTLE).holds is Reason.GOAL_NOT_FOUND


# --- What is remembered ----------------------------------------------------------------------------------------------


def read(former: Catalogue | None, *goals: Goal, at: int = NOW, identity: str = "1/2") -> Catalogue:
    plain = [replace(goal, first_seen_at=None, is_new=False) for goal in goals]
    return remembered(former, "main", identity, plain, UnixMillis(at))


def test_goals_of_the_first_reading_are_old() -> None:
    [goal] = read(None, GOAL).goals
    assert (goal.first_seen_at, goal.is_new) == (NOW, False)


def test_goal_that_appears_later_is_new_from_then_on() -> None:
    other = replace(GOAL, id="2", name="Other")
    second = read(read(None, GOAL), GOAL, other, at=NOW + HOUR)
    third = read(second, GOAL, other, at=NOW + 2 * HOUR)
    assert [(goal.first_seen_at, goal.is_new) for goal in third.goals] == [(NOW, False), (NOW + HOUR, True)]
    assert third.read_at == NOW + 2 * HOUR


def test_goal_that_was_seen_before_the_clock_was_set_back_settles_no_longer_for_it() -> None:
    seen = read(read(None, at=NOW + 48 * HOUR), GOAL, at=NOW + 48 * HOUR)
    (again,) = read(seen, GOAL).goals
    assert again.settles_at(SETTLE) == NOW + SETTLE


def test_goal_that_appears_after_an_empty_first_reading_is_new() -> None:
    assert [goal.is_new for goal in read(read(None), GOAL).goals] == [True]


def test_renamed_goal_is_no_new_one() -> None:
    [goal] = read(read(None, GOAL), replace(GOAL, name="Renamed"), at=NOW + HOUR).goals
    assert (goal.name, goal.first_seen_at, goal.is_new) == ("Renamed", NOW, False)


def test_goal_that_was_missing_for_a_while_is_as_old_as_it_was() -> None:
    away = read(read(read(None, GOAL)), at=NOW + HOUR)
    assert (away.goals, [goal.id for goal in away.gone]) == ((), [GOAL.id])
    back = read(away, GOAL, at=NOW + 2 * HOUR)
    assert ([goal.is_new for goal in back.goals], back.gone) == ([False], ())


def test_goals_of_changed_account_ids_count_as_old_at_first() -> None:
    other = read(read(None, GOAL), replace(GOAL, id="7"), identity="1/3")
    assert ([goal.is_new for goal in other.goals], other.gone) == ([False], ())


def test_goal_that_is_listed_twice_is_one() -> None:
    assert len(read(None, GOAL, GOAL).goals) == 1


# --- What is lacking -------------------------------------------------------------------------------------------------


def test_plan_creates_what_is_missing_once_for_all_its_events() -> None:
    rules = {"a": RULE, "b": RULE, "c": GoalRule(name="Other", count_type="Unique", enhanced=False)}
    found = plan(rules, [], NOW)
    assert [(each.goal.name, each.events) for each in found.missing] == [("Closed deal", ("a", "b")), ("Other", ("c",))]
    assert (found.missing[1].goal.count_type, found.missing[1].goal.enhanced) == ("Unique", False)
    assert found.differences == found.blocked == ()


def test_goal_that_several_accounts_of_a_customer_want_is_one_for_all_of_them() -> None:
    found = plan({"a": RULE, "b": GoalRule(name="Other")}, [], NOW, {"Other"})
    assert [(each.goal.name, each.goal.scope) for each in found.missing] == [
        ("Closed deal", "Account"),
        ("Other", "Customer"),
    ]


def test_shared_goal_has_a_value_only_where_its_currency_is_known() -> None:
    """Microsoft refuses a value without currency where the goal is for all accounts of a customer."""
    lead, sale = GoalRule(name="Lead"), GoalRule(name="Sale", currency="EUR")
    assert new_goal(lead, is_shared=True).revenue == Revenue("NoValue")
    assert new_goal(sale, is_shared=True).revenue == Revenue("VariableValue", "0", "EUR")
    assert new_goal(lead).revenue == Revenue("VariableValue", "0")


FULL = GoalRule(name="Lead", category="Other", count_type="All", window_seconds=60, enhanced=True)


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        (GoalRule(name="Lead"), ("category", "count_type", "window", "revenue", "enhanced", "scope")),
        (GoalRule(name="Lead", category="Other", enhanced=False), ("count_type", "window", "revenue", "scope")),
        (FULL, ("revenue", "scope")),
        (replace(FULL, revenue="NoValue"), ("scope",)),
    ],
)
def test_plan_says_what_is_assumed_of_a_goal(rule: GoalRule, names: tuple[str, ...]) -> None:
    [missing] = plan({"a": rule}, [], NOW).missing
    assert missing.assumed == names


def test_goal_that_another_account_of_the_customer_has_for_itself_is_blocked() -> None:
    """Names are unique per customer: creating it would end in ConversionGoalNameAlreadyExists."""
    others = {"eu": [replace(GOAL, name="Other")], "uk": [GOAL, replace(GOAL, name="Gone", status="Deleted")]}
    found = plan({"a": RULE, "b": RULE, "c": GoalRule(name="Gone")}, [], NOW, {"Closed deal"}, others)
    assert found.blocked == (Blocked("Closed deal", ("a", "b"), "goal_name_taken", "uk"),)
    assert [each.goal.name for each in found.missing] == ["Gone"]
    mapped = mapping(RULE, [], NOW, 0, others)
    assert (mapped.state, mapped.holds, mapped.owner) == ("goal_not_found", "goal_not_found", "uk")
    assert plan({"a": RULE}, [GOAL], NOW, frozenset(), others).blocked == ()


def test_plan_of_one_goal_has_nothing_of_the_others() -> None:
    rules = {"a": replace(RULE, count_type="Unique"), "b": GoalRule(name="Other"), "c": GoalRule(name="Visit")}
    whole = plan(rules, [GOAL, replace(GOAL, id="8", name="Visit", type="Url")], NOW)
    assert whole.only({"Other"}) == replace(whole, differences=(), blocked=())
    assert whole.only({"Closed deal"}) == replace(whole, missing=(), blocked=())
    assert whole.only({"Visit"}) == replace(whole, missing=(), differences=())


def test_plan_after_apply_is_empty() -> None:
    created = replace(GOAL, is_new=True, first_seen_at=NOW)
    assert plan({"a": RULE}, [created], NOW) == plan({}, [], NOW)


def test_plan_names_the_near_name_beside_what_it_would_create() -> None:
    assert [each.near for each in plan({"a": GoalRule(name="closed deal")}, [GOAL], NOW).missing] == ["Closed deal"]


@pytest.mark.parametrize(
    ("given", "differences"),
    [
        ({}, []),
        ({"category": "Purchase", "count_type": "All", "window_seconds": 90 * 86_400, "enhanced": True}, []),
        ({"category": "Signup"}, [("category", "Signup", "Purchase")]),
        ({"count_type": "Unique"}, [("count_type", "Unique", "All")]),
        ({"window_seconds": 5_400}, [("window", "90m", "90d")]),
        ({"revenue": "NoValue"}, [("revenue", "NoValue", "VariableValue")]),
        ({"enhanced": False}, [("enhanced", False, True)]),
        ({"currency": "USD", "value": "5"}, []),  # what conversions come with, not what the goal has
    ],
)
def test_only_what_the_file_says_can_differ(given: dict[str, object], differences: list[object]) -> None:
    found = plan({"a": replace(RULE, **given)}, [GOAL], NOW)  # type: ignore[arg-type]
    assert found.missing == ()
    assert [(one.field, one.wanted, one.found) for one in found.differences] == differences


def test_settings_that_microsoft_did_not_name_do_not_differ() -> None:
    assert plan({"a": replace(RULE, enhanced=True)}, [replace(GOAL, enhanced=None)], NOW).differences == ()


def test_paused_and_wrong_goals_are_no_reason_to_create_one() -> None:
    for changed, state in (({"status": "Paused"}, "goal_paused"), ({"type": "Event"}, "goal_wrong_type")):
        found = plan({"a": RULE}, [replace(GOAL, **changed)], NOW)  # type: ignore[arg-type]
        assert (found.missing, [(one.goal, one.state) for one in found.blocked]) == ((), [("Closed deal", state)])


def test_differences_name_their_event() -> None:
    rules = {"a": replace(RULE, count_type="Unique"), "b": RULE}
    assert plan(rules, [GOAL], NOW).differences == (GoalDifference("Closed deal", "a", "count_type", "Unique", "All"),)


def test_only_what_was_chosen_is_created() -> None:
    found = plan({"a": RULE, "b": GoalRule(name="Other")}, [], NOW)
    assert [goal.name for goal in found.goals_to_create(None)] == ["Closed deal", "Other"]
    assert [goal.name for goal in found.goals_to_create({"Other", "Nothing"})] == ["Other"]


@pytest.mark.parametrize(
    ("rule", "revenue"),
    [
        (RULE, Revenue("VariableValue", "0", None)),
        (replace(RULE, currency="EUR", value="5"), Revenue("VariableValue", "5", "EUR")),
        (replace(RULE, revenue="FixedValue", currency="EUR", value="5"), Revenue("FixedValue", "5", "EUR")),
        (replace(RULE, revenue="NoValue", currency="EUR"), Revenue("NoValue", None, None)),
    ],
)
def test_revenue_of_a_new_goal(rule: GoalRule, revenue: Revenue) -> None:
    assert new_goal(rule).revenue == revenue


@pytest.mark.parametrize(("seconds", "text"), [(90 * 86_400, "90d"), (129_600, "36h"), (5_400, "90m"), (60, "1m")])
def test_window_is_written_as_in_the_file(seconds: int, text: str) -> None:
    assert window_text(seconds) == text


# --- The configuration -----------------------------------------------------------------------------------------------

CONFIG = """
microsoft: {environment: emulator}
accounts: {a: {}, b: {}}
events:
  purchase: {goal: Sale, currency: EUR, account: a, window: 1m, count_type: Unique}
  lead: {goal: Lead, category: SubmitLeadForm, enhanced: false}
"""


def test_rules_are_those_of_the_events_that_are_meant_for_an_account() -> None:
    settings = Settings(parse(CONFIG, {}))
    assert [list(settings.goal_rules(account)) for account in (None, "a", "b")] == [
        ["purchase", "lead"],
        ["purchase", "lead"],
        ["lead"],
    ]
    assert settings.goal_rules()["purchase"].window_seconds == 60


def test_accounts_without_ids_are_different_accounts_of_the_emulator() -> None:
    """The first has the emulator's own ids; those of the others do not depend on their neighbours."""
    text = "microsoft: {environment: emulator}\naccounts: {%s}"
    ids = Settings(parse(text % "a: , b: , c: {account_id: 200000001}", {})).accounts()
    assert len({(each.customer_id, each.account_id) for each in ids.values()}) == 3
    assert Settings(parse(text % "x: {}", {})).accounts()["x"] == AccountIds("100000001", "200000001")
    alone, beside = (Settings(parse(text % names, {})).accounts()["b"] for names in ("a: , b: ", "a: , z: , b: "))
    assert alone == beside != AccountIds("100000001", "200000001")


OWN_NAMES = """
microsoft: {environment: emulator}
accounts:
  us: {goals: {purchase: Sale US}}
  eu: {goals: {purchase: Sale EU}}
  uk: {}
events:
  purchase: {goal: Sale, currency: EUR, account: eu}
  lead: {goal: Lead}
"""


def test_goal_of_an_event_has_the_name_that_its_account_gives_it() -> None:
    settings = Settings(parse(OWN_NAMES, {}))
    assert [settings.goal_of(account, "purchase") for account in ("us", "eu", "uk", "gone")] == [
        "Sale US",
        "Sale EU",
        "Sale",
        None,
    ]
    assert settings.goals("us") == {"purchase": "Sale US", "lead": "Lead"}
    assert {goal for account, goal in settings.goals_of_accounts() if account == "us"} == {"Sale US", "Lead"}
    assert {goal.name for goal in settings.mapped_goals()} == {"Sale US", "Sale EU", "Sale", "Lead"}


def test_name_of_its_own_says_that_the_event_is_meant_for_the_account_too() -> None:
    settings = Settings(parse(OWN_NAMES, {}))
    meant = {account: [rule.name for rule in settings.goal_rules(account).values()] for account in ("us", "eu", "uk")}
    assert meant == {"us": ["Sale US", "Lead"], "eu": ["Sale EU", "Lead"], "uk": ["Lead"]}
    assert [rule.name for rule in settings.every_goal_rule("uk").values()] == ["Sale", "Lead"]


def test_intake_is_given_the_names_of_each_account() -> None:
    rule = Settings(parse(OWN_NAMES, {})).intake().events["purchase"]
    assert [rule.goal_in(account) for account in ("us", "eu", "uk")] == ["Sale US", "Sale EU", "Sale"]


def test_emulator_has_the_very_goals_that_would_be_created() -> None:
    settings = Settings(parse(CONFIG, {}))
    created = [new_goal(rule) for rule in settings.goal_rules().values()]
    there = settings.mapped_goals()
    assert [(goal.name, goal.category, goal.count_type, goal.enhanced) for goal in created] == [
        (goal.name, goal.category, goal.count_type, goal.enhanced) for goal in there
    ]
    assert [goal.window_minutes for goal in there] == [1, 129_600]


def test_goals_of_the_embedded_emulator_need_no_time_to_settle() -> None:
    assert Settings(parse(CONFIG, {})).catalogue().settle_millis == 0
    elsewhere = "https://emulator.example"
    endpoints = f'endpoints: {{campaign: "{elsewhere}", customer: "{elsewhere}", authority: "{elsewhere}/common"}}'
    text = CONFIG.replace("environment: emulator", f"environment: emulator, {endpoints}")
    assert Settings(parse(text, {})).catalogue().settle_millis == SETTLE


# --- What Microsoft answered to rows of a goal ------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [Reason.GOAL_NOT_FOUND, Reason.GOAL_SETTLING])
@pytest.mark.parametrize("listed", [MappingState.OK, MappingState.UNKNOWN, MappingState.NOT_ENHANCED])
def test_goal_that_an_answer_closed_does_not_read_as_good(listed: MappingState, answer: Reason) -> None:
    closed = Mapped(listed).closed_by(answer)
    assert (closed.state.value, closed.holds, closed.is_answered) == (answer.value, answer, True)


def test_what_the_list_of_goals_says_against_a_goal_is_more_exact_than_an_answer() -> None:
    paused = Mapped(MappingState.PAUSED)
    assert paused.closed_by(Reason.GOAL_NOT_FOUND) is paused
    assert Mapped(MappingState.OK).closed_by(None).state is MappingState.OK
