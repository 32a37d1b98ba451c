"""`sidecar run`: the service."""

import asyncio
import os
import sys
from pathlib import Path

import click

from sidecar.cli.config_option import config_option, exit_with, load_checked_config
from sidecar.config import LoadedConfig
from sidecar.core.start_errors import cannot_open
from sidecar.microsoft.proxy_settings import UnusableProxy
from sidecar.ports.errors import OutboxRefused, StorageUnavailable
from sidecar.store.opening import refuse_if_owned
from sidecar.store.store_url import file_of, is_postgres
from sidecar.troubles import CATALOGUE


@click.command()
@config_option
def run(config_path: Path | None) -> None:
    """Run the service until SIGTERM or Ctrl-C.

    SIGHUP reads events, accounts, delivery and logging again. stdout has one line per fact, stderr the address and a
    first conversion to paste. Exit codes: 0 stopped, 1 it cannot start or go on, 2 the configuration cannot be used.
    """
    path, loaded = load_checked_config(config_path)
    os.umask(0o077)
    try:  # an outbox in use is reported before the service is imported, which takes longest
        refuse_if_owned(loaded.config.storage.url)
    except OutboxRefused as error:
        exit_with(1, str(error))
    sys.exit(_serve(path, loaded))


def _serve(path: Path, loaded: LoadedConfig) -> int:
    from sidecar.microsoft.tls import UnusableRoots
    from sidecar.service.app import serve
    from sidecar.service.http import CannotListen

    try:
        return asyncio.run(serve(path, loaded.config, [each.text(str(path)) for each in loaded.warnings]))
    except (UnusableRoots, UnusableProxy) as error:
        exit_with(2, str(error))
    except (OutboxRefused, CannotListen) as error:
        exit_with(1, str(error))
    except StorageUnavailable as error:
        trouble = CATALOGUE.get(error.code)
        exit_with(1, f"the sidecar cannot start: {error}" + (f"; {trouble.solution}" if trouble else ""))
    except OSError as error:
        url = loaded.config.storage.url
        if error.filename is None and is_postgres(url):
            exit_with(1, f"the sidecar cannot start: {error.strerror or error}")
        file = Path(error.filename or file_of(url))
        exit_with(1, cannot_open("the sidecar cannot start: the file", file, error))
