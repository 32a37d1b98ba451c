"""`sidecar erase` asks first, follows the erasure to its end, and says what it removed."""

import json
from pathlib import Path

import pytest
import requests
from cli_kit import CLICK_ID, Service, sidecar


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name exactly one of"),
        (["--email", "a@contoso.com", "--order", "A"], "name exactly one of"),
        (["--country", "DE"], "name exactly one of"),
        (["--order", "A"], "there is no terminal to ask at: add --yes"),
        (["--order", "A", "--json"], "there is no terminal to ask at: add --yes"),
    ],
)
def test_erase_wants_one_person_and_a_yes(arguments: list[str], message: str) -> None:
    result = sidecar("erase", *arguments)
    assert (result.exit_code, message in result.output) == (2, True)


def test_erase_follows_to_the_end_and_shows_what_it_removed(tmp_path: Path) -> None:
    service = Service(tmp_path)
    with service.running():
        body = {"event": "purchase", "order_id": "A", "value": 5, "msclkid": CLICK_ID, "visitor_id": "v-1"}
        click = {"visitor_id": "v-1", "msclkid": CLICK_ID}
        requests.post(f"{service.url}/v1/clicks", json=click, timeout=60)
        requests.post(f"{service.url}/v1/conversions", json=body, timeout=60)
        done = sidecar("erase", "--visitor", "v-1", "--yes", url=service.url)
        as_json = sidecar("erase", "--order", "A", "--yes", "--json", url=service.url)
        refused = sidecar("erase", "--email", "nobody", "--yes", url=service.url)
    assert done.exit_code == 0
    assert "erasure_1 is done: 1 conversions" in done.output and "1 clicks" in done.output
    assert json.loads(as_json.output)["by"] == "order"
    assert (refused.exit_code, "email: " in refused.output) == (1, True)
