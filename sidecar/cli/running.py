"""`sidecar run`: the service."""

import asyncio
import os
import sys
from pathlib import Path

import click

from sidecar.app import serve
from sidecar.cli.configured import config_option, configuration, refuse
from sidecar.microsoft.tls import UnusableRoots
from sidecar.ports import StorageUnavailable
from sidecar.serving import CannotListen
from sidecar.store.sqlite.database import OutboxRefused


@click.command()
@config_option
def run(config_path: Path | None) -> None:
    """Run the service until SIGTERM or Ctrl-C.

    SIGHUP reads events, accounts, delivery and logging again. stdout has one line per fact, stderr the address and a
    first conversion to paste.
    """
    path, config = configuration(config_path)
    os.umask(0o077)
    try:
        sys.exit(asyncio.run(serve(path, config)))
    except (OutboxRefused, CannotListen, UnusableRoots, StorageUnavailable) as error:
        refuse(1, str(error))
