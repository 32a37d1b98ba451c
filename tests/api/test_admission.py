"""Large bodies are bounded: in memory by a budget, in work by turns; small ones always get through."""

import asyncio
import contextlib
import gc
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from api_kit import NOW, Api, OpenApi

from sidecar.api.http.guard import Guard
from sidecar.api.http.middleware import ErrorMiddleware
from sidecar.api.http.problem import HttpProblem
from sidecar.api.request.admission import (
    REQUEST_BYTES,
    ROW_BYTES,
    SMALL_BYTES,
    UNDECLARED_BYTES,
    Admission,
    admission_of,
    weight_of,
)
from sidecar.api.request.body import BodyLimits
from sidecar.api.request.reader import RequestReader
from sidecar.api.routes import access_of
from sidecar.telemetry import Telemetry

LARGE = 2 * 2**20


def test_large_body_beyond_the_budget_is_refused_before_it_is_read() -> None:
    admission = Admission(budget_bytes=LARGE)
    with admission.reservation(LARGE), pytest.raises(HttpProblem) as refused, admission.reservation(LARGE):
        pass
    assert refused.value.kind.status == 503
    assert refused.value.headers["Retry-After"] == "1"
    with admission.reservation(LARGE):
        pass


def test_small_body_needs_no_room() -> None:
    admission = Admission(budget_bytes=LARGE)
    with admission.reservation(LARGE), admission.reservation(SMALL_BYTES):
        pass


