"""`sidecar doctor`: every check with its cause and remedy; without a running sidecar those that need none."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import click

from sidecar.cli.client import CommandFailed, SidecarClient, Unreachable
from sidecar.cli.config_option import config_option
from sidecar.cli.doctor_text import report_lines
from sidecar.cli.formatting import Json
from sidecar.cli.options import api_key_option, client_of, json_option, print_answer, url_option
from sidecar.core.doctor.first_look import SilentService, only_service
from sidecar.doctor.texts import report_json
from sidecar.system.listening import is_loopback

_EXIT_CODES = {"ok": 0, "warning": 1}


@click.command()
@config_option
@url_option
@api_key_option
@json_option
@click.pass_context
def doctor(ctx: click.Context, config_path: Path | None, url: str | None, api_key: str, as_json: bool) -> None:
    """Check everything from the configuration to Microsoft's answers; say what is wrong, why, and what to do.

    A running sidecar makes the checks. Without one, those are made that need none: configuration, storage, disk, clock,
    the way to Microsoft, and whether a sign-in is stored. Exit code 0 all is well, 1 warnings, 2 something failed.
    """
    report = _report(config_path, url, api_key, quiet=as_json)
    print_answer(report, as_json, report_lines(report))
    ctx.exit(_EXIT_CODES.get(str(report.get("status")), 2))


def _report(config_path: Path | None, url: str | None, api_key: str, *, quiet: bool) -> Json:
    """The report of the running sidecar, else of what can be seen without one."""
    try:
        return _client(config_path, url, api_key, quiet=quiet).get("/v1/doctor")
    except Unreachable as error:
        why = f"{error.message.split('. ')[0].capitalize()}."
        return _outside(config_path, why) if _is_here(url) else report_json(only_service(SilentService(why)))
    except CommandFailed as error:
        return report_json(only_service(SilentService(error.message, is_refusal=True)))
    except click.UsageError:
        if url:
            raise
        return _outside(config_path, "Without a configuration it is not known where the sidecar listens.")


def _is_here(url: str | None) -> bool:
    """Whether the sidecar would run on this machine, so that its files can be looked at."""
    return url is None or is_loopback(urlsplit(url).hostname or "")


def _client(config_path: Path | None, url: str | None, api_key: str, *, quiet: bool) -> SidecarClient:
    environ = {**os.environ, "SIDECAR_CONFIG": str(config_path)} if config_path else os.environ
    return client_of(url, api_key, quiet=quiet, environ=environ)


def _outside(config_path: Path | None, why: str) -> Json:
    from sidecar.service.first_look import look_from_outside  # takes a while, and is needed without a sidecar only

    return report_json(look_from_outside(config_path, why))
