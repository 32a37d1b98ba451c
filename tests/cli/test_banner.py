"""The first words: an address, where the key is, and a line that a shell takes as it stands."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.service.banner import Configured, Key, NewKey, Open, StoredKey, Try, lines

URL = "http://127.0.0.1:8077"
FIRST = Try("purchase", "USD", None, 2.0)
FILE = Path("/data/it's here/outbox.db.api-key")


def curl(text: str) -> list[str]:
    """The words of the pasted line, as a shell reads them."""
    [line] = [line for line in text.splitlines() if "curl" in line]
    return shlex.split(line)


@pytest.mark.parametrize(
    ("key", "header"),
    [
        (NewKey("test-key-1", FILE), "Authorization: Bearer test-key-1"),
        (StoredKey(None), "Authorization: Bearer $SIDECAR_API_KEY"),
        (StoredKey(Path("/data/outbox.db.api-key")), "Authorization: Bearer $(cat /data/outbox.db.api-key)"),
        (Configured(), "Authorization: Bearer $SIDECAR_API_KEY"),
    ],
)
def test_both_calls_carry_the_key(key: Key, header: str) -> None:
    words = curl(lines(URL, key, "its own emulator", FIRST))
    assert words.count(header) == 2
    assert "export SIDECAR_API_KEY" in lines(URL, key, "its own emulator", FIRST) or not isinstance(key, Configured)


def test_without_keys_there_is_no_header() -> None:
    assert "Authorization" not in lines(URL, Open(), "its own emulator", FIRST)


def test_key_is_shown_only_when_it_was_made_just_now() -> None:
    assert "test-key-1" in lines(URL, NewKey("test-key-1", FILE), None, FIRST)
    assert str(FILE) in lines(URL, StoredKey(FILE), None, FIRST)
    assert "test-key-1" not in repr(NewKey("test-key-1", FILE))


@pytest.mark.parametrize("event", ["purchase", "it's won", 'say "hi"', "größer & <$HOME>"])
def test_body_survives_the_shell_with_any_event_name(event: str) -> None:
    words = curl(lines(URL, Open(), "its own emulator", replace(FIRST, event=event)))
    body = json.loads(words[words.index("-d") + 1])
    assert (body["event"], body["order_id"], body["currency"]) == (event, "FIRST-1", "USD")
    assert "consent" not in body


def test_consent_is_given_where_its_absence_would_skip_the_conversion() -> None:
    words = curl(lines(URL, Open(), "its own emulator", replace(FIRST, consent="granted")))
    assert json.loads(words[words.index("-d") + 1])["consent"] == "granted"


def test_it_waits_longer_than_the_batch_lingers() -> None:
    words = curl(lines(URL, Open(), "its own emulator", replace(FIRST, linger_seconds=30.5)))
    assert int(words[words.index("sleep") + 1]) > 31


def test_nothing_is_sent_to_microsoft_for_a_try() -> None:
    message = lines(URL, Open(), None, FIRST)
    assert "curl" not in message
    assert f"{URL}/connect" in message


def test_address_of_ipv6_is_quoted() -> None:
    assert "'http://[::1]:8077/v1/conversions'" in lines("http://[::1]:8077", Open(), "its own emulator", FIRST)
