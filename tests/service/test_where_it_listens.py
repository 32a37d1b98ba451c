"""Where it listens: at each kind of address the line to paste works and its conversion is accepted."""

import socket
from urllib.parse import urlsplit

import pytest
from process_kit.service import Services, config

ORDER = {"event": "purchase", "order_id": "ORDER-1", "value": 1, "msclkid": "1" * 32}


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "[::1]", "0:0:0:0:0:0:0:1"])
async def test_address_of_ipv6_that_is_listened_on_may_be_called(services: Services, host: str) -> None:
    sidecar = await services.start(config(None, server={"host": host}))
    assert sidecar.url.startswith("http://[::1")
    assert (await sidecar.post(ORDER)).status == 202
    assert (await sidecar.post(ORDER, Host="evil.example")).status == 421


@pytest.mark.parametrize("host", ["127.0.0.2", "localhost", "::ffff:127.0.0.1"])
async def test_any_address_of_this_machine_that_is_listened_on_may_be_called(services: Services, host: str) -> None:
    sidecar = await services.start(config(None, server={"host": host, "allowed_hosts": ["sidecar.example"]}))
    assert (await sidecar.post(ORDER)).status == 202
    assert (await sidecar.post(ORDER, Host="sidecar.example")).status == 200
    assert (await sidecar.post(ORDER, Host="192.0.2.1")).status == 421


@needs_ipv6
async def test_every_address_of_ipv6_takes_ipv4_too(services: Services) -> None:
    sidecar = await services.start(config(None, server={"host": "::", "api_keys": ["test-key-of-ours"]}))
    sidecar.key, port = "test-key-of-ours", urlsplit(sidecar.url).port
    for address in ("127.0.0.1", "[::1]"):
        sidecar.url = f"http://{address}:{port}"
        assert (await sidecar.post(ORDER)).status in (200, 202)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_every_address_is_shown_as_one_that_works_from_here(services: Services, host: str) -> None:
    if host == "::" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    sidecar = await services.start(config(None, server={"host": host, "api_keys": ["test-key-of-ours"]}))
    sidecar.key = "test-key-of-ours"
    assert (await sidecar.post(ORDER)).status == 202
