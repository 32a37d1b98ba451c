"""The wall clock of a process, turned by libfaketime while it runs."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
INSTALL = "libfaketime is needed for this check: install it (`apt-get install libfaketime`), Linux only"
needs_libfaketime = pytest.mark.skipif(LIBRARY is None, reason=INSTALL)
"""For the short forms; the long ones fail where it is missing."""

DAY = 86_400

Jump = int | str


@dataclass
class TurnedClock:
    """The wall clock of a process, by a file that libfaketime reads at every look."""

    file: Path

    def set(self, jump: Jump) -> None:
        """Seconds from the true time, or the year to which it jumps."""
        seconds = jump if isinstance(jump, int) else int((int(jump) - 1970 + 0.5) * 365.25 * DAY - time.time())
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self.file)

    def environment(self) -> dict[str, str]:
        assert LIBRARY is not None, INSTALL
        turned = {"FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1"}
        return {"LD_PRELOAD": str(LIBRARY), "FAKETIME_DONT_FAKE_MONOTONIC": "1", **turned}
