"""One request over a real socket to 127.0.0.1: what leaves, and what is made of every way to fail."""

import asyncio
import contextlib
import gzip
import socket
import tracemalloc
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from client_kit import CREDENTIALS, ENTRY, Recorder, clean, client_of, closed_port, lost, microsoft, peer, replying
from promises import Show

from sidecar.core.answer import Lost, RefusedBatch, Taken, Verdict
from sidecar.microsoft.client import ANSWER_BYTES, APPLY, Client
from sidecar.microsoft.reply import HttpReply
from sidecar.microsoft.wire import encode

MIB = 1024 * 1024
IN_BUFFERS = 16 * MIB
"""What the system may hold on its way, more than enough."""

# --- What leaves -----------------------------------------------------------------------------------------------------


async def test_a_batch_is_posted_with_the_documented_headers() -> None:
    recorder = Recorder(clean)
    async with microsoft(recorder) as base, client_of(f"{base}/") as client:
        answer = await client.apply(CREDENTIALS, [ENTRY])
    [(method, path, headers, body)] = recorder.requests
    assert answer == Taken(1, {}, "test-tracking")
    assert (method, path, body) == ("POST", "/CampaignManagement/v13/OfflineConversions/Apply", encode([ENTRY]))
    assert headers["Authorization"] == "Bearer test-access-token"
    assert headers["DeveloperToken"] == "test-developer-token"
    assert (headers["CustomerId"], headers["CustomerAccountId"]) == ("111", "222")
    assert (headers["Content-Type"], headers["Accept"]) == ("application/json", "application/json")
    assert headers["Accept-Encoding"] == "gzip"
    assert headers["User-Agent"].startswith("msads-sidecar/")


async def test_ids_without_a_value_are_not_sent() -> None:
    recorder = Recorder(clean)
    async with microsoft(recorder) as base, client_of(base) as client:
        await client.apply(replace(CREDENTIALS, customer_id="", account_id=""), [ENTRY])
    assert not {"CustomerId", "CustomerAccountId"} & recorder.requests[0][2].keys()


async def test_any_call_can_be_posted_and_its_answer_read_raw() -> None:
    recorder = Recorder(lambda: web.Response(status=418, body=b"tea", headers={"TrackingId": "test-tracking"}))
    async with microsoft(recorder) as base, client_of(base) as client:
        reply = await client.post("/CampaignManagement/v13/ConversionGoals/QueryByIds", CREDENTIALS, b"{}")
    assert isinstance(reply, HttpReply)
    assert (reply.status, reply.body, reply.tracking_id) == (418, b"tea", "test-tracking")
    assert recorder.requests[0][1].endswith("/QueryByIds")


def test_credentials_show_no_secret() -> None:
    assert "test-" not in repr(CREDENTIALS)
    assert "222" in repr(CREDENTIALS)


# --- What comes back -------------------------------------------------------------------------------------------------


async def test_an_answer_to_a_thousand_rows_may_be_packed_with_gzip() -> None:
    errors = ",".join(f'{{"Code":5604,"Index":{index},"Message":"{"x" * 500}"}}' for index in range(1000))
    body = gzip.compress(f'{{"PartialErrors":[{errors}]}}'.encode())
    recorder = Recorder(lambda: web.Response(body=body, headers={"Content-Encoding": "gzip"}))
    async with microsoft(recorder) as base, client_of(base) as client:
        answer = await client.apply(CREDENTIALS, [ENTRY] * 1001)
    assert isinstance(answer, Taken)
    assert (answer.rows, sorted(answer.named), answer.delivered) == (1_001, list(range(1_000)), 1)


@pytest.mark.promise("C11")
@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
async def test_a_redirect_is_refused_and_the_token_never_follows_it(status: int, shown: Show) -> None:
    elsewhere = Recorder(clean)
    async with microsoft(elsewhere) as other:
        redirect = Recorder(lambda: web.Response(status=status, headers={"Location": other + APPLY}))
        async with microsoft(redirect) as base, client_of(base) as client:
            answer = await client.apply(CREDENTIALS, [ENTRY])
    assert isinstance(answer, RefusedBatch)
    assert answer.verdict is Verdict.ACCOUNT
    shown("1 redirects of an upload to another host", lost=len(elsewhere.requests))


async def test_cookies_are_not_stored() -> None:
    recorder = Recorder(lambda: web.Response(body=b"{}", headers={"Set-Cookie": "a=b; Path=/"}))
    async with microsoft(recorder) as base, client_of(base.replace("127.0.0.1", "localhost")) as client:
        await client.apply(CREDENTIALS, [ENTRY])
        await client.apply(CREDENTIALS, [ENTRY])
    assert len(recorder.requests) == 2
    assert all("Cookie" not in headers for _, _, headers, _ in recorder.requests)


