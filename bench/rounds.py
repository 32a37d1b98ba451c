"""Loads the server that started it, over keep-alive connections in step: `python -m bench.rounds PORT REQUESTS ARRAY`.

Every connection sends one request, then each reads its answer, and so on: the server has the same work in each run,
however slow something makes it that counts its instructions. At the end the server gets a SIGTERM.
"""

import contextlib
import os
import signal
import socket
import sys
import time

from bench.bodies import Bodies

CONNECTIONS = 32
START_SECONDS = 300.0
"""How long a server may take to start while its instructions are counted."""


def run(port: int, requests: int, bodies: Bodies) -> None:
    """Send them all; AssertionError where the answer is not 202."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(_connected(port)) for _ in range(CONNECTIONS)]
        for _ in range(requests // CONNECTIONS):
            for connection in connections:
                connection.sendall(_request(port, bodies.next()))
            for connection in connections:
                head = _answer(connection)
                assert head.startswith(b"HTTP/1.1 202 "), head


def _connected(port: int) -> socket.socket:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            assert time.monotonic() < until, "nothing listens"
            time.sleep(0.05)


def _request(port: int, body: bytes) -> bytes:
    head = f"POST /v1/conversions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _answer(connection: socket.socket) -> bytes:
    """The head of the answer, which is read to its end."""
    came = b""
    while b"\r\n\r\n" not in came:
        came += _more(connection)
    head, _, body = came.partition(b"\r\n\r\n")
    missing = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]) - len(body)
    while missing > 0:
        missing -= len(_more(connection))
    return head


def _more(connection: socket.socket) -> bytes:
    chunk = connection.recv(65_536)
    assert chunk, "the server hung up"
    return chunk


if __name__ == "__main__":
    try:
        run(int(sys.argv[1]), int(sys.argv[2]), Bodies(int(sys.argv[3])))
    finally:
        os.kill(os.getppid(), signal.SIGTERM)
