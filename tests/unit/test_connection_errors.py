"""Uploads that got no answer: whether any of the request had left, which trouble it is, and in which words."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import aiohttp
import client_kit
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from client_kit import CREDENTIALS, ENTRY, Recorder, clean, microsoft, peer, replying
from msgspec import structs
from proxy_double import proxy

from sidecar.core.answer import Lost, Taken
from sidecar.core.entry import Entry
from sidecar.core.instant import UnixSeconds
from sidecar.emulator.tls import make_certificate, server_context
from sidecar.microsoft.client import Client, Credentials, open_client
from sidecar.microsoft.connection_errors import explain_upload_error
from sidecar.microsoft.proxy_settings import ProxySettings
from sidecar.troubles import CATALOGUE

HOST = "campaign.example"
CERTIFICATE = make_certificate([HOST, "localhost"])
TRUSTING = ssl.create_default_context(cadata=CERTIFICATE.ca_pem)
TRUSTS_OTHERS = ssl.create_default_context(cadata=make_certificate([HOST]).ca_pem)


def through(port: int, scheme: str = "http", login: str = "") -> ProxySettings:
    return ProxySettings.of({"HTTPS_PROXY": f"{scheme}://{login}localhost:{port}"})


async def upload(
    base: str,
    proxies: ProxySettings | None = None,
    *,
    tls: ssl.SSLContext = TRUSTING,
    seconds: float = 5,
    credentials: Credentials = CREDENTIALS,
    entry: Entry = ENTRY,
) -> object:
    async with open_client(base, tls, lambda: seconds, proxies=proxies or ProxySettings()) as client:
        return await client.apply(credentials, [entry])


def unsent(answer: object, trouble: str, words: str) -> None:
    assert isinstance(answer, Lost)
    assert (answer.sent, answer.trouble) == (False, trouble)
    assert words in answer.why
    assert "test-" not in answer.why
    assert trouble in CATALOGUE


@contextlib.asynccontextmanager
async def tls_server(recorder: Recorder) -> AsyncIterator[int]:
    async with microsoft(recorder, server_context(CERTIFICATE)) as base:
        yield int(base.rsplit(":", 1)[1])


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@contextlib.asynccontextmanager
async def listening(talk: object = silent) -> AsyncIterator[int]:
    """A server that reads no head first; gives its port."""
    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:  # type: ignore[arg-type]
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def closed_port() -> Iterator[int]:
    with client_kit.closed_port() as port:
        yield port


# --- Through a proxy that works --------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["localhost:{}", "http://localhost:{}", "https://localhost:{}"])
async def test_uploads_go_through_the_proxy_of_the_environment_however_it_is_written(
    written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(clean)
    tls = server_context(CERTIFICATE) if written.startswith("https") else None
    async with tls_server(recorder) as port, proxy(port, tls=tls) as between:
        monkeypatch.setenv("HTTPS_PROXY", written.format(between.port))
        async with open_client(f"https://{HOST}", TRUSTING, lambda: 5) as client:
            answer = await client.apply(CREDENTIALS, [ENTRY])
    assert isinstance(answer, Taken)
    assert len(recorder.requests) == 1
    assert [head.split("\r\n")[0] for head in between.heads] == [f"CONNECT {HOST}:443 HTTP/1.1"]


async def test_the_proxy_gets_user_and_password_and_nothing_that_is_meant_for_microsoft() -> None:
    recorder = Recorder(clean)
    async with tls_server(recorder) as port, proxy(port) as between:
        proxies = through(between.port, login="user:schl%C3%BCssel%40@")
        assert isinstance(await upload(f"https://{HOST}", proxies), Taken)
    assert "Proxy-Authorization: Basic dXNlcjpzY2hsw7xzc2VsQA==\r\n" in between.heads[0]
    assert "test-" not in between.heads[0]
    assert "Proxy-Authorization" not in recorder.requests[0][2]


async def test_hosts_of_no_proxy_and_this_machine_are_reached_directly(closed_port: int) -> None:
    recorder = Recorder(clean)
    async with tls_server(recorder) as port:
        assert isinstance(await upload(f"https://localhost:{port}", through(closed_port)), Taken)
    around = ProxySettings.of({"ALL_PROXY": f"localhost:{closed_port}", "NO_PROXY": HOST})
    assert around.for_url(f"https://{HOST}") is None


# --- Before anything left --------------------------------------------------------------------------------------------


class NoNames(AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("proxies", "trouble", "words"),
    [
        (None, "name_not_found", "Microsoft's host was not found (DNS): Name or service not known"),
        ("proxy.example:3128", "proxy_unusable", "the proxy was not found (DNS): Name or service not known"),
    ],
)
async def test_a_name_that_is_not_found_is_a_trouble_of_its_own(proxies: str | None, trouble: str, words: str) -> None:
    found = ProxySettings.of({"HTTPS_PROXY": proxies or ""}).for_url(f"https://{HOST}")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=NoNames())) as session:
        answer = await Client(session, f"https://{HOST}", lambda: 5, found).apply(CREDENTIALS, [ENTRY])
    unsent(answer, trouble, words)


async def test_a_refused_connection_is_reported_as_such(closed_port: int) -> None:
    unsent(await upload(f"https://localhost:{closed_port}"), "unreachable", "no connection: Connection refused")


async def test_time_that_runs_out_during_the_handshake_left_nothing() -> None:
    async with listening() as port:
        unsent(await upload(f"https://localhost:{port}", seconds=0.2), "unreachable", "no connection in time")


@pytest.mark.parametrize(
    ("tls", "words"), [(TRUSTS_OTHERS, "not trusted; see microsoft.ca_bundle: "), (TRUSTING, "not trusted")]
)
async def test_a_refused_certificate_has_its_own_trouble_and_openssls_reason(tls: ssl.SSLContext, words: str) -> None:
    recorder = Recorder(clean)
    async with tls_server(recorder) as port:
        host = "localhost" if tls is TRUSTS_OTHERS else "127.0.0.1"
        unsent(await upload(f"https://{host}:{port}", tls=tls), "tls_failed", words)
    assert recorder.requests == []


async def test_what_speaks_no_tls_has_the_same_trouble() -> None:
    async with microsoft(Recorder(clean)) as base:
        unsent(await upload(base.replace("http:", "https:")), "tls_failed", "the TLS handshake failed: ")
        async with proxy(int(base.rsplit(":", 1)[1])) as between:
            answer = await upload(f"https://{HOST}", through(between.port))
    unsent(answer, "tls_failed", "the TLS handshake failed: ")


@pytest.mark.parametrize(
    ("message", "trouble", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "proxy_login", "HTTP 407"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "proxy_unusable", "HTTP 403"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "proxy_unusable", "HTTP 502"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://hotel.example\r\n\r\n", "proxy_unusable", "HTTP 302"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "proxy_unusable", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: ", "proxy_unusable", "broke off"),
        (b"", "proxy_unusable", "broke off"),
    ],
)
async def test_a_proxy_that_does_not_lead_there_is_distinguished_from_microsoft(
    message: bytes, trouble: str, words: str
) -> None:
    async with proxy(says=message) as between:
        unsent(await upload(f"https://{HOST}", through(between.port)), trouble, words)


async def test_a_proxy_out_of_reach_or_silent_is_no_fault_of_microsofts(closed_port: int) -> None:
    away = await upload(f"https://{HOST}", through(closed_port))
    unsent(away, "proxy_unusable", "the proxy cannot be reached: Connection refused")
    async with proxy() as between:
        answer = await upload(f"https://{HOST}", through(between.port), seconds=0.3)
    unsent(answer, "proxy_unusable", "the proxy made no connection in time")


async def test_a_certificate_is_refused_behind_a_proxy_as_without_one() -> None:
    async with tls_server(Recorder(clean)) as port, proxy(port) as between:
        answer = await upload(f"https://{HOST}", through(between.port), tls=TRUSTS_OTHERS)
    unsent(answer, "tls_failed", "not trusted")


@pytest.mark.parametrize("base", ["https://", "https://exa mple.example", "https://[::1", "https://a..example"])
async def test_an_address_that_is_none_left_nothing(base: str) -> None:
    async with aiohttp.ClientSession() as session:
        answer = await Client(session, base, lambda: 5).apply(CREDENTIALS, [ENTRY])
    assert isinstance(answer, Lost)
    assert not answer.sent


@pytest.mark.parametrize(
    "odd",
    [
        {"credentials": replace(CREDENTIALS, access_token="test-\r\nX: y")},
        {"credentials": replace(CREDENTIALS, developer_token="test-\x00")},
        {"entry": structs.replace(ENTRY, sent_time=UnixSeconds(10**15))},
    ],
)
async def test_a_request_that_cannot_be_written_is_our_mistake_and_left_nothing(odd: dict[str, object]) -> None:
    recorder = Recorder(clean)
    async with tls_server(recorder) as port:
        answer = await upload(f"https://localhost:{port}", **odd)  # type: ignore[arg-type]
    unsent(answer, "loop_failed", "the request could not be written")
    assert recorder.requests == []


# --- After something left --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [(), (b"HTTP/1.1 200 OK\r\nContent-Le",), (b"rubbish\r\n\r\n",)])
async def test_any_failure_after_rows_have_left_may_have_been_applied(message: tuple[bytes, ...]) -> None:
    async with peer(replying(*message)) as base:
        answer = await upload(base)
    assert isinstance(answer, Lost)
    assert (answer.sent, answer.trouble) == (True, "unreachable")


async def test_a_proxy_that_breaks_off_later_is_reported_as_a_broken_connection() -> None:
    async def reads_the_rows(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    async with (
        await asyncio.start_server(reads_the_rows, "127.0.0.1", 0, ssl=server_context(CERTIFICATE)) as server,
        proxy(server.sockets[0].getsockname()[1]) as between,
    ):
        answer = await upload(f"https://{HOST}", through(between.port))
    assert isinstance(answer, Lost)
    assert (answer.sent, answer.trouble) == (True, "unreachable")


# --- Every exception of aiohttp --------------------------------------------------------------------------------------


def subclasses(kind: type[BaseException]) -> set[type[BaseException]]:
    return {kind}.union(*(subclasses(one) for one in kind.__subclasses__()))


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("proxied", [True, False])
def test_each_exception_of_aiohttp_has_words_and_a_trouble_of_the_catalogue(begun: bool, proxied: bool) -> None:
    """Made without its arguments: what it is called decides, and nothing of it may be missing for the words."""
    for kind in sorted(subclasses(aiohttp.ClientError) | {OSError, TimeoutError, ValueError}, key=str):
        error = kind.__new__(kind)
        for name, value in (("_os_error", OSError(111, "x")), ("status", 500), ("_certificate_error", ValueError())):
            with contextlib.suppress(AttributeError):
                setattr(error, name, value)
        found = explain_upload_error(error, 5, begun=begun, proxied=proxied)  # type: ignore[arg-type]
        assert found.why
        assert found.trouble is None or found.trouble in CATALOGUE
        assert not begun or found.trouble is None
