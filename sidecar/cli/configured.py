"""What the verbs that read the configuration share: the option --config, and how a refused file ends them."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from sidecar.config import Config, ConfigError, Loaded, examine, locate
from sidecar.microsoft.endpoints import endpoints_of
from sidecar.microsoft.proxies import Proxies, UnusableProxy

config_option = click.option(
    "--config",
    "config_path",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration file [$SIDECAR_CONFIG, else ./config.yaml].",
)


def configuration(given: Path | None) -> tuple[Path, Config]:
    """The file and what it says; exit code 2 with every problem when it cannot be used."""
    path, loaded = _loaded(given)
    return path, loaded.config


def doubted_configuration(given: Path | None) -> tuple[Path, Loaded]:
    """As `configuration`, where what is probably a mistake matters: it is told on stderr."""
    path, loaded = _loaded(given)
    for warning in loaded.warnings:
        click.echo(warning.text(str(path)), err=True)
    return path, loaded


def _loaded(given: Path | None) -> tuple[Path, Loaded]:
    try:
        path = locate(given, os.environ)
        return path, examine(path, os.environ)
    except ConfigError as error:
        refuse(2, str(error))


def proxy_mistake(config: Config) -> str | None:
    """Why the environment's proxy cannot be used for one of Microsoft's addresses; None where it can, or none is."""
    microsoft = config.microsoft
    given = microsoft.endpoints.given()
    if microsoft.environment == "emulator" and not given:
        return None  # it runs in the sidecar's own process
    endpoints = endpoints_of(microsoft.environment, microsoft.tenant, given)
    proxies = Proxies.of(os.environ)
    try:
        for address in (endpoints.campaign, endpoints.authority):
            proxies.of_url(address)
    except UnusableProxy as error:
        return str(error)
    return None


def refuse(code: int, message: str) -> NoReturn:
    """Say what is wrong and end with that exit code."""
    click.echo(message, err=True)
    sys.exit(code)
