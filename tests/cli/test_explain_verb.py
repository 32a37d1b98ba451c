"""`sidecar explain` prints the facts of the receipt, for people and as JSON."""

import json
from pathlib import Path

import pytest
import requests
from cli_kit import CLICK_ID, Service, sidecar

from sidecar.cli.receipt_text import lines


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_explain_finds_an_order_and_a_conversion(service: Service) -> None:
    with service.running():
        body = {"event": "purchase", "order_id": "A/1", "value": 9.5, "msclkid": CLICK_ID}
        given = ("--order-id", "A/1", "--value", "9.5", "--msclkid", CLICK_ID)
        sent = sidecar("send", "purchase", *given, "--wait", "60", url=service.url)
        assert sent.exit_code == 0, sent.output  # delivered: its receipt changes no more
        by_order = sidecar("explain", "A/1", url=service.url)
        by_id = sidecar("explain", "conv_1", url=service.url)
        as_json = sidecar("explain", "A/1", "--json", url=service.url)
        nothing = sidecar("explain", "NONE", url=service.url)
        several = sidecar("explain", "NONE", "A/1", "conv_1", url=service.url)
        assert requests.post(f"{service.url}/v1/conversions", json={**body, "value": 5}, timeout=60).status_code == 409
        in_conflict = sidecar("explain", "A/1", url=service.url)
        refused_item = {**body, "order_id": "B/1", "value": "x"}
        assert requests.post(f"{service.url}/v1/conversions", json=[refused_item], timeout=60).status_code == 422
        refused = sidecar("explain", "B/1", url=service.url)
    for printed in (by_order, by_id):
        assert printed.exit_code == 0
        lines = printed.stdout.splitlines()
        assert lines[0].startswith("conv_1: ")
        assert "  order A/1, purchase of account default, 9.5 USD" in lines
        assert "Identifiers: click f894f652" in lines
        assert lines[-1].startswith("  What to do: ")
    assert json.loads(as_json.stdout)["items"][0]["order_id"] == "A/1"
    assert (nothing.exit_code, "There is no such conversion (HTTP 404)" in nothing.output) == (1, True)
    assert "Not stored of this order" in in_conflict.stdout
    assert "purchase was in conflict with what is stored (conflict) at " in in_conflict.stdout
    assert (refused.exit_code, "purchase was refused (not_a_number) at " in refused.output) == (1, True)
    assert several.exit_code == 1
    assert without_verdict(several.stdout) == without_verdict(f"{by_order.stdout}\n{by_id.stdout}")
    assert "NONE: There is no such conversion (HTTP 404)" in several.stderr
    assert CLICK_ID not in by_order.output + as_json.output


def without_verdict(text: str) -> list[str]:
    """The lines without Microsoft's verdict, which may be read meanwhile."""
    lines = text.splitlines()
    return [line for before, line in zip(["", *lines], lines, strict=False) if not before.startswith("What Microsoft")]


def test_receipt_shows_the_verdict_with_its_differences_and_advice() -> None:
    advice = {"reason": "AccountMismatch", "rows": 4, "message": "Another account.", "fix": "Route it."}
    verdict = {"message": "Of 9 rows 5 were attributed.", "differences": ["1 came twice."], "advice": [advice]}
    shown = list(lines({"id": "conv_1", "verdict": verdict}))
    place = shown.index("What Microsoft's report says, by goal and day")
    assert shown[place + 1 : place + 5] == [
        "  Of 9 rows 5 were attributed.",
        "  1 came twice.",
        "  4 AccountMismatch: Another account.",
        "    What to do: Route it.",
    ]
    assert not [line for line in lines({"id": "conv_1", "verdict": None}) if "Microsoft's report" in line]


def test_receipt_shows_the_callers_own_data() -> None:
    assert 'Your own data: {"cart": "Ä 4711"}' in list(lines({"id": "conv_1", "meta": {"cart": "Ä 4711"}}))
    assert not [line for line in lines({"id": "conv_1", "meta": None}) if "Your own data" in line]
