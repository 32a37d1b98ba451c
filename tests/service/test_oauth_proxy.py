"""The sign-in's way to Microsoft: the same proxies as uploads, and the same words where it ends on the way."""

import socket
import ssl

import pytest
from proxy_double import proxy
from sign_in_double import CERTIFICATE, SCOPE, Clock, Double, Store, Watch, double, running, source_of, trusting

from sidecar.emulator.tls import make_certificate, server_context
from sidecar.microsoft.oauth import Application, OAuthClient
from sidecar.microsoft.proxy_settings import ProxySettings
from sidecar.microsoft.sign_in_errors import Remedy, SignInFailed, SignInFailure, of_interactive
from sidecar.troubles import CATALOGUE

HOST = "login.example"


@pytest.fixture
async def microsoft():  # type: ignore[no-untyped-def]
    async with double() as it:
        yield it


def sign_in(
    proxies: ProxySettings | None, host: str = HOST, tls: ssl.SSLContext | None = None, call_seconds: float = 60.0
) -> OAuthClient:
    """As the double's own, but for the host: one that only a proxy leads to."""
    application = Application(f"https://{host}/common", "test-client", "http://localhost:8077/oauth/callback", SCOPE)
    return OAuthClient(application, tls or trusting(), call_seconds, proxies)


async def failed(asked: OAuthClient) -> SignInFailure:
    with pytest.raises(SignInFailed) as caught:
        await asked.refresh("test-refresh-1")
    failure = caught.value.failure
    assert "test-" not in failure.message
    assert failure.remedy is Remedy.WAIT
    assert failure.message.startswith(CATALOGUE[failure.trouble].title)
    return failure


def through(port: int, login: str = "", scheme: str = "") -> ProxySettings:
    return ProxySettings.of({"HTTPS_PROXY": f"{scheme}{login}localhost:{port}"})


# --- Through a proxy that works --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["", "http://", "https://"])
async def test_sign_in_goes_through_the_proxy_that_uploads_take(
    scheme: str, microsoft: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = server_context(CERTIFICATE) if scheme == "https://" else None
    async with proxy(microsoft.port, tls=tls) as between:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}user:schl%C3%BCssel@localhost:{between.port}")
        monkeypatch.setenv("NO_PROXY", "elsewhere.example")
        found = await failed(sign_in(None))
    assert "test" not in str(between.heads)
    assert all(head.startswith(f"CONNECT {HOST}:443 ") for head in between.heads)
    assert "Proxy-Authorization: Basic dXNlcjpzY2hsw7xzc2Vs\r\n" in between.heads[0]
    assert found.trouble == "tls_failed", "the tunnel stands: it is the double's certificate that is for another name"


async def test_this_machine_is_asked_directly(microsoft: Double) -> None:
    application = Application(microsoft.authority, "test-client", "", SCOPE)
    asked = OAuthClient(application, trusting(), proxies=ProxySettings.of({"ALL_PROXY": "socks5://proxy.example"}))
    assert (await asked.refresh("test-refresh-1")).access_token == "test-access-2"


# --- One that does not -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "trouble", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "proxy_login", "refused to connect: HTTP 407"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "proxy_unusable", "refused to connect: HTTP 403"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "proxy_unusable", "the proxy"),
        (b"", "proxy_unusable", "the proxy"),
    ],
)
async def test_a_proxy_that_does_not_lead_there_is_distinguished_from_microsoft(
    said: bytes, trouble: str, words: str
) -> None:
    async with proxy(says=said) as between:
        failure = await failed(sign_in(through(between.port)))
    assert failure.trouble == trouble
    assert words in failure.message
    assert of_interactive(failure) == failure, "a person who signs in gets the same failure"


async def test_a_proxy_out_of_reach_is_reported(unused_tcp_port: int) -> None:
    failure = await failed(sign_in(through(unused_tcp_port)))
    assert failure.trouble == "proxy_unusable"
    assert "cannot be reached" in failure.message


async def test_a_name_that_is_not_found_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    failure = await failed(sign_in(ProxySettings()))
    assert failure.trouble == "name_not_found"
    assert "host was not found (DNS): Name or service not known" in failure.message
    failure = await failed(sign_in(ProxySettings.of({"HTTPS_PROXY": "proxy.example:3128"})))
    assert failure.trouble == "proxy_unusable"
    assert "the name of the proxy was not found (DNS)" in failure.message


async def test_a_refused_certificate_is_reported_with_openssls_reason(microsoft: Double) -> None:
    others = ssl.create_default_context(cadata=make_certificate(["localhost"]).ca_pem)
    failure = await failed(sign_in(ProxySettings(), f"localhost:{microsoft.port}", others))
    assert failure.trouble == "tls_failed"
    assert "certificate is not trusted; see microsoft.ca_bundle: " in failure.message
    assert failure.message.rsplit(": ", 1)[1], "the reason"


async def test_what_speaks_no_tls_is_reported(microsoft: Double) -> None:
    async with proxy(says=b"HTTP/1.1 400 Bad Request\r\n\r\n") as plain:
        failure = await failed(sign_in(ProxySettings(), f"localhost:{plain.port}", call_seconds=0.5))
    assert failure.trouble in ("tls_failed", "sign_in_unavailable")


async def test_another_trouble_on_the_way_takes_the_place_of_the_one_before(microsoft: Double) -> None:
    clock, watch = Clock(), Watch()
    async with (
        proxy(says=b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as between,
        running(source_of(sign_in(through(between.port)), Store(), clock, watch)),
    ):
        text = await watch.until(lambda connection: connection.trouble == "proxy_login")
        assert text.retry_at == clock.now() + 1_000
        between.says = b"HTTP/1.1 403 Forbidden\r\n\r\n"
        clock.advance(1)
        await watch.until(lambda connection: connection.trouble == "proxy_unusable")
