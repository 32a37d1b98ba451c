"""What one request may be told at most: near names are dear to look for, and problems are many where one is."""

from collections.abc import Collection

from sidecar.core.instant import UnixMillis
from sidecar.core.intake.conversion import EventRule, RejectedItem, Rules, read
from sidecar.core.intake.problem import MOST_LOOK_UPS, MOST_PROBLEMS, Allowance, Findings, Near, Refusal

NOW = UnixMillis(1_800_000_000_000)
RULES = Rules({"purchase": EventRule("Shop Purchase", currency="USD")}, ("default",))


def refused(item: object, allowance: Allowance) -> RejectedItem:
    reading = read(item, now=NOW, rules=RULES, allowance=allowance)
    assert isinstance(reading, RejectedItem)
    return reading


def test_near_names_are_looked_for_twenty_times_a_request_and_remembered() -> None:
    looked: list[str] = []

    def look(name: str, known: Collection[str]) -> str | None:
        looked.append(name)
        return "purchase"

    allowance = Allowance(problems=1_000)
    hints = []
    for number in [*range(30), *range(30)]:
        findings = Findings(allowance)
        findings.refuse_for(
            "event", Refusal("unknown_event", "is unknown", Near(f"purchas{number}", ["purchase"], look))
        )
        hints.append(findings.problems[0].message)
    assert looked == [f"purchas{number}" for number in range(MOST_LOOK_UPS)]
    assert hints == (["is unknown; did you mean purchase?"] * 20 + ["is unknown"] * 10) * 2


def test_look_up_among_very_many_names_counts_as_several() -> None:
    looked: list[str] = []
    known = [f"event_{number}" for number in range(1_000)]
    near = [Near(f"evnt_{number}", known, lambda name, _: looked.append(name)) for number in range(5)]
    allowance = Allowance()
    for one in near:
        Findings(allowance).refuse_for("event", Refusal("unknown_event", "is unknown", one))
    assert len(looked) == 2


def test_items_of_a_request_share_their_look_ups() -> None:
    allowance = Allowance()
    items = [{f"visitorid_{number}": 1} for number in range(40)]
    messages = [refused(item, allowance).problems[0].message for item in items]
    assert [message != "is not known" for message in messages] == [True] * 20 + [False] * 20


def test_beyond_a_hundred_problems_each_item_keeps_its_first_and_the_rest_is_counted() -> None:
    allowance = Allowance()
    readings = [refused({"value": -1}, allowance) for _ in range(100)]  # no event, and a negative value
    assert [len(reading.problems) for reading in readings[:50]] == [2] * 50
    assert [problem.message for problem in readings[50].problems][1:] == ["and 1 more"]
    assert {len(reading.problems) for reading in readings[50:]} == {2}
    assert allowance.found == 200
    assert MOST_PROBLEMS == 100


def test_objects_in_one_item_share_the_hundred_too() -> None:
    allowance = Allowance(problems=3)
    problems = refused({**{f"x{n}": 1 for n in range(8)}, "user": {f"y{n}": 1 for n in range(8)}}, allowance).problems
    assert [problem.code for problem in problems] == ["unknown_field"] * 3 + ["more_problems"]
    assert problems[-1].message == f"and {allowance.found - 3} more"
