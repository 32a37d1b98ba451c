"""The command `sidecar`: its verbs. Those that act on conversions talk to a running sidecar, so there is one truth."""

import click

from sidecar import __version__
from sidecar.cli.verbs import Verb, Verbs, wants_colour

_VERBS = (
    Verb("run", "sidecar.cli.running", "The service."),
    Verb("check", "sidecar.cli.checking", "Validate the configuration and show what is in force."),
    Verb("status", "sidecar.cli.status", "How it is, in one sentence; then checks, what waits, goals."),
    Verb("connect", "sidecar.cli.connecting", "Sign in to Microsoft Advertising."),
    Verb("goals", "sidecar.cli.goals", "The ad accounts' goals: list, plan, apply."),
    Verb("send", "sidecar.cli.sending", "Send one conversion, for a first try."),
    Verb("hash", "sidecar.cli.hashing", "Each step of normalising an e-mail or phone, and its hash."),
    Verb("logs", "sidecar.cli.journal", "Print what happened, and watch."),
    Verb("explain", "sidecar.cli.explaining", "What happened to an order, why, and what to do."),
    Verb("restate", "sidecar.cli.adjusting", "Correct the value of an order."),
    Verb("retract", "sidecar.cli.adjusting", "Take an order back."),
    Verb("clicks", "sidecar.cli.visits", "Which ad clicks were captured of a visitor."),
    Verb("replay", "sidecar.cli.replaying", "Send dead or skipped conversions again."),
    Verb("erase", "sidecar.cli.erasing", "Forget everything that identifies a person."),
    Verb("pause", "sidecar.cli.pausing", "Stop the delivery of an account; conversions are kept."),
    Verb("resume", "sidecar.cli.pausing", "Let a paused account go on."),
    Verb("backup", "sidecar.cli.backing_up", "A consistent copy of the outbox, also while the sidecar runs."),
    Verb("emulator", "sidecar.cli.emulating", "The Microsoft Advertising stand-in alone, for your own tests."),
)


@click.group(
    cls=Verbs,
    verbs=_VERBS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "color": wants_colour()},
)
@click.version_option(__version__, prog_name="sidecar")
def main() -> None:
    """Carries conversions from any backend to Microsoft Advertising.

    `sidecar VERB --help` tells more of each verb. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
    """
