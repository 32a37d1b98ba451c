"""What the catalogue says of each trouble, and that nothing else in the package does."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sidecar
from sidecar.core.conversion import Kind
from sidecar.core.goals.mapping import MappingState
from sidecar.core.states_and_reasons import Reason
from sidecar.troubles import BY_REASON, CATALOGUE, REFUSED, End, HealthCheck, Scope, Severity, Trouble

PACKAGE = Path(sidecar.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "troubles.py")


def collections(tree: ast.AST) -> Iterator[list[ast.expr | None]]:
    """The members of every list, set, tuple and pattern; of a dict its keys and its values."""
    for node in ast.walk(tree):
        match node:
            case ast.List(elts=members) | ast.Set(elts=members) | ast.Tuple(elts=members):
                yield [*members]
            case ast.Dict(keys=keys, values=values):
                yield keys
                yield [*values]
            case ast.MatchOr(patterns=patterns):
                yield [one.value for one in patterns if isinstance(one, ast.MatchValue)]
            case _:
                pass


def listed(tree: ast.AST) -> list[tuple[int, list[str]]]:
    """Where two troubles or more stand together, by line."""
    found = []
    for members in collections(tree):
        constants = [one for one in members if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        codes = {one.value for one in constants} & CATALOGUE.keys()
        if len(codes) > 1:
            found.append((constants[0].lineno, sorted(codes)))
    return found


def test_nothing_outside_the_catalogue_lists_codes() -> None:
    assert len(MODULES) > 200
    lists = {str(path.relative_to(PACKAGE)): listed(ast.parse(path.read_text())) for path in MODULES}
    assert {path: found for path, found in lists.items() if found} == {}


@pytest.mark.parametrize(
    "code",
    [
        'x = {"throttled": "delivery", "goal_paused": "goals"}',
        'x = {"A": "throttled", "B": "goal_paused"}',
        'x = frozenset(("throttled", "goal_paused"))',
        'x = y in ["throttled", "goal_paused"]',
        'match x:\n    case "throttled" | "goal_paused":\n        pass',
    ],
)
def test_list_of_codes_is_found(code: str) -> None:
    assert [codes for _, codes in listed(ast.parse(code))] == [["goal_paused", "throttled"]]


def test_trouble_without_its_health_check_is_refused() -> None:
    rest = {"severity": Severity.ERROR, "scope": Scope.ROW, "ends": End.TIME, "waits_for": None}
    with pytest.raises(TypeError, match="check"):
        Trouble("code", "title", "cause", "solution", **rest)  # type: ignore[arg-type]


def test_state_of_a_mapping_is_the_code_of_a_goal_s_trouble() -> None:
    troubles = {state.value for state in MappingState if state.is_trouble}
    assert troubles == set(MappingState) - {"ok", "unknown"}
    assert {CATALOGUE[code].scope for code in troubles} == {Scope.GOAL}


def test_reasons_that_rows_can_wait_or_end_for_are_explained_by_one_trouble_each() -> None:
    explained = [trouble.explains for trouble in CATALOGUE.values() if trouble.explains is not None]
    assert len(explained) == len(set(explained)) == len(BY_REASON)
    passing = {Reason.NOT_YET, Reason.DISCARDED, Reason.RETRACTED, Reason.SUPERSEDED, Reason.APPLIED_BEFORE_UPLOAD}
    assert set(Reason) - set(explained) == passing
    assert {kind: trouble.code for kind, trouble in REFUSED.items()} == {
        Kind.CONVERSION: "row_refused",
        Kind.ADJUSTMENT: "adjustment_refused",
    }


def test_trouble_that_rows_of_an_account_wait_for_stops_the_account() -> None:
    """Else it would stand beside deliveries, or rows would wait for what no message names."""
    wide = {Scope.SERVICE, Scope.NETWORK, Scope.ACCOUNT}
    holding = {one.code for one in CATALOGUE.values() if one.scope in wide and one.waits_for is not None}
    stopping = {one.code for one in CATALOGUE.values() if one.stops_account}
    assert holding <= stopping
    assert stopping - holding == {"sign_in_unsuccessful", "loop_failed"}  # one is only logged, one ends by itself too


def test_way_to_microsoft_is_the_sign_in_s_where_no_account_met_it() -> None:
    for trouble in CATALOGUE.values():
        expected = HealthCheck.TOKEN if trouble.scope is Scope.NETWORK else trouble.check
        assert (trouble.check_of("main"), trouble.check_of(None)) == (trouble.check, expected)


def test_while_signing_in_another_trouble_of_the_catalogue_is_reported() -> None:
    others = {one.while_signing_in for one in CATALOGUE.values()} - {None}
    assert others and others <= CATALOGUE.keys()
