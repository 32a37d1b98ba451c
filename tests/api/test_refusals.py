"""What is told of refusals: items are warnings that name their orders, calls that brought nothing are not."""

from typing import Any

import pytest
from api_kit import Api

from sidecar.ports.journal import JournalQuery


async def journal_lines(api: Api) -> list[tuple[str, str, str]]:
    """Name, level and message of what was kept, oldest first, ten seconds later."""
    api.world.now += 10_000
    journal = api.store.journal
    await api.telemetry.flush(journal)
    page = await journal.read(JournalQuery(limit=100))
    return [(one.entry.name, one.entry.level, one.entry.message) for one in reversed(page.items)]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1/conversion", "not_found"),
        ("DELETE", "/v1/conversions", "method_not_allowed"),
        ("GET", "/v1/conversions?limit=0", None),
        ("GET", "/nothing", "not_found"),
    ],
)
async def test_typo_of_a_caller_is_no_warning(api: Api, method: str, path: str, code: str | None) -> None:
    assert (await api.call(method, path)).status >= 400
    ((name, level, message),) = await journal_lines(api)
    assert (name, level) == ("call_refused", "info")
    assert code is None or message.endswith(f": {code}")


@pytest.mark.parametrize("path", ["/v1/conversions/conv_9", "/v1/orders/R-9/explain", "/v1/adjustments/adj_9"])
async def test_look_up_of_what_is_not_there_is_not_even_kept(api: Api, path: str) -> None:
    assert (await api.get(path)).status == 404
    assert await journal_lines(api) == []


async def test_trial_of_a_conversion_refuses_none(api: Api) -> None:
    assert (await api.post({"event": 1}, "/v1/validate")).status == 200
    assert (await api.post(b"{", "/v1/validate")).status == 400
    assert [(name, level) for name, level, _ in await journal_lines(api)] == [("call_refused", "info")]


async def test_single_item_that_is_refused_names_its_order_once(api: Api, conversion: dict[str, Any]) -> None:
    assert (await api.post({**conversion, "event": "nothing", "order_id": "R-1"})).status == 422
    assert await journal_lines(api) == [("refused", "warning", "1 refused: unknown_event (order R-1)")]


async def test_conflict_names_its_order(api: Api, conversion: dict[str, Any]) -> None:
    await api.post(conversion)
    assert (await api.post({**conversion, "value": 1})).status == 409
    assert await journal_lines(api) == [("refused", "warning", "1 refused: conflict (order ORDER-1)")]


async def test_refused_items_of_an_array_name_theirs_by_code(api: Api, conversion: dict[str, Any]) -> None:
    bad = [{**conversion, "event": "nothing", "order_id": f"R-{number}"} for number in range(7)]
    assert (
        await api.post([*bad, {**conversion, "value": "x", "order_id": "V"}, conversion, "no object"])
    ).status == 207
    messages = {message for _, _, message in await journal_lines(api)}
    assert "7 refused: unknown_event (orders R-0, R-1, R-2, R-3, R-4 and 2 more)" in messages
    assert any(message.endswith(" (order V)") for message in messages)


async def test_adjustments_that_are_refused_name_theirs(api: Api) -> None:
    assert (await api.post({"order_id": "R-1", "type": "retract"}, "/v1/adjustments")).status == 404
    many = [{"order_id": "R-2", "type": "retract"}, {"order_id": "R-3", "type": "nothing"}]
    assert (await api.post(many, "/v1/adjustments")).status == 422
    found = await journal_lines(api)
    assert {level for _, level, _ in found} == {"warning"}
    assert "2 refused: no_such_conversion (orders R-1, R-2)" in {message for _, _, message in found}


async def test_request_with_items_that_cannot_be_read_is_a_warning(api: Api) -> None:
    for path in ("/v1/conversions", "/v1/adjustments", "/v1/clicks"):
        assert (await api.post(b"{", path)).status == 400
    assert await journal_lines(api) == [("refused", "warning", "3 refused: malformed_body")]
