"""The command `sidecar`. Verbs that act on conversions call a running sidecar, which owns the data."""

import click

from sidecar import __version__
from sidecar.cli.verb_group import VerbGroup, wants_colour
from sidecar.cli.verbs import VERBS


@click.group(
    cls=VerbGroup,
    verbs=VERBS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "color": wants_colour()},
)
@click.version_option(__version__, prog_name="sidecar")
def main() -> None:
    """Carries conversions from any backend to Microsoft Advertising.

    `sidecar VERB --help` explains a verb. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
    """
