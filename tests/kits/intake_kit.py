"""Reads one item the way a request is read, for the tests of intake."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sidecar.core.conversion import Conversion
from sidecar.core.instant import UnixMillis
from sidecar.core.intake.conversion import Accepted, EventRule, Reading, RejectedItem, Rules, read
from sidecar.core.intake.json_text import parse

NOW = UnixMillis(1_795_000_000_500)  # 2026-11-18T11:06:40.500Z
SECOND = 1_795_000_000
DAY = 86_400
CLICK = "f894f652ea334e739002f7167ab8f8e3"
OTHER_CLICK = "0123456789abcdefABCDEF0123456789"
JOHN = "ec81f3ac7b2b19675bab9d54cf416f9f18cff87c97da5cca82c0f0891bc40602"
PHONE = "c59475d96e9f01d7d18d06cfad84dd02333207f02c0c2c5663ef2782cda0390e"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
RULES = Rules(
    events={
        "purchase": EventRule("Sidecar Purchase", currency="USD"),
        "lead": EventRule("Sidecar Lead"),
        "signup": EventRule("Sidecar Signup", value=Decimal("2.50"), currency="EUR"),
    },
    accounts=("default",),
)
TWO_ACCOUNTS = replace(
    RULES,
    events={"purchase": EventRule("Sidecar Purchase", account="north"), "lead": EventRule("Sidecar Lead")},
    accounts=("north", "south"),
)


def reading(rules: Rules = RULES, idempotency_key: str | None = None, **given: Any) -> Reading:
    """A good conversion with `given` laid over it; written as JSON and read back, as a request is."""
    item = {"event": "purchase", "order_id": "A-1", "msclkid": CLICK} | given
    return read(parse(json.dumps(item).encode()), now=NOW, rules=rules, idempotency_key=idempotency_key)


def accepted(rules: Rules = RULES, idempotency_key: str | None = None, **given: Any) -> Conversion:
    result = reading(rules, idempotency_key, **given)
    assert isinstance(result, Accepted), result
    assert result.warnings == ()
    return result.conversion


def warned(**given: Any) -> tuple[Conversion, list[tuple[str, str]]]:
    result = reading(**given)
    assert isinstance(result, Accepted), result
    assert all(warning.message for warning in result.warnings)
    return result.conversion, [(warning.code, warning.field) for warning in result.warnings]


def problems(rules: Rules = RULES, idempotency_key: str | None = None, **given: Any) -> list[tuple[str, str]]:
    result = reading(rules, idempotency_key, **given)
    assert isinstance(result, RejectedItem), result
    assert all(problem.message for problem in result.problems)
    return [(problem.field, problem.code) for problem in result.problems]


def message(rules: Rules = RULES, **given: Any) -> str:
    result = reading(rules, **given)
    assert isinstance(result, RejectedItem)
    (problem,) = result.problems
    return problem.message


def raw(text: str) -> Reading:
    """Reads JSON whose numbers are written as no Python number would be."""
    return read(parse(text.encode()), now=NOW, rules=RULES)
