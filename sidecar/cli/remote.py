"""Talking to a running sidecar: its address, its key, and in plain words why it did not answer."""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import click
import requests

from sidecar.cli import whereabouts, words

F = TypeVar("F", bound=Callable[..., Any])
Json = dict[str, Any]

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
SILENCE_SECONDS = 60.0
"""A stream that is this long without even a heartbeat (every 15 s) is broken."""


class Failed(click.ClickException):
    """Something did not work; exit code 1."""


class Unreachable(Failed):
    """No sidecar answers, or it stopped in the middle."""


class CallRefused(Failed):
    """The sidecar answered that it will not; `status` is HTTP's, `body` the problem."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(words.problem(status, body))
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class RemoteAnswer:
    """A good answer: its HTTP status, and its JSON object."""

    status: int
    body: Json


@dataclass(frozen=True, slots=True)
class Remote:
    """A running sidecar at `url`; `api_key` is empty where none is asked for. Every call may raise Failed."""

    url: str
    api_key: str = field(default="", repr=False)

    def get(self, path: str, **query: Any) -> Json:
        """The answer to a GET."""
        return self._call("GET", path, params=query).body

    def post(self, path: str, body: Json) -> Json:
        """The answer to a POST of `body`."""
        return self._call("POST", path, json=body).body

    def post_bytes(self, path: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> RemoteAnswer:
        """The answer to a POST of JSON that is written already, and goes out to the letter."""
        return self._call("POST", path, data=body, headers={"Content-Type": "application/json", **headers})

    @contextmanager
    def stream(self, path: str, query: Json, headers: dict[str, str]) -> Iterator[Iterator[str]]:
        """The lines of an answer that does not end by itself."""
        headers = {"Accept": "text/event-stream", **headers}
        with self._request("GET", path, SILENCE_SECONDS, params=query, stream=True, headers=headers) as response:
            self._check(response)
            if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                self._no_sidecar(response)
            yield self._lines(response)

    def _lines(self, response: requests.Response) -> Iterator[str]:
        try:
            for line in response.iter_lines(chunk_size=None):
                yield line.decode("utf-8", "replace")
        except requests.RequestException:
            raise Unreachable(f"the sidecar at {self.url} went away") from None

    def _call(self, method: str, path: str, **arguments: Any) -> RemoteAnswer:
        response = self._request(method, path, ANSWER_SECONDS, **arguments)
        self._check(response)
        return RemoteAnswer(response.status_code, self._object(response))

    def _check(self, response: requests.Response) -> None:
        if response.status_code >= 300:
            raise CallRefused(response.status_code, self._object(response))

    def _object(self, response: requests.Response) -> Json:
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self._no_sidecar(response)
        return body

    def _no_sidecar(self, response: requests.Response) -> NoReturn:
        raise Failed(f"what answers at {self.url} is no sidecar (HTTP {response.status_code}, but not in its form)")

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
                self._unreachable(error)

    def _unreachable(self, error: requests.RequestException) -> NoReturn:
        match error:
            case requests.exceptions.SSLError():
                told = f"no TLS with {self.url}: the sidecar itself speaks http://; for a proxy check its certificate"
            case requests.ReadTimeout():
                told = f"the sidecar at {self.url} does not answer; what became of the request is unknown"
            case _:
                told = (
                    f"no sidecar answers at {self.url}. Start it with `sidecar run`, or name its address with --url or "
                    "$SIDECAR_URL"
                )
        raise Unreachable(told) from None


def with_remote(command: F) -> F:
    """The options --url and --api-key; the command gets one argument for both, `remote`.

    A command with --json prints the problem of a refusal as JSON, too.
    """

    @click.option(
        "--url",
        envvar="SIDECAR_URL",
        callback=_url,
        help="The running sidecar [$SIDECAR_URL, else that of the configuration, else http://127.0.0.1:8077].",
    )
    @click.option(
        "--api-key",
        envvar="SIDECAR_API_KEY",
        default="",
        callback=_key,
        help="Its key, if it asks for one [$SIDECAR_API_KEY, else that of the configuration].",
    )
    @functools.wraps(command)
    def called(*, url: str | None, api_key: str, **arguments: Any) -> Any:
        as_json = bool(arguments.get("as_json"))
        found = whereabouts.found(url, api_key, os.environ)
        if not (found.is_default or as_json or _is_typed("url")):
            click.echo(f"(sidecar at {found.url}, {found.source})", err=True)
        try:
            return command(remote=Remote(found.url, found.api_key), **arguments)
        except CallRefused as refused:
            if not as_json:
                raise
            click.echo(json.dumps(refused.body, indent=2))
            sys.exit(refused.exit_code)

    return called  # type: ignore[return-value]


def _is_typed(option: str) -> bool:
    """Whether the option stands on the command line: then the user knows what it says."""
    source = click.get_current_context().get_parameter_source(option)
    return source is click.core.ParameterSource.COMMANDLINE


def _url(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    if given is None:
        return None
    try:
        parts = urlsplit(given)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise click.BadParameter("write it as http://HOST:PORT")
    return given.rstrip("/")


def _key(_: click.Context, __: click.Parameter, given: str) -> str:
    key = given.strip()
    if not (key.isascii() and key.isprintable()):
        raise click.BadParameter("a key has only visible ASCII characters")  # without repeating it
    return key
