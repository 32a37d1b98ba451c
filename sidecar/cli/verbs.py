"""The registry of verbs. A new verb is one line here and a module of its name that holds a command of its name."""

import importlib
import keyword
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb's name and its line in `sidecar --help`."""

    name: str
    line: str

    def load(self) -> click.Command:
        """The command, imported only now. A name that Python reserves (`import`) gets an underscore."""
        name = self.name + "_" * keyword.iskeyword(self.name)
        command: click.Command = getattr(importlib.import_module(f"sidecar.cli.{name}"), name)
        return command


VERBS = (
    Verb("init", "Write the configuration, a commented example."),
    Verb("run", "The service."),
    Verb("check", "Validate the configuration and show what is in force."),
    Verb("doctor", "Check everything; for each fault its cause and what to do."),
    Verb("status", "How it is, in one sentence; then checks, what waits, goals."),
    Verb("connect", "Sign in to Microsoft Advertising."),
    Verb("accounts", "The ad accounts that the signed-in user can reach, as YAML to paste."),
    Verb("goals", "The ad accounts' goals: list, plan, apply."),
    Verb("send", "Send one conversion, for a first try."),
    Verb("hash", "Each step of normalising an e-mail or phone, and its hash."),
    Verb("logs", "Print what happened, and watch."),
    Verb("explain", "What happened to an order, why, and what to do."),
    Verb("restate", "Correct the value of an order."),
    Verb("retract", "Take an order back."),
    Verb("clicks", "Which ad clicks were captured of a visitor."),
    Verb("replay", "Send dead or skipped conversions again."),
    Verb("erase", "Forget everything that identifies a person."),
    Verb("pause", "Stop the delivery of an account; conversions are stored meanwhile."),
    Verb("resume", "Start the delivery of a paused account again."),
    Verb("alerts", "Whether alerts arrive: test."),
    Verb("backup", "A consistent copy of the outbox, also while the sidecar runs."),
    Verb("migrate", "Move the outbox to another database, with everything on its way."),
    Verb("emulator", "The Microsoft Advertising stand-in alone, for your own tests."),
)
