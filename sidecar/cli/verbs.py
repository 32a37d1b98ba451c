"""How the command finds its verbs: each one's module is imported only when it is asked for, so that all start quickly.

It also ends a verb quietly when Ctrl-C is pressed.
"""

import importlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import click

from sidecar.core.near import did_you_mean

INTERRUPTED = 130
"""What a shell expects of a command that SIGINT ended: 128 + 2."""


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb's name, the module that has it as a function of that name, and its line in `sidecar --help`."""

    name: str
    module: str
    line: str

    def load(self) -> click.Command:
        """The command itself."""
        command: click.Command = getattr(importlib.import_module(self.module), self.name)
        return command


class Verbs(click.Group):
    """A group that knows its verbs' names, and imports one to run it."""

    def __init__(self, *, verbs: Iterable[Verb], **settings: Any) -> None:
        super().__init__(**settings)
        self._verbs = {verb.name: verb for verb in verbs}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of a first use."""
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of that name, if there is one."""
        verb = self._verbs.get(cmd_name)
        return verb.load() if verb else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that the arguments begin with; wrong usage, with the nearest one, where there is none."""
        name = args[0]
        if name not in self._verbs and not name.startswith("-"):
            near = did_you_mean(name, self._verbs)
            ctx.fail(f"there is no verb {name!r}" + (f"; did you mean {near}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs in the help, without importing any."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb.name, verb.line) for verb in self._verbs.values()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; Ctrl-C ends it without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo(err=True)  # the shell's prompt starts on a line of its own
            ctx.exit(INTERRUPTED)


def wants_colour() -> bool | None:
    """False where colours are unwanted (https://no-color.org) or unknown; None: a terminal has them."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None
