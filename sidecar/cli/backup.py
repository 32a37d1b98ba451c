"""`sidecar backup`: a consistent copy of the outbox, whether the sidecar runs or not."""

from dataclasses import asdict
from pathlib import Path

import click

from sidecar.cli.config_option import config_option, exit_with, load_config
from sidecar.ports.errors import BackupFailed, OutboxRefused
from sidecar.store.opening import back_up


@click.command()
@config_option
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
def backup(config_path: Path | None, file: Path) -> None:
    """Copy the outbox to the new FILE, checked and complete, also while the sidecar runs.

    How to bring it back: docs/operating.md, Backups.
    """
    _, loaded = load_config(config_path)
    try:
        copied = back_up(loaded.config.storage.url, file)
    except (BackupFailed, OutboxRefused) as error:
        exit_with(1, str(error))
    rows = ", ".join(f"{number:,} {state}" for state, number in asdict(copied.rows).items())
    click.echo(f"{file}: {copied.size_bytes / 2**20:.1f} MiB, checked. Rows: {rows}.")
    click.echo("It holds hashes, click ids and the sign-in, as the outbox does: keep it as safe.")
