"""One message to a webhook: what counts as taken, and what an answer may do."""

import asyncio
import ssl

import pytest
from client_kit import closed_port
from proxy_double import proxy
from webhook_double import PATH, answering, endless, hanging, webhook

from sidecar.emulator.tls import make_certificate, server_context
from sidecar.ports.alerts import Reception
from sidecar.webhook import ANSWER_BYTES, SHOWN_CHARACTERS, HttpWebhook

BODY = {"state": "raised", "code": "test"}
CERTIFICATE = make_certificate(["127.0.0.1"])


def client(address: str, **given: object) -> HttpWebhook:
    return HttpWebhook(address, ssl.create_default_context(), **given)  # type: ignore[arg-type]


async def test_answer_200_means_taken_and_its_words_are_returned() -> None:
    async with webhook() as there:
        assert await client(there.address).post(BODY) == Reception(200, "ok")
        assert there.taken == [BODY]


async def test_any_other_2xx_means_taken_too() -> None:
    async with webhook() as there:
        there.script = answering(204)
        assert (await client(there.address).post(BODY)).is_taken


async def test_redirect_is_not_followed() -> None:
    async with webhook() as there:
        there.script = answering(307, Location=f"http://127.0.0.1:{there.port}/elsewhere")
        reception = await client(there.address).post(BODY)
        assert reception.error == "it answered HTTP 307, a redirect, which is not followed"
        assert reception.is_final
        assert there.elsewhere == []


@pytest.mark.parametrize(("status", "is_final"), [(400, True), (404, True), (410, True), (408, False), (500, False)])
async def test_refusal_says_its_status_and_whether_a_repeat_may_help(status: int, is_final: bool) -> None:
    async with webhook() as there:
        there.script = answering(status, "no_service")
        reception = await client(there.address).post(BODY)
        assert reception == Reception(status, "no_service", f"it answered HTTP {status}")
        assert reception.is_final is is_final


@pytest.mark.parametrize(("asked", "seconds"), [("30", 30), ("99999", 900), ("soon", None), ("", None), ("-1", None)])
async def test_pause_that_the_webhook_asks_for_is_returned_up_to_a_quarter_of_an_hour(
    asked: str, seconds: float | None
) -> None:
    async with webhook() as there:
        there.script = answering(429, "rate_limited", Retry_After=asked)
        reception = await client(there.address).post(BODY)
        assert (reception.retry_after_seconds, reception.is_final) == (seconds, False)


async def test_webhook_that_hangs_is_given_up() -> None:
    async with webhook() as there:
        there.script = hanging
        reception = await client(there.address, seconds=0.2).post(BODY)
        assert reception == Reception(None, "", "no answer within 0.2 s")


async def test_answer_without_an_end_is_cut_off() -> None:
    async with webhook() as there:
        there.script = endless
        reception = await client(there.address).post(BODY)
        assert reception.is_taken
        assert len(reception.answer) <= SHOWN_CHARACTERS < ANSWER_BYTES


async def test_words_of_the_webhook_are_cleaned_and_on_one_line() -> None:
    async with webhook() as there:
        there.script = answering(200, f"no such hook:\n {PATH}\x00")
        reception = await client(there.address, clean=lambda text: text.replace(PATH, "***")).post(BODY)
        assert reception.answer.startswith("no such hook: ***")
        assert "\n" not in reception.answer


async def test_address_that_no_one_listens_at_is_explained() -> None:
    with closed_port() as port:
        address = f"http://127.0.0.1:{port}{PATH}"
        assert await client(address).post(BODY) == Reception(None, "", "no connection: Connection refused")


async def test_something_that_is_no_http_is_explained() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        reception = await client(f"http://127.0.0.1:{port}/").post(BODY)
    assert reception.error == "the connection was closed before an answer"


async def test_certificate_that_is_not_trusted_is_refused_before_anything_is_sent() -> None:
    async with webhook(server_context(CERTIFICATE)) as there:
        reception = await client(there.address).post(BODY)
        assert reception.error == "its certificate is not trusted; see microsoft.ca_bundle"
        assert there.asked == []


async def test_added_roots_are_trusted() -> None:
    async with webhook(server_context(CERTIFICATE)) as there:
        tls = ssl.create_default_context(cadata=CERTIFICATE.ca_pem)
        assert (await HttpWebhook(there.address, tls).post(BODY)).is_taken


async def test_https_goes_through_the_proxy_with_its_login() -> None:
    tls = ssl.create_default_context(cadata=CERTIFICATE.ca_pem)
    async with webhook(server_context(CERTIFICATE)) as there, proxy(leads_to=there.port) as between:
        headers = {"Proxy-Authorization": "Basic dGVzdDp0ZXN0"}
        posting = HttpWebhook(there.address, tls, f"http://127.0.0.1:{between.port}", headers)
        assert (await posting.post(BODY)).is_taken
        (head,) = between.heads
    assert head.startswith(f"CONNECT 127.0.0.1:{there.port} ")
    assert "Proxy-Authorization: Basic dGVzdDp0ZXN0" in head
    assert PATH not in head


async def test_proxy_that_refuses_is_named() -> None:
    tls = ssl.create_default_context(cadata=CERTIFICATE.ca_pem)
    async with proxy(says=b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as between:
        reception = await HttpWebhook("https://127.0.0.1:1/", tls, f"http://127.0.0.1:{between.port}").post(BODY)
    assert reception.error == "the proxy refused to connect: HTTP 407"


def test_address_is_not_shown_where_the_object_is() -> None:
    assert PATH not in repr(client(f"https://hooks.example{PATH}"))
