"""The HTTP client of a running sidecar: sends the key, checks the answer, explains why there is none."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NoReturn

import click
import requests

from sidecar.cli import formatting
from sidecar.cli.formatting import Json

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
SILENCE_SECONDS = 60.0
"""A stream that is silent this long, without even a heartbeat (every 15 s), is broken."""


class CommandFailed(click.ClickException):
    """The verb could not do its work; exit code 1."""


class Unreachable(CommandFailed):
    """No sidecar answers, or it stopped in the middle of an answer."""


class CallRefused(CommandFailed):
    """The sidecar refused the call; `status` is HTTP's, `body` the problem."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(formatting.problem(status, body))
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class ClientAnswer:
    """A good answer: its HTTP status, and its JSON object."""

    status: int
    body: Json


@dataclass(frozen=True, slots=True)
class SidecarClient:
    """Calls the sidecar at `url`; `api_key` is empty where none is asked for. Every call may raise CommandFailed."""

    url: str
    api_key: str = field(default="", repr=False)

    def get(self, path: str, **query: Any) -> Json:
        """The answer to a GET."""
        return self._call("GET", path, params=query).body

    def post(self, path: str, body: Json) -> Json:
        """The answer to a POST of `body`."""
        return self._call("POST", path, json=body).body

    def post_bytes(self, path: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> ClientAnswer:
        """The answer to a POST of bytes that are JSON already, sent unchanged."""
        return self._call("POST", path, data=body, headers={"Content-Type": "application/json", **headers})

    @contextmanager
    def stream(self, path: str, query: Json, headers: dict[str, str]) -> Iterator[Iterator[str]]:
        """The lines of an answer that does not end by itself."""
        headers = {"Accept": "text/event-stream", **headers}
        with self._request("GET", path, SILENCE_SECONDS, params=query, stream=True, headers=headers) as response:
            self._check(response)
            if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                self._raise_foreign(response)
            yield self._lines(response)

    def _lines(self, response: requests.Response) -> Iterator[str]:
        try:
            for line in response.iter_lines(chunk_size=None):
                yield line.decode("utf-8", "replace")
        except requests.RequestException:
            raise Unreachable(f"the sidecar at {self.url} went away") from None

    def _call(self, method: str, path: str, **arguments: Any) -> ClientAnswer:
        response = self._request(method, path, ANSWER_SECONDS, **arguments)
        self._check(response)
        return ClientAnswer(response.status_code, self._object(response))

    def _check(self, response: requests.Response) -> None:
        if response.status_code >= 300:
            raise CallRefused(response.status_code, self._object(response))

    def _object(self, response: requests.Response) -> Json:
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self._raise_foreign(response)
        return body

    def _raise_foreign(self, response: requests.Response) -> NoReturn:
        status = response.status_code
        raise CommandFailed(f"what answers at {self.url} is no sidecar (HTTP {status}, but not in its form)")

    def _request(self, method: str, path: str, silence_seconds: float, **arguments: Any) -> requests.Response:
        headers = {"Accept": "application/json", **arguments.pop("headers", {})}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        with requests.Session() as session:
            session.trust_env = False  # a proxy must not see what is meant for this machine
            try:
                return session.request(
                    method,
                    self.url + path,
                    headers=headers,
                    timeout=(CONNECT_SECONDS, silence_seconds),
                    allow_redirects=False,
                    **arguments,
                )
            except requests.RequestException as error:
                raise Unreachable(self._reason(error)) from None

    def _reason(self, error: requests.RequestException) -> str:
        match error:
            case requests.exceptions.SSLError():
                return f"no TLS with {self.url}: the sidecar itself speaks http://; for a proxy check its certificate"
            case requests.ReadTimeout():
                return f"the sidecar at {self.url} does not answer; what became of the request is unknown"
            case _:
                return (
                    f"no sidecar answers at {self.url}. Start it with `sidecar run`, or name its address with --url or "
                    "$SIDECAR_URL"
                )
