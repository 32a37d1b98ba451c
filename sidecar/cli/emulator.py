"""`sidecar emulator`: the Microsoft Advertising stand-in alone; prints how to point a sidecar at it."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import click

from sidecar.cli.config_option import exit_with
from sidecar.core.start_errors import cannot_listen
from sidecar.emulator import Emulator, EmulatorOptions, MappedGoal, UnusableState
from sidecar.service.app import run_emulator

_LOOPBACK = ("127.0.0.1", "::1", "localhost")

_SETTINGS = """\
microsoft:
  environment: emulator
  endpoints:
    campaign: {campaign}
    customer: {customer}
    authority: {authority}
  ca_bundle: {ca_bundle}"""


def _checked_names(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    if not all(re.fullmatch(r"[0-9A-Za-z_.:*-]{1,253}", name) for name in given):
        raise click.BadParameter("a name has letters, digits, points and hyphens; write others as xn--...")
    return given


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8443, show_default=True, help="Port; 0 takes any.")
@click.option(
    "--host-name",
    "host_names",
    multiple=True,
    callback=_checked_names,
    help="Further name in its certificate; repeatable.",
)
@click.option("--ca-out", metavar="FILE", type=click.Path(path_type=Path), help="Write its certificate authority here.")
@click.option("--state", "state_file", metavar="FILE", type=click.Path(path_type=Path), help="Store its state here.")
@click.option("--goal", "goals", multiple=True, help="A conversion goal that exists from the start; repeatable.")
@click.option(
    "--account",
    "accounts",
    nargs=2,
    multiple=True,
    metavar="CUSTOMER_ID ACCOUNT_ID",
    help="A known account; repeatable. Without one every pair of numbers is.",
)
@click.option(
    "--requests-per-minute", type=click.IntRange(1), default=1000, show_default=True, help="Limit per customer."
)
@click.option("--developer-token", default="", help="The only one it accepts; default any.")
@click.option("--client-id", default="", help="The only application that may sign in; default any.")
@click.option("--client-secret", default="", help="What that application must present; default any.")
@click.option(
    "--access-token-seconds", type=click.IntRange(1), default=3600, show_default=True, help="How long one is valid."
)
@click.option("--revoke-used-refresh-tokens", is_flag=True, help="A refresh token works once; Microsoft's last longer.")
@click.option(
    "--enhanced-terms/--no-enhanced-terms",
    "enhanced_terms_accepted",
    default=True,
    show_default=True,
    help="Whether goals may use enhanced conversions.",
)
@click.option("--control/--no-control", default=True, show_default=True, help="Serve /_emulator/ (faults, ledger).")
def emulator(goals: tuple[str, ...], host_names: tuple[str, ...], ca_out: Path | None, **options: Any) -> None:
    """Run the Microsoft Advertising stand-in alone, for your own tests, until SIGTERM or Ctrl-C.

    It speaks HTTPS with a certificate of its own making: --ca-out writes the authority that clients must trust. What
    it checks, and the faults it can simulate, are in docs/emulator.md.
    """
    names = (*EmulatorOptions().host_names, *host_names)
    mapped = tuple(MappedGoal(name=name) for name in goals)
    settings = EmulatorOptions(goals=mapped, host_names=names, **options)
    os.umask(0o077)
    try:
        sys.exit(asyncio.run(run_emulator(settings, lambda started: _print_settings(started, ca_out))))
    except BrokenPipeError:  # the reader of our output is gone
        raise
    except OSError as error:
        exit_with(1, _reason(error, settings))
    except (ValueError, UnusableState) as error:
        exit_with(1, f"the emulator cannot start: {error}")


def _reason(error: OSError, settings: EmulatorOptions) -> str:
    """Why it cannot start. Only the error of a file has a file name; any other is of the address."""
    if error.filename is not None:
        return f"the emulator cannot start: {error.filename}: {error.strerror}"
    why = cannot_listen(settings.host, settings.port, error, host_key="--host", port_key="--port")
    return f"the emulator cannot start: {why}"


def _print_settings(started: Emulator, ca_out: Path | None) -> None:
    """Writes the certificate authority, then prints the configuration of a sidecar."""
    if ca_out is not None:
        ca_out.write_text(started.ca_pem)
    click.echo(f"Microsoft Advertising stand-in on {started.url}")
    click.echo("In a sidecar's configuration, which then needs no credentials:\n")
    click.echo(
        _SETTINGS.format(
            campaign=started.campaign,
            customer=started.customer,
            authority=started.authority,
            ca_bundle=ca_out.absolute() if ca_out else "…  # start it with --ca-out FILE and name that file here",
        )
    )
    if started.options.control:
        click.echo(f"\nFaults, clicks and what it received: {started.url}/_emulator/summary, see docs/emulator.md")
    if started.options.control and started.options.host not in _LOOPBACK:
        click.echo("Nothing guards /_emulator/ from programs: any that reaches this address may use it.", err=True)
