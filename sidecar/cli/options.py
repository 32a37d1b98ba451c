"""Options that several verbs share, and the question that a verb asks before it does what cannot be undone."""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from sidecar.cli import target
from sidecar.cli.client import CallRefused, SidecarClient
from sidecar.cli.formatting import Json

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print what the API prints.")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def with_client(command: F) -> F:
    """Adds --url and --api-key; the command gets one argument for both, `client`.

    With --json the body of a refusal is printed as JSON, too.
    """

    @url_option
    @api_key_option
    @functools.wraps(command)
    def run_verb(*, url: str | None, api_key: str, **arguments: Any) -> Any:
        as_json = bool(arguments.get("as_json"))
        client = client_of(url, api_key, quiet=as_json)
        try:
            return command(client=client, **arguments)
        except CallRefused as refused:
            if not as_json:
                raise
            print_json(refused.body)
            sys.exit(refused.exit_code)

    return run_verb  # type: ignore[return-value]


def print_json(answer: Json) -> None:
    """Prints an answer as the API gave it, indented."""
    click.echo(json.dumps(answer, indent=2))


def print_answer(answer: Json, as_json: bool, lines: Iterable[str]) -> None:
    """Prints an answer as JSON or as `lines`, which may be a generator: with --json it never runs."""
    if as_json:
        print_json(answer)
    else:
        click.echo("\n".join(lines))


def require_terminal(as_json: bool, advice: str = "add --yes") -> None:
    """Raises click.UsageError with `advice` unless a person can be asked at the terminal."""
    if as_json or sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError(f"there is no terminal to ask at: {advice}")


def client_of(url: str | None, api_key: str, *, quiet: bool, environ: Mapping[str, str] = os.environ) -> SidecarClient:
    """The client of the sidecar that the options and `environ` name; says on stderr which one, unless `quiet`."""
    found = target.find(url, api_key, environ)
    source = click.get_current_context().get_parameter_source("url")
    is_typed = source is click.core.ParameterSource.COMMANDLINE  # then the user knows it
    if not (found.is_default or quiet or is_typed):
        click.echo(f"(sidecar at {found.url}, {found.source})", err=True)
    return SidecarClient(found.url, found.api_key)


def _checked_url(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
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


def _checked_key(_: click.Context, __: click.Parameter, given: str) -> str:
    key = given.strip()
    if not (key.isascii() and key.isprintable()):
        raise click.BadParameter("a key has only visible ASCII characters")  # without repeating it
    return key


url_option = click.option(
    "--url",
    envvar="SIDECAR_URL",
    callback=_checked_url,
    help="The running sidecar [$SIDECAR_URL, else that of the configuration, else http://127.0.0.1:8077].",
)
api_key_option = click.option(
    "--api-key",
    envvar="SIDECAR_API_KEY",
    default="",
    callback=_checked_key,
    help="Its key, if it asks for one [$SIDECAR_API_KEY, else that of the configuration].",
)
