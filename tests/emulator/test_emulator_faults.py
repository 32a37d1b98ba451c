"""Rules of scripted faults: when they strike."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sidecar.emulator.call import Call
from sidecar.emulator.fault_script import Script, matches
from sidecar.emulator.faults import Match, Rule


def call(operation: str = "OfflineConversions/Apply", account: str = "1", body: str = "{}") -> Call:
    headers = {"CustomerAccountId": account}
    return Call(operation=operation, at=0, tracking_id="t", base_url="https://x", headers=headers, body=body.encode())


def struck(rule: dict[str, Any], requests: int) -> list[int]:
    """The numbers of the requests, from 1, to which the rule happens."""
    script = Script()
    script.add(Rule.model_validate({"action": {"type": "hang"}, **rule}))
    return [number for number in range(1, requests + 1) if script.plan(call()).ending is not None]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, [1]),
        ({"times": 2}, [1, 2]),
        ({"times": None}, [1, 2, 3, 4, 5]),
        ({"after": 2}, [3]),
        ({"after": 3, "times": None}, [4, 5]),
        ({"match": {"operation": "token"}, "times": None}, []),
    ],
)
def test_rule_strikes_as_often_as_it_states(rule: dict[str, Any], expected: list[int]) -> None:
    assert struck(rule, 5) == expected


@given(seed=st.integers(), probability=st.floats(0.05, 0.95))
def test_chance_is_the_same_each_time_and_about_as_high_as_asked(seed: int, probability: float) -> None:
    rule = {"times": None, "probability": probability, "seed": seed}
    first = struck(rule, 400)
    assert first == struck(rule, 400)
    assert abs(len(first) / 400 - probability) < 0.15


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, True),
        ({"operation": "OfflineConversions/Apply"}, True),
        ({"operation": "token"}, False),
        ({"account": "1"}, True),
        ({"account": "2"}, False),
        ({"goal": "Käufe"}, True),
        ({"goal": "Käuf"}, False),
    ],
)
@pytest.mark.parametrize("body", ['{"ConversionName": "Käufe"}', '{"ConversionName": "K\\u00e4ufe"}'])
def test_rule_is_about_operation_account_and_goal(match: dict[str, str], expected: bool, body: str) -> None:
    assert matches(Match.model_validate(match), call(body=body)) is expected


def test_first_ending_wins_and_preparations_add_up() -> None:
    script = Script()
    actions = ("slow", "hang", "expire_tokens", "reset_after")
    for action in actions:
        more = {"seconds": 0} if action == "slow" else {}
        script.add(Rule.model_validate({"times": None, "action": {"type": action, **more}}))
    assert script.plan(call()).name == "slow hang"
    script.remove(2)
    assert script.plan(call()).name == "slow expire_tokens reset_after"
    script.clear()
    assert script.plan(call()).name is None


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"action": {"type": "explode"}},
        {"action": {"type": "status"}},
        {"action": {"type": "status", "status": 99}},
        {"action": {"type": "fault"}},
        {"action": {"type": "partial_errors"}},
        {"action": {"type": "hang"}, "times": 0},
        {"action": {"type": "hang"}, "probability": 1.1},
        {"action": {"type": "hang"}, "tims": 1},
        {"action": {"type": "slow", "seconds": -1}},
    ],
)
def test_rule_that_makes_no_sense_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate(rule)
