"""The address that is shown to people, for each kind of listening address."""

import socket

import pytest

from sidecar.system.listening import reached_at


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("localhost", "localhost"),
        ("::1", "[::1]"),
        ("fe80::1%eth0", "[fe80::1%25eth0]"),
    ],
)
def test_address_is_shown_as_a_url_has_it(host: str, shown: str) -> None:
    assert reached_at(host) == shown


def test_every_address_is_shown_as_one_of_this_machine() -> None:
    assert reached_at("::") == ("127.0.0.1" if socket.has_dualstack_ipv6() else "[::1]")
