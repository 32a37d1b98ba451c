"""Mistakes in what the control API is told: each is named where it is, with what was wanted, in words of our own."""

import json

import pytest
from pydantic import ValidationError

from sidecar.emulator.faults import Rule
from sidecar.emulator.validation_errors import explain

HANG = {"type": "hang"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], ["must be an object"]),
        ({}, ["action: is needed"]),
        ({"action": 3}, ["action: must be an object"]),
        ({"action": {}}, ["action: needs a type: slow, expire_tokens, …"]),
        ({"action": {"type": "hangs"}}, ["action: has a type that is not known; did you mean hang? known: slow, …"]),
        ({"action": {"type": "slow"}}, ["action.seconds: is needed"]),
        ({"action": {"type": "slow", "seconds": 99_999}}, ["action.seconds: must be at most 3600"]),
        ({"action": {"type": "slow", "seconds": True}}, []),
        ({"action": {"type": "slow", "seconds": "x"}}, ["action.seconds: must be a number"]),
        ({"action": {"type": "fault"}}, ["action: code or symbol is needed"]),
        ({"action": {"type": "fault", "code": 1, "shape": "x"}}, ["action.shape: must be AdApiFaultDetail, …"]),
        ({"action": {"type": "status", "status": 999}}, ["action.status: must be at most 599"]),
        ({"action": {"type": "status", "status": 200, "applied": "?"}}, ["action.applied: must be true or false"]),
        ({"action": {"type": "status", "status": 200, "body": 3}}, ["action.body: must be a text in quotes"]),
        ({"action": {"type": "partial_errors", "indexes": "1", "code": 1}}, ["action.indexes: must be a list"]),
        ({"action": {**HANG, "times": 3}}, ["action.times: is not known; known: type"]),
        ({"tmes": 2, "action": HANG}, ["tmes: is not known; did you mean times? known: match, …"]),
        ({"times": 1.5, "action": HANG}, ["times: must be a whole number"]),
        ({"times": 0, "after": -1, "action": HANG}, ["times: must be at least 1", "after: must be at least 0"]),
        ({"probability": 0, "action": HANG}, ["probability: must be more than 0"]),
        ({"match": {"operaton": "x"}, "action": HANG}, ["match.operaton: is not known; did you mean operation? …"]),
    ],
)
def test_each_mistake_in_a_rule_is_named_where_it_is(body: object, message: list[str]) -> None:
    found: list[str] = []
    try:
        Rule.model_validate_json(json.dumps(body))
    except ValidationError as error:
        found = explain(error, Rule)
    assert len(found) == len(message)
    for text, wanted in zip(found, message, strict=True):
        beginning, cut, _ = wanted.partition("…")
        assert text.startswith(beginning) if cut else text == wanted


@pytest.mark.parametrize(("body", "column"), [("{", 1), ('{"times": 1,}', 13), ('{"times', 7), ("{}x", 3)])
def test_body_that_is_no_json_shows_where_and_quotes_no_parser(body: str, column: int) -> None:
    with pytest.raises(ValidationError) as error:
        Rule.model_validate_json(body)
    assert explain(error.value, Rule) == [f"the body is not JSON from line 1, column {column} on"]
