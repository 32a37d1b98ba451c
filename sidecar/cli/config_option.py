"""The option --config, for verbs that read the configuration; a configuration that cannot be used ends them."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from sidecar.config import Config, ConfigError, LoadedConfig, load, locate
from sidecar.microsoft.endpoints import endpoints_of
from sidecar.microsoft.proxy_settings import ProxySettings, UnusableProxy

config_option = click.option(
    "--config",
    "config_path",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration file [$SIDECAR_CONFIG, else ./config.yaml].",
)


def load_config(given: Path | None) -> tuple[Path, LoadedConfig]:
    """The file and its configuration; exits with code 2 and every problem when it cannot be used."""
    try:
        path = locate(given, os.environ)
        return path, load(path, os.environ)
    except ConfigError as error:
        exit_with(2, str(error))


def load_checked_config(given: Path | None) -> tuple[Path, LoadedConfig]:
    """As `load_config`; prints its warnings on stderr, and also refuses a proxy that cannot be used."""
    path, loaded = load_config(given)
    for warning in loaded.warnings:
        click.echo(warning.text(str(path)), err=True)
    if (problem := _proxy_problem(loaded.config)) is not None:
        exit_with(2, problem)
    return path, loaded


def exit_with(code: int, message: str) -> NoReturn:
    """Prints the message on stderr and exits with that code."""
    click.echo(message, err=True)
    sys.exit(code)


def _proxy_problem(config: Config) -> str | None:
    """Why the environment's proxy cannot be used for an address of Microsoft; None where it can, or none is set."""
    microsoft = config.microsoft
    given = microsoft.endpoints.given()
    if microsoft.environment == "emulator" and not given:
        return None  # it runs in the sidecar's own process
    endpoints = endpoints_of(microsoft.environment, microsoft.tenant, given)
    proxies = ProxySettings.of(os.environ)
    try:
        for address in (endpoints.campaign, endpoints.customer, endpoints.authority):
            proxies.for_url(address)
    except UnusableProxy as error:
        return str(error)
    return None
