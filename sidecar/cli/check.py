"""`sidecar check`: validates the configuration and prints the effective one."""

from pathlib import Path

import click

from sidecar.cli.config_option import config_option, load_checked_config
from sidecar.config import masked_yaml, next_step


@click.command()
@config_option
def check(config_path: Path | None) -> None:
    """Validate the configuration; print the effective one with secrets masked.

    Every problem is reported at once, with its line; the exit code is then 2. It is also 2 when the environment's
    proxy (HTTPS_PROXY, ALL_PROXY) cannot be used. Microsoft is not asked; what is next is said at the end.
    """
    path, loaded = load_checked_config(config_path)
    click.echo(f"# {path} is valid. This is in force, defaults included:")
    click.echo(masked_yaml(loaded.config), nl=False)
    click.echo(f"# Next: {next_step(loaded.config)}")