@pytest.mark.promise("C11")
@pytest.mark.parametrize("packed", [True, False])
async def test_an_answer_over_8_mib_is_given_up_also_when_it_is_packed(packed: bool, shown: Show) -> None:
    """A packed one must not be unpacked whole first: 100 MiB of blanks are 100 KiB on the wire."""
    size = 100 * 1024 * 1024 if packed else 9 * 1024 * 1024
    body = gzip.compress(b" " * size, 9) if packed else b" " * size
    recorder = Recorder(
        lambda: web.Response(body=body, headers={"TrackingId": "t"} | ({"Content-Encoding": "gzip"} if packed else {}))
    )
    async with microsoft(recorder) as base:
        tracemalloc.start()
        answer = await lost(base)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 48 * MIB
    cut = answer == Lost("the answer is larger than 8 MiB", "t", sent=True)
    shown("1 answers larger than the cap", lost=not cut)


@pytest.mark.promise("C11")
async def test_an_answer_without_end_is_cut_at_the_cap(shown: Show) -> None:
    """The rest is not even read."""
    sent = 0

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while sent < 1_024 * MIB:
                writer.write(b" " * 64 * 1024)
                sent += 64 * 1024
                await writer.drain()

    async with peer(pour) as base:
        answer = await lost(base)
    cut = answer == Lost("the answer is larger than 8 MiB", sent=True) and sent <= ANSWER_BYTES + IN_BUFFERS
    shown("1 answers larger than the cap", lost=not cut, figure=f"of 1 GiB {sent / MIB:.0f} MiB had left by then")


# --- No answer -------------------------------------------------------------------------------------------------------


async def test_a_refused_connection_sent_nothing() -> None:
    with closed_port() as port:
        answer = await lost(f"http://127.0.0.1:{port}")
    assert answer.why == "no connection: Connection refused"
    assert not answer.sent


class NoNames(AbstractResolver):
    """A resolver that knows no name, as without a network."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None: ...


async def test_an_unknown_host_sent_nothing() -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=NoNames())) as session:
        answer = await Client(session, "https://campaign.example", lambda: 5).apply(CREDENTIALS, [ENTRY])
    assert answer == Lost("the name of Microsoft's host was not found (DNS): Name or service not known", sent=False)


async def test_an_answer_that_does_not_come_in_time_may_have_been_applied() -> None:
    async with peer(lambda reader, _: reader.read()) as base:
        assert await lost(base, 1) == Lost("no answer within 1 s", sent=True)


async def test_an_answer_that_trickles_ends_at_the_same_limit() -> None:
    """The limit is for the whole exchange: a byte now and then does not extend it."""

    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTrackingId: t\r\nContent-Length: 1000\r\n\r\n")
        while not writer.transport.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)  # the slow server: a byte now and then

    async with peer(trickle) as base:
        assert await lost(base, 1) == Lost("no answer within 1 s", "t", sent=True)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ((), "the connection was closed before the answer"),
        ((b"HTTP/1.1 200 OK\r\nContent-Le",), "the connection was closed before the answer"),
        ((b"SSH-2.0-OpenSSH_9.9\r\n\r\n",), "the answer is not HTTP"),
        (
            (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",),
            "the answer broke off or could not be unpacked",
        ),
        (
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",),
            "the answer broke off or could not be unpacked",
        ),
        (
            (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",),
            "the answer broke off or could not be unpacked",
        ),
    ],
)
async def test_an_answer_that_breaks_off_may_have_been_applied(message: tuple[bytes, ...], why: str) -> None:
    async with peer(replying(*message)) as base:
        assert await lost(base) == Lost(why, sent=True)


async def test_a_reset_may_have_been_applied() -> None:
    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with peer(reset) as base:
        assert (await lost(base)).sent


async def test_nothing_is_repeated_by_itself() -> None:
    """Also not on a kept connection that the server has closed meanwhile: the flusher decides what goes again."""
    requests = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        if requests == 1:
            await reader.readexactly(len(encode([ENTRY])))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            await reader.readuntil(b"\r\n\r\n")
            requests += 1

    async with peer(once) as base, client_of(base) as client:
        assert isinstance(await client.apply(CREDENTIALS, [ENTRY]), Taken)
        assert isinstance(await client.apply(CREDENTIALS, [ENTRY]), Lost)
    assert requests == 2


async def test_a_cancelled_request_closes_its_connection() -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        closed.set()

    async with peer(wait) as base, client_of(base) as client:
        task = asyncio.create_task(client.apply(CREDENTIALS, [ENTRY]))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(60):
            await closed.wait()


# --- Proxies ---------------------------------------------------------------------------------------------------------


async def test_the_environments_proxy_is_asked_and_its_refusal_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with peer(replying(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.replace("//", "//user:test-password@"))
        assert await lost("https://campaign.example") == Lost("the proxy refused to connect: HTTP 407", sent=False)


async def test_a_proxy_out_of_reach_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_port() as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        answer = await lost("https://campaign.example")
    assert answer == Lost("the proxy cannot be reached: Connection refused", sent=False)


async def test_no_proxy_is_asked_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with microsoft(Recorder(clean)) as base, client_of(base) as client:
        assert isinstance(await client.apply(CREDENTIALS, [ENTRY]), Taken)
