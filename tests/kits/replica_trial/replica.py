"""One replica: a process with its own folder, configuration and cables to the database, which lives many lives."""

import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from process_kit.running import Running, Starter
from process_kit.service import LISTENING, Json, Services, Sidecar

from replica_trial.cable import Cable


@dataclass
class Replica:
    """A replica by its name; `sidecar` while it listens."""

    name: str
    services: Services
    settings: Json
    cables: Sequence[Cable]
    before: Sequence[str] = ()
    """A command line that runs it: a planted fault."""
    env: dict[str, str] = field(default_factory=dict)
    sidecar: Sidecar | None = None
    lives: int = 0
    running: Running | None = None

    async def start(self) -> Sidecar:
        """One more life."""
        self.lives += 1
        self.running = await self.services.launch(self.settings, before=self.before, env=self.env)
        found = await self.running.output_matching(LISTENING)
        self.sidecar = Sidecar(self.running, found, self.services.session)
        return self.sidecar

    async def start_again(self) -> None:
        """Start it, again where it ends because the database is away."""
        while self.sidecar is None:
            try:
                await self.start()
            except AssertionError:
                await self.kill()

    async def kill(self) -> None:
        """End it with SIGKILL."""
        self.sidecar, running = None, self.running
        if running is not None:
            await running.kill()

    async def stop(self) -> None:
        """End it in order, as a rolling restart does."""
        self.sidecar, running = None, self.running
        if running is not None and not running.is_over:
            running.signal(signal.SIGTERM)
            await running.ended()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Its process is stopped within the block, as by a long pause of its machine."""
        running = self.running
        assert running is not None
        running.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            running.signal(signal.SIGCONT)


def replica(
    name: str, folder: Path, session: aiohttp.ClientSession, settings: Json, cables: Sequence[Cable], database: str
) -> Replica:
    """A replica that is not started yet, with a folder below `folder`."""
    own = folder / name.replace(" ", "-")
    own.mkdir()
    hosts = ",".join(f"127.0.0.1:{one.listening_on}" for one in cables)
    url = f"postgresql://sidecar@{hosts}/{database}?target_session_attrs=read-write"
    whole = {**settings, "storage": {"url": url}}
    return Replica(name, Services(Starter(own), session), whole, cables)


def planted(fault: str) -> tuple[str, ...]:
    """The command line that runs a sidecar with that fault of `planted`."""
    return sys.executable, str(Path(__file__).with_name("planted.py")), fault