def test_body_of_unknown_length_takes_room_as_it_grows() -> None:
    admission = Admission(budget_bytes=LARGE)
    with admission.reservation(None) as reservation, admission.reservation(None) as other:
        for one in (reservation, other):
            one.reserve(UNDECLARED_BYTES)
        reservation.reserve(LARGE // 2)
        reservation.reserve(LARGE)
        with pytest.raises(HttpProblem):
            other.reserve(UNDECLARED_BYTES + 1)
    with admission.reservation(LARGE):
        pass


def test_bodies_of_unknown_length_have_little_room_together_and_leave_the_rest_to_others() -> None:
    """Few clients send them, and an attacker who wants to fill the memory sends nothing else."""
    admission = Admission(budget_bytes=4 * LARGE, undeclared_bytes=LARGE)
    with admission.reservation(None) as reservation, admission.reservation(None) as other:
        reservation.reserve(LARGE)
        with pytest.raises(HttpProblem) as refused:
            other.reserve(UNDECLARED_BYTES + 1)
        assert "Content-Length" in refused.value.detail
        assert (refused.value.kind.status, refused.value.headers["Retry-After"]) == (503, "1")
        with admission.reservation(LARGE), admission.reservation(LARGE):
            pass
    with admission.reservation(None) as reservation:
        reservation.reserve(LARGE)


def test_body_that_found_no_room_gives_none_back() -> None:
    """Else each that is refused would make room for more than there is."""
    admission = Admission(budget_bytes=LARGE)
    with admission.reservation(LARGE):
        for _ in range(2):
            with admission.reservation(None) as grown, pytest.raises(HttpProblem):
                grown.reserve(LARGE)
        with pytest.raises(HttpProblem), admission.reservation(LARGE):
            pass
    with admission.reservation(LARGE):
        pass


def test_there_is_room_for_the_largest_body_that_may_come() -> None:
    for largest in (2 * 2**20, 100 * 2**20):
        reader = RequestReader.of(BodyLimits(max_bytes=largest))
        with reader.admission.reservation(None) as reservation, reader.admission.reservation(largest):
            reservation.reserve(largest)


async def test_large_bodies_are_worked_on_in_turns_and_small_ones_beside_them() -> None:
    admission = Admission(at_once=1)
    order: list[str] = []

    async def work(name: str, size: int) -> None:
        async with admission.turn(size):
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            order.append(f"{name} ends")

    await asyncio.gather(work("first", LARGE), work("second", LARGE), work("small", 10))
    assert order.index("first ends") < order.index("second begins")
    assert order.index("small ends") < order.index("second begins")


def test_requests_that_wait_for_their_answers_are_bounded_and_sent_away_at_different_times() -> None:
    admission = Admission(waiting_bytes=REQUEST_BYTES + 1)
    with admission.reservation(1) as first, admission.reservation(1) as second, admission.reservation(1) as slow:
        first.body_received(1)
        asked = []
        for _ in range(3):
            with pytest.raises(HttpProblem) as refused:
                second.body_received(1)
            asked.append(refused.value.headers["Retry-After"])
        assert len(set(asked)) == 3
        assert refused.value.errors[0].code == "outbox_growing"
        assert slow.reserved == 0  # its body is still on its way: it counts for nothing
    with admission.reservation(1) as next_one:
        next_one.body_received(1)


def test_requests_that_were_sent_away_make_no_room_for_more() -> None:
    """Else an overload would let in one more with each that it refuses."""
    admission = Admission(waiting_bytes=2 * (REQUEST_BYTES + 1))
    with admission.reservation(1) as first, admission.reservation(1) as second:
        first.body_received(1)
        second.body_received(1)
        for _ in range(3):
            with admission.reservation(1) as refused, pytest.raises(HttpProblem):
                refused.body_received(1)
            with admission.reservation(1):
                pass  # one whose body never came


@pytest.mark.parametrize(("size", "fit"), [(250, 383), (SMALL_BYTES, 256), (LARGE, 192)])
def test_256_small_requests_wait_together_and_what_their_bodies_take_is_bounded(size: int, fit: int) -> None:
    admission = Admission()
    with contextlib.ExitStack() as stack:
        reservations = [stack.enter_context(admission.reservation(None)) for _ in range(500)]
        for one in reservations[:fit]:
            one.body_received(size)
        with pytest.raises(HttpProblem):
            reservations[fit].body_received(size)
    with admission.reservation(None) as alone:
        alone.body_received(LARGE)


# --- Answers ---------------------------------------------------------------------------------------------------------


def refusal(error: pytest.ExceptionInfo[HttpProblem]) -> int:
    assert 1 <= int(error.value.headers["Retry-After"]) <= 10
    return error.value.kind.status


async def test_large_pages_are_made_one_at_a_time_and_few_wait_for_it() -> None:
    admission = Admission(waiting_pages=2)
    begun = []

    async def make(name: str) -> None:
        async with admission.page(1_000):
            begun.append(name)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            begun.append(name)

    tasks = [asyncio.create_task(make(name)) for name in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(HttpProblem) as refused:
        await make("c")
    await asyncio.gather(*tasks)
    assert (begun, refusal(refused)) == (["a", "a", "b", "b"], 503)


async def test_pages_that_were_made_or_failed_make_no_other_wait() -> None:
    admission = Admission(waiting_pages=1, answer_bytes=1_000 * ROW_BYTES)
    for _ in range(3):
        async with admission.page(1_000):
            pass
        with pytest.raises(ValueError):
            async with admission.page(1_000):
                raise ValueError("the store failed")


def test_answer_that_was_made_needs_room_for_itself_and_once_more_before_the_socket() -> None:
    admission = Admission(budget_bytes=LARGE)
    admission.check_answer(LARGE // 2, outcome_unknown=False)
    with pytest.raises(HttpProblem) as refused:
        admission.check_answer(LARGE // 2 + 1, outcome_unknown=False)
    assert refusal(refused) == 503


async def test_small_page_waits_for_no_large_one() -> None:
    admission = Admission()
    async with admission.page(1_000), admission.page(SMALL_BYTES // ROW_BYTES):
        pass


async def test_answers_that_are_not_read_leave_no_room_for_more_and_do_for_bodies() -> None:
    admission = Admission(budget_bytes=4 * LARGE, answer_bytes=LARGE)
    held = admission.unread(LARGE)
    assert held > 0
    for size in (1, 1_000):
        with pytest.raises(HttpProblem) as refused:
            async with admission.page(size):
                pass
        assert refusal(refused) == 503
    with admission.reservation(LARGE):
        pass
    admission.was_read(held)
    async with admission.page(1):
        pass


async def test_answer_finds_no_room_where_bodies_take_it_all() -> None:
    admission = Admission(budget_bytes=LARGE)
    with admission.reservation(LARGE):
        assert admission.unread(1) == 0
        for outcome_unknown, said in ((True, "repeat the request"), (False, "Ask again")):
            with pytest.raises(HttpProblem) as refused:
                admission.check_answer(SMALL_BYTES, outcome_unknown=outcome_unknown)
            assert said in refused.value.detail


@pytest.mark.parametrize(("method", "said"), [("POST", "repeat the request"), ("GET", "Ask again")])
def test_large_answer_without_room_says_whether_something_may_have_been_stored(method: str, said: str) -> None:
    admission = Admission(budget_bytes=LARGE)
    telemetry = Telemetry(lambda: NOW, level="error")
    middleware = ErrorMiddleware(Guard.of(["localhost"], []), telemetry, lambda: "r-1", access_of, admission=admission)
    large = web.Response(body=b"x" * LARGE)
    with pytest.raises(HttpProblem) as refused:
        middleware._fitting(make_mocked_request(method, "/v1/conversions"), large)
    assert said in refused.value.detail
    telemetry.close()


@pytest.mark.parametrize(
    ("body", "items"), [(b"{" + b" " * 9_999, 1), (b" [" + b" " * 9_998, 1_000), (b"[{},{},{}]", 3)]
)
def test_body_weighs_what_it_may_become(body: bytes, items: int) -> None:
    assert weight_of(body) == 8 * len(body) + 1_024 * items


# --- Over connections ------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def unread(api: Api, request: bytes, count: int) -> AsyncIterator[list[socket.socket]]:
    """Connections that have sent the request and read nothing by themselves."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            one.setblocking(False)
            await loop.sock_connect(one, (api.host, api.port))
            await loop.sock_sendall(one, request)
        yield sockets


async def large(request: web.Request) -> web.Response:
    """More than the system takes off our hands."""
    return web.Response(body=b"x" * 6 * 2**20)


async def status_of(one: socket.socket) -> int:
    return int((await asyncio.get_running_loop().sock_recv(one, 12)).split()[1])


async def test_those_who_ask_and_do_not_read_meet_503_themselves(open_api: OpenApi, conversion: dict[str, Any]) -> None:
    api = await open_api(routes=[web.get("/large", large)])
    async with unread(api, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n", 20) as sockets:
        statuses = [await status_of(one) for one in sockets]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) <= 5, "32 MiB in all"
        assert (await api.post(conversion)).status == 202
        assert (await api.get("/livez")).status == 200
        refused = await api.get("/v1/conversions")
        assert (refused.status, int(refused.headers["Retry-After"]) > 0) == (503, True)
    while (await api.get("/v1/conversions")).status == 503:
        await asyncio.sleep(0.01)  # until the service has noticed that they are gone
    assert (await api.get("/large")).status == 200


async def taken(request: web.Request) -> web.Response:
    """How much of the budget is taken, by how many connections."""
    return web.json_response([admission_of(request)._reserved, len(request.protocol._manager.connections)])


async def test_answer_that_is_read_late_gives_its_room_back_once(open_api: OpenApi) -> None:
    """Not once more as its connection ends: then there would be room without end."""
    api = await open_api(routes=[web.get("/large", large), web.get("/taken", taken)])
    assert (await api.get("/taken")).json == [0, 1]
    reader, writer = await asyncio.open_connection(api.host, api.port, limit=1_024)
    writer.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(60):
        while (await api.get("/taken")).json[0] == 0:
            pass
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
        writer.close()
        while (found := (await api.get("/taken")).json)[1] > 1:
            pass
    assert found == [0, 1]


async def test_connection_that_is_kept_holds_no_answer_any_more(api: Api) -> None:
    """aiohttp keeps the last response of each connection until the next request comes."""
    gc.collect()  # those of other tests, which would else go at any moment
    bodies = [one for one in gc_bodies() if len(one) > SMALL_BYTES]
    reader, writer = await asyncio.open_connection(api.host, api.port)
    writer.write(b"POST /v1/validate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
    body = json.dumps([{"event": "purchase", "order_id": str(n), "msclkid": "1" * 32} for n in range(300)]).encode()
    writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    assert length > SMALL_BYTES
    await reader.readexactly(length)
    assert (await api.get("/livez")).status == 200  # by now the other connection waits for its next request
    assert [one for one in gc_bodies() if len(one) > SMALL_BYTES] == bodies
    writer.close()


def gc_bodies() -> list[bytes]:
    """The bodies of all responses that are still there."""
    responses = (one for one in gc.get_objects() if isinstance(one, web.Response))
    return [one.body for one in responses if isinstance(one.body, bytes)]


# --- Bounds of one request -------------------------------------------------------------------------------------------


async def test_query_of_more_than_twenty_parameters_is_refused_before_it_is_taken_apart(api: Api) -> None:
    queries = {count: "&".join(f"p{n}=" for n in range(count)) for count in (20, 21, 1_000)}
    answers = {count: await api.get(f"/v1/conversions?{query}") for count, query in queries.items()}
    assert [answer.status for answer in answers.values()] == [422] * 3
    assert answers[20].codes == ["unknown_parameter"] * 20
    assert answers[21].codes == answers[1_000].codes == ["too_many_parameters"]
    assert (await api.get(f"/nowhere?{queries[21]}")).status == 404
    assert (await api.post({}, path=f"/v1/conversions?{queries[21]}")).codes == ["too_many_parameters"]


@pytest.mark.parametrize("path", ["/v1/conversions", "/v1/validate", "/v1/clicks", "/v1/adjustments"])
async def test_array_of_very_many_problems_lists_a_hundred_and_how_many_more(api: Api, path: str) -> None:
    answer = await api.post([1] * 1_000, path=path)
    results = answer.json["results"]
    listed = [error for result in results for error in result["errors"]]
    assert [error["code"] for error in listed] == ["not_an_object"] * 100 + ["more_problems"]
    assert listed[-1]["message"] == "and 900 more"
    assert [result["index"] for result in results] == list(range(1_000))
    assert {result.get("code") for result in results[:100]} == {None}
    assert {result["code"] for result in results[100:]} == {"not_an_object"}
