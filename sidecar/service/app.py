"""Runs the service: opens its parts, runs them under one TaskGroup, closes them."""

import asyncio
import contextlib
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar import __version__, loops
from sidecar.config import Config, ConfigError, changes, load
from sidecar.core.clock import SteadyClock
from sidecar.emulator import EmulatorOptions
from sidecar.ports.errors import StorageBroken, StorageUnavailable
from sidecar.service.http import CannotListen, served
from sidecar.service.runtime import Runtime, chance, elapsed, now
from sidecar.service.settings import Settings
from sidecar.service.wiring import Components, open_parts
from sidecar.store.store_url import shown
from sidecar.telemetry import ActiveTrouble, Telemetry

if TYPE_CHECKING:
    from sidecar.emulator import Emulator

STOP_SECONDS = 14.0
"""A stop that takes longer is cut short: some thread waits for a file or a host that does not answer."""

GIVE_UP_SECONDS = 10.0
"""After this time a stop waits no longer for a database server: the grace times of requests are over by then."""

NEW_OBJECTS = 50_000
"""How many new objects start a garbage collection. Python's default of 700 is less than one bulk request makes."""


def spare_the_collector() -> None:
    """Exclude all present objects from garbage collection: they live until the end.

    The collector took a seventh of the CPU time of bulk requests, and stopped everything for 40 ms at a time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)


async def serve(path: Path, config: Config, warnings: Sequence[str] = ()) -> int:
    """Run the service until it is stopped: 0, or 1 when storage broke. OutboxRefused when it cannot start.

    `warnings` name probable mistakes in the file, for the log.
    """
    steady = SteadyClock(now, elapsed)
    telemetry = Telemetry(steady.now, level=config.logging.level, form=config.logging.format)
    telemetry.hide(*Settings(config).secrets())
    for warning in warnings:
        telemetry.service.configuration_doubted(warning)
    try:
        with telemetry.library_logs():
            async with contextlib.AsyncExitStack() as stack:
                clock = Runtime(steady.now, time.monotonic, chance, steady, follows_store=True)
                parts = await open_parts(stack, Settings(config, tuple(warnings)), telemetry, clock)
                return await Service(path, parts, clock).run()
    finally:
        telemetry.close()


async def run_emulator(options: EmulatorOptions, introduce: "Callable[[Emulator], None]") -> int:
    """Run the emulator alone until a signal comes; `introduce` is called once it serves."""
    from sidecar.emulator import Emulator

    stop = asyncio.Event()
    async with Emulator(options, now) as emulator:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        introduce(emulator)
        await stop.wait()
    return 0


def _end_within(seconds: float) -> None:
    """End the process after that time: what was answered 202 is on disk, and leases expire by themselves.

    The timer is never cancelled, since Python itself may wait for a hanging thread at its end.
    """
    timer = threading.Timer(seconds, _end_at_once)
    timer.daemon = True
    timer.start()


def _end_at_once() -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"The stop took too long, since a thread still waits: ended at once. Nothing stored is lost.\n")
    os._exit(1)


@dataclass(slots=True)
class Service:
    """Runs the parts as tasks, and reloads the configuration on SIGHUP."""

    path: Path
    """The configuration file, read again on SIGHUP."""
    parts: Components
    clock: Runtime
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _reload_wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _why: str = "asked to"

    async def run(self) -> int:
        """Serve until a signal, then finish what is in hand. CannotListen and StorageUnavailable at the start."""
        try:
            with self._signals():
                async with asyncio.TaskGroup() as tasks:
                    await self._serve(tasks)
        except* StorageBroken as broken:
            self._end_on_broken_storage(broken.exceptions[0])
        except* (CannotListen, StorageUnavailable) as refused:
            raise refused.exceptions[0] from None
        return 0

    def _end_on_broken_storage(self, error: BaseException) -> None:
        """End at once with 1: an orderly close would write to a file that can no longer be trusted."""
        place = shown(self.parts.settings.config.storage.url)
        self.parts.telemetry.service.trouble_raised("storage_broken", detail=f"{place}: {error}")
        self.parts.telemetry.close()
        os._exit(1)

    async def _serve(self, tasks: asyncio.TaskGroup) -> None:
        """Start the tasks, serve until the stop, then end each part when its work is done."""
        parts = self.parts
        tasks.create_task(parts.store.run())
        recording = tasks.create_task(parts.telemetry.run(parts.store.journal, parts.store.unstored))
        delivery = tasks.create_task(parts.flusher.run())
        works = (parts.tokens.run(), parts.catalogue.run(), parts.eraser.run(), parts.reports.run())
        endless = [tasks.create_task(work) for work in (*works, parts.store.check(), self._reloads())]
        tasks.create_task(parts.housekeeping.run(self._stopping))
        await self._prepare(parts.settings)
        tasks.create_task(parts.holdings.run())
        spare_the_collector()
        async with served(parts, self.clock) as url:
            if parts.alerts is not None:
                endless.append(tasks.create_task(parts.alerts.run(parts.settings.dashboard(url))))
            parts.telemetry.service.started(__version__, url, parts.settings.config.microsoft.environment)
            await self._stopping.wait()
            parts.telemetry.service.stopping(self._why)
            parts.flusher.stop()  # while the last requests are answered, so that both grace times run together
        await delivery
        await parts.holdings.leave()
        for task in endless:
            task.cancel()
        parts.telemetry.service.stopped()
        parts.telemetry.stop()
        await recording
        parts.store.stop()

    async def _prepare(self, settings: Settings) -> None:
        """Prepare lanes, couriers and the emulator's goals for `settings` that are about to be in force."""
        emulator = self.parts.emulator
        if emulator is not None:
            await emulator.add_goals(settings.mapped_goals())
            await emulator.add_accounts((ids.customer_id, ids.account_id) for ids in settings.accounts().values())
        await self.parts.store.outbox.open_lanes(settings.lanes())
        await self.parts.store.outbox.know_ids(settings.identities())
        if not self.parts.store.leases.is_shared:
            self.parts.catalogue.expect(tuple(settings.config.accounts))
            self.parts.flusher.serve(tuple(settings.config.accounts))

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number.name)
        loop.add_signal_handler(signal.SIGHUP, self._reload_wanted.set)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _stop(self, name: str) -> None:
        """Stop in order at the first signal, at once at a second one: what was answered 202 is on disk."""
        if self._stopping.is_set():
            os._exit(1)
        _end_within(STOP_SECONDS)
        asyncio.get_running_loop().call_later(GIVE_UP_SECONDS, self.parts.store.give_up)
        self._why = f"received {name}"
        self._stopping.set()

    async def _reloads(self) -> None:
        while True:
            await loops.wait_for_wake(self._reload_wanted, None)
            await self._reload()

    async def _reload(self) -> None:
        """Read the file again. If that fails the old configuration stays in force."""
        telemetry, settings = self.parts.telemetry, self.parts.settings
        try:
            loaded = await asyncio.to_thread(load, self.path, os.environ)
            config = loaded.config
            reloadable, restart = changes(settings.config, config)
            await self._prepare(settings.with_reloaded(config))
        except (ConfigError, StorageUnavailable) as error:
            telemetry.service.reload_failed(str(error))
        except Exception as error:  # the edge of a loop: a failed reload must not stop the service
            telemetry.service.reload_failed(type(error).__name__)
            telemetry.service.loop_failed("reload", error)
        else:
            settings.config = settings.with_reloaded(config).config
            self._apply_configuration()
            self.parts.holdings.changed()
            self.parts.pauses.report()
            self.parts.catalogue.reloaded()
            self.parts.gates.retry_now()
            changed = f"changed: {', '.join(reloadable) or 'nothing'}"
            later = f"; only after a restart: {', '.join(restart)}" if restart else ""
            telemetry.service.reloaded(changed + later, await self._report_unmapped())
            settings.warnings = [warning.text(str(self.path)) for warning in loaded.warnings]
            for warning in settings.warnings:
                telemetry.service.configuration_doubted(warning)

    async def _report_unmapped(self) -> Sequence[ActiveTrouble]:
        """Report the rows that wait for what the configuration no longer has."""
        try:
            return await self.parts.waiting.look_at_unmapped()
        except Exception as error:  # the configuration is in force already
            self.parts.telemetry.service.loop_failed("reload", error)
            return ()

    def _apply_configuration(self) -> None:
        """Apply the new configuration to log, troubles and gates, which forget goals and accounts that left."""
        settings, telemetry = self.parts.settings, self.parts.telemetry
        goals, accounts = settings.goals_of_accounts(), set(settings.config.accounts)
        telemetry.configure(settings.config.logging.level, settings.config.logging.format)
        telemetry.board.set_accounts(accounts)
        telemetry.intake.matches.retain({goal for _, goal in goals})
        self.parts.gates.forget_but(accounts, goals)
        telemetry.service.configuration_changed(accounts, goals)
