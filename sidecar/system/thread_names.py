"""Names of threads as the operating system shows them: in `top -H`, and in the CPU time by thread of `make bench`."""

import contextlib
from pathlib import Path


def name_thread(name: str) -> None:
    """Name the calling thread, in at most 15 letters; nothing happens where the system has no such names."""
    with contextlib.suppress(OSError):
        Path("/proc/thread-self/comm").write_text(name)
