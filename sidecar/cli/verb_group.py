"""The click group behind `sidecar`: imports a verb's module only to run it, and exits quietly on Ctrl-C."""

import os
from collections.abc import Iterable
from typing import Any

import click

from sidecar.cli.verbs import Verb
from sidecar.core.did_you_mean import did_you_mean

INTERRUPTED = 130
"""The exit code that a shell expects of a command that SIGINT ended: 128 + 2."""


class VerbGroup(click.Group):
    """A group that knows its verbs by name, so that `--help` imports none of them."""

    def __init__(self, *, verbs: Iterable[Verb], **settings: Any) -> None:
        super().__init__(**settings)
        self._verbs = {verb.name: verb for verb in verbs}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of a first use."""
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, if there is one."""
        verb = self._verbs.get(cmd_name)
        return verb.load() if verb else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that the arguments begin with. An unknown one is wrong usage, and the nearest is suggested."""
        name = args[0]
        if name not in self._verbs and not name.startswith("-"):
            near = did_you_mean(name, self._verbs)
            ctx.fail(f"there is no verb {name!r}" + (f"; did you mean {near}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the verbs with their lines into the help."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb.name, verb.line) for verb in self._verbs.values()])

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the verb; Ctrl-C prints nothing but a line break."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo(err=True)  # the shell's prompt starts on a new line
            ctx.exit(INTERRUPTED)


def wants_colour() -> bool | None:
    """False where colours are unwanted (https://no-color.org) or unknown; None: a terminal has them."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None
