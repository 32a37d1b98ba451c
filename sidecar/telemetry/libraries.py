"""The standard loggers of libraries, turned into our own lines: warnings and errors only, at any configured level.

Below that aiohttp, msal, urllib3 and aiosqlite print bodies, tokens and the parameters of statements.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator

from sidecar.telemetry.event_names import ERROR, WARNING

TALKATIVE = ("aiohttp", "aiosqlite", "asyncio", "msal", "requests", "urllib3")

Log = Callable[[str, str, str, BaseException | None], None]
"""Level, logger, message, error."""


class _Handler(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = ERROR if record.levelno >= logging.ERROR else WARNING
            error = record.exc_info[1] if record.exc_info else None
            self._log(level, record.name, record.getMessage(), error)
        except Exception:
            self.handleError(record)


@contextlib.contextmanager
def redirected(log: Log) -> Iterator[None]:
    """While this lasts every standard logger calls `log`, from any thread, and has no other handler."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    root.handlers[:] = [_Handler(log)]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = before
        root.setLevel(level)
