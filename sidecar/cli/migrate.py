"""`sidecar migrate`: an outbox moves to another store, with everything that is on its way."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import click

from sidecar.cli.config_option import exit_with
from sidecar.cli.options import print_answer
from sidecar.core.server_url import is_postgres, without_password
from sidecar.ports.errors import MoveFailed, OutboxRefused
from sidecar.service.api_key import key_beside
from sidecar.service.runtime import now
from sidecar.store.moving.report import MoveReport
from sidecar.store.opening import move
from sidecar.store.store_url import file_of, is_store

_STEPS = {"copy": "Copying", "index": "Indexes", "verify": "Comparing"}


def _checked(_: click.Context, __: click.Parameter, given: str) -> str:
    if not is_store(given):
        raise click.BadParameter(
            "write it as sqlite:///relative.db, sqlite:////absolute.db or postgresql://user@host/db"
        )
    return given


@click.command()
@click.option("--from", "source", metavar="URL", required=True, callback=_checked, help="The outbox to move.")
@click.option("--to", "target", metavar="URL", required=True, callback=_checked, help="Where to; it must be empty.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def migrate(source: str, target: str, as_json: bool) -> None:
    """Move the outbox --from one URL --to another, as they stand in storage.url.

    Stop the sidecar first. Everything goes over, also what is on its way; at the end every row is compared. If it is
    interrupted, run it again: it goes on where it stopped. Then set storage.url to the new place and start.

    A password belongs into a file or $PGPASSWORD, not into the URL: docs/moving.md.
    """
    try:
        with _progress() as watch:
            report = move(source, target, now, watch)
    except (MoveFailed, OutboxRefused) as error:
        exit_with(1, str(error))
    print_answer(asdict(report), as_json, (*_lines(report, without_password(target)), *_key_hint(source)))


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr for each step, where that is a terminal."""
    with contextlib.ExitStack() as bars:
        shown: dict[str, Any] = {}

        def watch(step: str, done: int, total: int) -> None:
            if step not in shown:
                bars.close()
                label, hidden = f"{_STEPS[step]:<9}", not sys.stderr.isatty()
                bar = click.progressbar(length=total, label=label, file=sys.stderr, show_pos=True, hidden=hidden)
                shown[step] = bars.enter_context(bar)
            bar = shown[step]
            bar.update(done - bar.pos)

        yield watch


def _lines(report: MoveReport, url: str) -> Iterator[str]:
    if report.was_done:
        yield f"{report.source} was moved to {report.target} before; there is nothing left to do."
    else:
        yield from _table(report)
    yield f"Now set storage.url to {url}, and start the sidecar."
    yield f"{report.source} keeps its rows and no longer starts. The way back: docs/moving.md."


def _table(report: MoveReport) -> Iterator[str]:
    yield f"{'table':<14} {'rows':>14}  checksum, equal on both sides"
    for table in report.tables:
        yield f"{table.name:<14} {table.rows:>14,}  {table.checksum}"
    states = ", ".join(f"{rows:,} {state}" for state, rows in report.states.items()) or "none"
    yield f"Conversions and adjustments by state: {states}."


def _key_hint(source: str) -> Iterator[str]:
    """Apps go on with the key that they have."""
    with contextlib.suppress(OSError):
        if not is_postgres(source) and key_beside(file_of(source)) is not None:
            yield f"The key in {file_of(source)}.api-key stays there: put it into server.api_keys, or apps get 401."
