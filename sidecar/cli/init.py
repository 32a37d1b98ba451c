"""`sidecar init`: writes the commented example as a configuration of one's own."""

import os
from importlib import resources
from pathlib import Path

import click

from sidecar.cli.client import CommandFailed
from sidecar.cli.config_option import config_option

DEFAULT_FILE = Path("config.yaml")
EXAMPLE = "config.example.yaml"

_NEXT = """\
It runs as it stands, with a stand-in for Microsoft Advertising that needs no account:

  sidecar run{option}

For your own ad account open Set-up in the dashboard, at the address that `sidecar run` prints: it shows each step, and
which are done. docs/connect.md explains them. `sidecar check{option}` says what the file lacks."""


@click.command()
@config_option
def init(config_path: Path | None) -> None:
    """Write the configuration: the example, in which every key has its default and its reason.

    An existing file is never changed; the exit code is then 1. Only you can read the new one, since secrets go into it.
    """
    path = config_path or Path(os.environ.get("SIDECAR_CONFIG") or DEFAULT_FILE)
    _write(path, (resources.files("sidecar.config") / EXAMPLE).read_bytes())
    click.echo(f"Wrote {path}.\n")
    click.echo(_NEXT.format(option="" if config_path is None else f" --config {path}"))


def _write(path: Path, content: bytes) -> None:
    """Creates the file with mode 0600; a part of it is removed again. Raises CommandFailed."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            try:
                file.write(content)
                file.flush()
            except OSError:
                path.unlink(missing_ok=True)
                raise
    except FileExistsError:
        raise CommandFailed(
            f"{path} is there already, and was not changed: `sidecar check` says what it lacks. Name another file with "
            "--config, or move that one away"
        ) from None
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {error.strerror}. Name another file with --config") from None
