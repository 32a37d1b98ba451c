"""The addresses of each environment; reference sections 1.1, 1.3 and 8.1."""

import pytest

from sidecar.microsoft.endpoints import Endpoints, endpoints_of


def test_production():
    assert endpoints_of("production", "common", {}) == Endpoints(
        campaign="https://campaign.api.bingads.microsoft.com",
        customer="https://clientcenter.api.bingads.microsoft.com",
        authority="https://login.microsoftonline.com/common",
        scope="https://ads.microsoft.com/msads.manage",
    )


def test_sandbox_signs_in_at_the_same_host_with_a_scope_of_its_own():
    assert endpoints_of("sandbox", "consumers", {}) == Endpoints(
        campaign="https://campaign.api.sandbox.bingads.microsoft.com",
        customer="https://clientcenter.api.sandbox.bingads.microsoft.com",
        authority="https://login.microsoftonline.com/consumers",
        scope="https://si.ads.microsoft.com/msads.manage",
    )


def test_override_takes_the_place_of_one_address():
    endpoints = endpoints_of("production", "common", {"customer": "https://proxy.example"})
    assert endpoints.customer == "https://proxy.example"
    assert endpoints.campaign == "https://campaign.api.bingads.microsoft.com"


def test_emulator_lives_where_it_was_started():
    base = "https://127.0.0.1:9443"
    addresses = {"campaign": base, "customer": base, "authority": f"{base}/common"}
    assert endpoints_of("emulator", "common", addresses) == Endpoints(
        base, base, f"{base}/common", "https://ads.microsoft.com/msads.manage"
    )


def test_emulator_without_addresses_never_falls_back_to_microsoft():
    with pytest.raises(KeyError, match="customer"):
        endpoints_of(
            "emulator", "common", {"campaign": "https://127.0.0.1:1", "authority": "https://127.0.0.1:1/common"}
        )
