"""`sidecar alerts test`, and POST /v1/alerts/test behind it."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from cli_kit import Service, sidecar

TOKEN = "test-webhook-token-0123456789"


@contextmanager
def receiver(status: int = 200, text: str = "ok") -> Iterator[tuple[str, list[Any]]]:
    """The address of a webhook that always answers so, and the bodies that came."""
    bodies: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hooks/{TOKEN}", bodies
        finally:
            server.shutdown()
            serving.join()


def configured(service: Service, address: str, form: str) -> None:
    service.settings = f"microsoft: {{environment: emulator}}\nalerts: {{webhook: '{address}', format: {form}}}\n"


def test_test_message_arrives_and_the_answer_is_shown(service: Service) -> None:
    with receiver() as (address, bodies):
        configured(service, address, "slack")
        with service.running():
            shown = sidecar("alerts", "test", url=service.url)
            assert shown.exit_code == 0
            assert shown.stdout == "The webhook took the message (format slack, HTTP 200).\nIt answered: ok\n"
            (body,) = bodies
            assert body["text"] == "Test: The alerts of the sidecar arrive here"
            assert service.url in body["attachments"][0]["text"]
            answer = json.loads(sidecar("alerts", "test", "--json", url=service.url).stdout)
    assert answer == {"taken": True, "format": "slack", "status": 200, "answer": "ok", "error": None}


def test_refusal_is_shown_with_exit_code_1_and_without_the_address(service: Service) -> None:
    with receiver(404, f"no hook at /hooks/{TOKEN}") as (address, _):
        configured(service, address, "json")
        with service.running():
            shown = sidecar("alerts", "test", url=service.url)
    assert shown.exit_code == 1
    assert shown.stdout == "It answered: no hook at ***\n"
    assert "the webhook did not take the message: it answered HTTP 404" in shown.stderr


def test_without_a_webhook_it_says_which_key_to_set(running: Service) -> None:
    shown = sidecar("alerts", "test", url=running.url)
    assert shown.exit_code == 1
    assert "No webhook is configured (HTTP 409)" in shown.stderr
    assert "Set alerts.webhook" in shown.stderr


def test_web_page_cannot_post_test_messages(running: Service) -> None:
    url = f"{running.url}/v1/alerts/test"
    assert requests.post(url, timeout=60).status_code == 415
    foreign = {"Content-Type": "application/json", "Origin": "https://evil.example"}
    assert requests.post(url, headers=foreign, timeout=60).status_code == 403
