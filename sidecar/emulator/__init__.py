"""The stand-in for Microsoft Advertising: sign-in, uploads, goals and reports over HTTPS, for first steps and tests.

It imports nothing of `sidecar.microsoft`, so that the two cannot share a mistake.
"""

from typing import TYPE_CHECKING, Any

from sidecar.emulator.options import ACCOUNT_ID, CUSTOMER_ID, SEED_REFRESH_TOKEN, EmulatorOptions, MappedGoal

if TYPE_CHECKING:
    from sidecar.emulator.server import Emulator
    from sidecar.emulator.state import UnusableState

__all__ = [
    "ACCOUNT_ID",
    "CUSTOMER_ID",
    "SEED_REFRESH_TOKEN",
    "Emulator",
    "EmulatorOptions",
    "MappedGoal",
    "UnusableState",
]


def __getattr__(name: str) -> Any:
    """Load the emulator itself where one is run: a sidecar that sends to Microsoft has 4 MiB less without it."""
    if name not in {"Emulator", "UnusableState"}:
        raise AttributeError(f"module {__name__} has no {name}")
    from sidecar.emulator import server, state

    return {"Emulator": server.Emulator, "UnusableState": state.UnusableState}[name]
