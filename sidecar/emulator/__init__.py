"""The stand-in for Microsoft Advertising: sign-in, uploads, goals and reports over HTTPS, for first steps and tests.

It imports nothing of `sidecar.microsoft`, so that the two cannot share a mistake.
"""

from sidecar.emulator.options import ACCOUNT_ID, CUSTOMER_ID, SEED_REFRESH_TOKEN, EmulatorOptions, MappedGoal
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
