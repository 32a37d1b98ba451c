"""What happened, in three parts: `intake`, `delivery` and `service`; each event is one function of its part."""

import asyncio
import contextlib
from collections.abc import Callable

from sidecar import loops
from sidecar.core.instant import UnixMillis
from sidecar.ports.journal import Journal
from sidecar.ports.queries import UnstoredItems
from sidecar.telemetry import event_names, failure
from sidecar.telemetry.active_troubles import Board
from sidecar.telemetry.delivery import DeliveryEvents
from sidecar.telemetry.intake import IntakeEvents
from sidecar.telemetry.libraries import redirected
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.recorder import Recorder
from sidecar.telemetry.service import ServiceEvents

FLUSH_SECONDS = 0.5
"""How often facts are written to the journal: one fsync for all that came meanwhile."""

LAST_FLUSH_SECONDS = 2.0


class Telemetry:
    """Records what happens. No function of a part raises, blocks or awaits.

    `clock` gives Unix milliseconds; lines go to the descriptor `fd` in the `form` json or console. Facts wait in memory
    until `run(journal)`, which belongs into the app's TaskGroup and ends after `stop()`; call that before the committer
    is stopped. `board`, `metrics` and `followers` are there to be read.
    """

    def __init__(
        self, clock: Callable[[], UnixMillis], *, level: str = event_names.INFO, form: str = "json", fd: int = 1
    ) -> None:
        self.board = Board()
        self.metrics = Metrics()
        self._recorder = Recorder(clock, level, form, fd)
        self.followers = self._recorder.followers
        self.delivery = DeliveryEvents(self._recorder, self.metrics.delivery)
        self.service = ServiceEvents(self._recorder, self.metrics.service, self.board)
        self.intake = IntakeEvents(self._recorder, self.metrics.intake, self.delivery, self.service)
        self._stop = asyncio.Event()

    def hide(self, *secrets: str) -> None:
        """Mask these values wherever they occur from now on."""
        self._recorder.redactor.hide(secrets)

    def cleaned(self, text: str) -> str:
        """Return a text of others as it may be stored and shown: persons and secrets masked, on one line."""
        return self._recorder.redactor.text(text)

    def configure(self, level: str, form: str) -> None:
        """Change what goes to stdout and how; what the journal stores stays the same."""
        self._recorder.lines.configure(level, form)

    def library_logs(self) -> contextlib.AbstractContextManager[None]:
        """While this lasts the warnings of libraries are lines like all others, their secrets masked."""
        return redirected(self._library)

    async def run(self, journal: Journal, unstored: UnstoredItems | None = None) -> None:
        """Write facts into `journal` and traces to `unstored` until `stop`; then write the rest, and return."""
        while not self._stop.is_set():
            await self.flush(journal, unstored)
            await loops.wait_for(self._stop, FLUSH_SECONDS)
        self.intake.report_counted(last=True)
        self.service.clear_faded()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_FLUSH_SECONDS):
                await self._write(journal, unstored)
        self.followers.close()

    async def flush(self, journal: Journal, unstored: UnstoredItems | None = None) -> None:
        """Write the facts recorded so far."""
        self.intake.report_counted()
        self.service.clear_faded()
        await self._write(journal, unstored)
        if self.service.is_stopping:  # an open watch would hold up the end of the HTTP server
            self.followers.close()

    def stop(self) -> None:
        """End `run`."""
        self._stop.set()

    def close(self) -> None:
        """Write the last lines to stdout, for one second at most."""
        self._recorder.lines.close()

    async def _write(self, journal: Journal, unstored: UnstoredItems | None) -> None:
        if await self._recorder.flush(journal):
            # While storage fails there is at least that trouble to be written, so this comes once it works again.
            self.service.trouble_cleared("storage_failed")
            self.service.trouble_cleared("storage_unreachable")
        if unstored is not None:
            await self.intake.write_traces(unstored)

    def _library(self, level: str, logger: str, message: str, error: BaseException | None) -> None:
        facts = {} if error is None else {"error": failure.words(error), "traceback": failure.place(error)}
        self._recorder.log(event_names.LIBRARY, message, level=level, logger=logger, **facts)
