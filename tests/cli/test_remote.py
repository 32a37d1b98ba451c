"""Reaching a sidecar, and in plain words why it cannot be reached."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cli_kit import Service, free_port, sidecar

VERBS = [("send", "lead"), ("logs",), ("logs", "--follow"), ("connect",)]


@contextmanager
def somebody_else(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """The address of a server that answers everything alike."""

    class Same(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Same) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running sidecar that asks for a key."""
    service = Service(tmp_path_factory.mktemp("guarded"), server=", api_keys: [test-key-of-ours]")
    with service.running():
        yield service


@pytest.mark.parametrize("verb", VERBS)
def test_missing_sidecar_shows_how_to_start_it(verb: tuple[str, ...]) -> None:
    shown = sidecar(*verb, url=f"http://127.0.0.1:{free_port()}")
    assert shown.exit_code == 1
    assert "no sidecar answers at http://127.0.0.1:" in shown.stderr
    assert "`sidecar run`" in shown.stderr
    assert "Traceback" not in shown.output


@pytest.mark.parametrize("url", ["localhost:8077", "8077", "ftp://127.0.0.1", "http://", "http://127.0.0.1:port", ""])
@pytest.mark.parametrize("verb", VERBS)
def test_address_that_is_none_is_wrong_usage(verb: tuple[str, ...], url: str) -> None:
    shown = sidecar(*verb, "--url", url)
    assert shown.exit_code == 2
    assert "http://HOST:PORT" in shown.stderr


def test_https_to_the_sidecar_itself_advises_http(running: Service) -> None:
    shown = sidecar("logs", url=running.url.replace("http:", "https:"))
    assert shown.exit_code == 1
    assert "http://" in shown.stderr


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("key", ["", "test-another-key"])
def test_missing_or_wrong_key_shows_where_to_name_it(verb: tuple[str, ...], key: str, guarded: Service) -> None:
    shown = sidecar(*verb, "--api-key", key, url=guarded.url)
    assert shown.exit_code == 1
    assert "(HTTP 401)" in shown.stderr
    assert "$SIDECAR_API_KEY" in shown.stderr
    assert "test-another-key" not in shown.output


def test_right_key_opens(guarded: Service) -> None:
    assert sidecar("logs", "--api-key", "test-key-of-ours\n", url=guarded.url).exit_code == 0


@pytest.mark.parametrize("key", ["test\nkey", "test-kéy", "test-€"])
def test_key_that_cannot_travel_is_wrong_usage_and_not_repeated(key: str) -> None:
    shown = sidecar("logs", "--api-key", key)
    assert shown.exit_code == 2
    assert key not in shown.output


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (404, b"not here"), (502, b""), (200, b"[]")])
def test_somebody_else_is_distinguished_from_a_sidecar(verb: tuple[str, ...], status: int, body: bytes) -> None:
    with somebody_else(status, body) as url:
        shown = sidecar(*verb, url=url)
    assert shown.exit_code == 1
    assert f"what answers at {url} is no sidecar (HTTP {status}" in shown.stderr


def test_redirect_is_not_followed_with_the_key() -> None:
    with somebody_else(302, b"{}", Location="http://127.0.0.1:1/") as url:
        shown = sidecar("logs", "--api-key", "test-key", url=url)
    assert shown.exit_code == 1
    assert "(HTTP 302)" in shown.stderr


def test_proxy_of_the_environment_is_passed_by(running: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert sidecar("logs", url=running.url).exit_code == 0
