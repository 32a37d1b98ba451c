"""`sidecar clicks` shows whether a visitor's landing hit arrived."""

import json
from pathlib import Path

import pytest
import requests
from cli_kit import CLICK_ID, Service, sidecar


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_clicks_of_a_visitor_are_printed_or_what_to_look_at(service: Service) -> None:
    with service.running():
        other = "0123456789abcdef0123456789abcdef"
        both = [{"visitor_id": "v/1", "msclkid": id_} for id_ in (CLICK_ID, other)]
        assert requests.post(f"{service.url}/v1/clicks", json=both, timeout=60).status_code == 202
        printed = sidecar("clicks", "v/1", url=service.url)
        one = sidecar("clicks", "v/1", "--limit", "1", url=service.url)
        as_json = sidecar("clicks", "v/1", "--account", "default", "--json", url=service.url)
        elsewhere = sidecar("clicks", "v/1", "--account", "other", url=service.url)
        nothing = sidecar("clicks", "v-2", url=service.url)
    assert printed.exit_code == 0
    assert [line.split("  ")[0] for line in printed.stdout.splitlines()] == [other, CLICK_ID]
    assert "account default" in printed.stdout.splitlines()[0]
    assert "There are more than these 1" in one.stdout.splitlines()[-1]
    assert [item["msclkid"] for item in json.loads(as_json.stdout)["items"]] == [other, CLICK_ID]
    for empty in (elsewhere, nothing):
        assert (empty.exit_code, empty.stdout.startswith("No click of this visitor is kept.")) == (0, True)
