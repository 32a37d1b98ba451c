"""Which proxy the environment names for which address, in every way that people write it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.microsoft.proxy_settings import Proxy, ProxySettings, UnusableProxy

MICROSOFT = "https://campaign.api.bingads.microsoft.com"


def basic(text: str | bytes) -> str:
    return "Basic " + base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


@pytest.mark.parametrize(
    ("value", "address", "authorization"),
    [
        ("http://proxy:3128", "http://proxy:3128", None),
        ("http://proxy:3128/", "http://proxy:3128", None),
        ("HTTP://proxy:3128", "http://proxy:3128", None),
        ("proxy:3128", "http://proxy:3128", None),
        ("//proxy:3128", "http://proxy:3128", None),
        ("proxy", "http://proxy:80", None),
        ("https://proxy", "https://proxy:443", None),
        (" proxy.example.com:8080 \n", "http://proxy.example.com:8080", None),
        ("10.0.0.7:3128", "http://10.0.0.7:3128", None),
        ("[fd00::1]:3128", "http://[fd00::1]:3128", None),
        ("http://proxy.münchen.example:3128", "http://proxy.xn--mnchen-3ya.example:3128", None),
        ("user:test-password@proxy:3128", "http://proxy:3128", basic("user:test-password")),
        ("http://user:p%40ss%3A%25@proxy:3128", "http://proxy:3128", basic("user:p@ss:%")),
        ("http://user:p@ss@proxy:3128", "http://proxy:3128", basic("user:p@ss")),
        ("http://DOMAIN%5Cuser:x@proxy:3128", "http://proxy:3128", basic("DOMAIN\\user:x")),
        ("http://user:schl%C3%BCssel@proxy:3128", "http://proxy:3128", basic("user:schlüssel")),
        ("http://user:schlüssel@proxy:3128", "http://proxy:3128", basic("user:schlüssel")),
        ("http://user:%E4@proxy:3128", "http://proxy:3128", basic(b"user:\xe4")),
        ("http://user@proxy:3128", "http://proxy:3128", basic("user:")),
        ("http://user:%E6%9D%B1%0A@proxy:3128", "http://proxy:3128", basic("user:東\n")),
    ],
)
def test_a_proxy_is_read_however_it_is_written(value: str, address: str, authorization: str | None) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        assert ProxySettings.of({variable: value}).for_url(MICROSOFT) == Proxy(address, authorization)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("socks5://proxy:1080", "socks5:// is not supported"),
        ("socks5h://user:test-password@proxy:1080", "socks5h:// is not supported"),
        ("SOCKS4://proxy", "socks4:// is not supported"),
        ("ftp://proxy:21", "ftp:// is not supported"),
        ("http://", "http://host:port"),
        ("http://:3128", "http://host:port"),
        ("http://proxy:port", "http://host:port"),
        ("http://proxy:0", "http://host:port"),
        ("http://proxy:99999", "http://host:port"),
        ("http://proxy 3128", "http://host:port"),
        ("http://user:test#password@proxy:3128", "%23"),
        ("http://user:test/password@proxy:3128", "%2F"),
        ('"http://proxy:3128"', "http://host:port"),
        ("http://[fd00::1:3128", "http://host:port"),
        ("http://proxy:3128/proxy.pac", "PAC"),
        ("http://proxy:3128?a=b", "behind the port"),
        ("fd00::1", "http://host:port"),
        ("http://pro\x00xy:3128", "http://host:port"),
        ("http://" + "ü" * 70 + ":3128", "http://host:port"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words_that_repeat_nothing_of_it(value: str, words: str) -> None:
    for variable in ("HTTPS_PROXY", "all_proxy"):
        with pytest.raises(UnusableProxy) as refused:
            ProxySettings.of({variable: value}).for_url(MICROSOFT)
        assert words in str(refused.value)
        assert str(refused.value).startswith(f"{variable} in the environment")
        assert "test" not in str(refused.value)


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "", "https_proxy": " "}, None),
        ({"HTTP_PROXY": "plain:1", "http_proxy": "plain:1"}, None),
        ({"HTTPS_PROXY": "upper:1", "https_proxy": "lower:1"}, "http://lower:1"),
        ({"HTTPS_PROXY": "upper:1", "https_proxy": ""}, "http://upper:1"),
        ({"HTTPS_PROXY": "upper:1", "all_proxy": "all:1"}, "http://upper:1"),
        ({"HTTPS_PROXY": "", "ALL_PROXY": "all:1"}, "http://all:1"),
        ({"HTTP_PROXY": "socks5://x", "ALL_PROXY": "all:1"}, "http://all:1"),
    ],
)
def test_the_narrower_variable_goes_first_and_lower_case_before_upper(
    environ: dict[str, str], address: str | None
) -> None:
    found = ProxySettings.of(environ).for_url(MICROSOFT)
    assert (found and found.address) == address


@pytest.mark.parametrize(
    "url", ["https://localhost:8443/x", "https://127.0.0.1", "https://127.3.2.1:1", "https://[::1]"]
)
def test_this_machine_is_never_asked_for_through_a_proxy_even_one_that_cannot_be_used(url: str) -> None:
    assert ProxySettings.of({"ALL_PROXY": "socks5://proxy:1080"}).for_url(url) is None


@pytest.mark.parametrize(
    ("without", "url", "direct"),
    [
        ("*", MICROSOFT, True),
        ("microsoft.com", MICROSOFT, True),
        ("MICROSOFT.com", MICROSOFT, True),
        (".microsoft.com", MICROSOFT, True),
        ("*.microsoft.com", MICROSOFT, True),
        ("microsoft.com.", MICROSOFT, True),
        ("campaign.api.bingads.microsoft.com", MICROSOFT, True),
        ("campaign.api.bingads.microsoft.com:443", MICROSOFT, True),
        ("campaign.api.bingads.microsoft.com:8443", MICROSOFT, False),
        ("soft.com", MICROSOFT, False),
        ("example.com,localhost", MICROSOFT, False),
        ("example.com, microsoft.com", MICROSOFT, True),
        ("example.com microsoft.com", MICROSOFT, True),
        (",,", MICROSOFT, False),
        (".", MICROSOFT, False),
        ("emulator", "https://emulator:8443", True),
        ("emulator:8443", "https://emulator:8443", True),
        ("emulator:443", "https://emulator:8443", False),
        ("10.0.0.7", "https://10.0.0.7:8443", True),
        ("10.0.0.70", "https://10.0.0.7", False),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.1.2.3/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.0.0.1", False),
        ("10.0.0.0/8", MICROSOFT, False),
        ("10.0.0.0/abc", "https://10.0.0.1", False),
        ("fd00::1", "https://[fd00:0::1]", True),
        ("[fd00::1]:8443", "https://[fd00::1]:8443", True),
        ("[fd00::1]:8443", "https://[fd00::1]", False),
        ("fd00::/8", "https://[fd12::1]", True),
    ],
)
def test_no_proxy_names_hosts_domains_ports_addresses_and_ranges(without: str, url: str, direct: bool) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        assert (ProxySettings.of({"HTTPS_PROXY": "proxy:3128", variable: without}).for_url(url) is None) is direct


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_read_or_refused(value: str, without: str) -> None:
    proxies = ProxySettings.of({"HTTPS_PROXY": value, "NO_PROXY": without})
    try:
        found = proxies.for_url(MICROSOFT)
    except UnusableProxy as error:
        assert len(value) < 5 or value.strip() not in str(error).removeprefix("HTTPS_PROXY in the environment ")
    else:
        assert found is None or found.address.isascii()


def test_credentials_are_not_shown() -> None:
    proxies = ProxySettings.of({"HTTPS_PROXY": "http://user:test-password@proxy:1"})
    assert "test-password" not in f"{proxies!r} {proxies.for_url(MICROSOFT)!r}"
    assert basic("user:test-password") not in f"{proxies.for_url(MICROSOFT)!r}"
