"""`sidecar check`: the configuration as the service would take it."""

from pathlib import Path

import click

from sidecar.cli.configured import config_option, doubted_configuration, proxy_mistake, refuse
from sidecar.config import masked_yaml


@click.command()
@config_option
def check(config_path: Path | None) -> None:
    """Validate the configuration; print the effective one with secrets masked.

    What is wrong with it is told at once, each problem with its line; the exit code is then 2. So it is when the
    environment's proxy (HTTPS_PROXY, ALL_PROXY) cannot be used.
    """
    path, loaded = doubted_configuration(config_path)
    config = loaded.config
    if (mistake := proxy_mistake(config)) is not None:
        refuse(2, mistake)
    click.echo(f"# {path} is valid. This is in force, defaults included:")
    click.echo(masked_yaml(config), nl=False)
