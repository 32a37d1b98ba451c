"""A full disk: intake says so at once and loses nothing, delivery goes on, and intake comes back by itself."""

import asyncio
import random
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from process_kit import shop
from process_kit.emulator import microsoft
from process_kit.expected import Timed, differences, held, received, second
from process_kit.patient import identified
from process_kit.power import order_ids
from process_kit.running import Starter
from process_kit.service import EVENTS, GOALS, Answer, Json, Services, Sidecar, config
from promises import Show

MIB = 2**20
SMALL_DISK = 24 * MIB
NONE = "1KiB"
"""As good as no reserve: SQLite itself finds the disk full."""
INSTALL = "mounting a small file system needs root on Linux"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, of SMALL_DISK bytes."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(folder)], check=False)
    if mounted.returncode != 0:
        pytest.skip(INSTALL)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as folder:
        yield folder


@dataclass
class Ballast:
    """A file that takes the room away, and gives it back."""

    file: Path

    def leave(self, left: int) -> None:
        room = shutil.disk_usage(self.file.parent).free - left
        with self.file.open("wb") as opened:
            for _ in range(max(0, room) // 4_096):
                opened.write(bytes(4_096))

    def fill(self) -> None:
        """Every byte."""
        try:
            with self.file.open("wb", buffering=0) as opened:
                while opened.write(bytes(4_096)):
                    pass
        except OSError:
            return

    def remove(self) -> None:
        self.file.unlink()


class Backend:
    """Posts an order again and again until it is taken, then the next; what it was answered, and when."""

    def __init__(self, orders: list[Json]) -> None:
        self.orders = orders
        self.taken: list[Json] = []
        self.refusals: list[Answer] = []
        self.changed_at: dict[int, float] = {}
        """When the status became another, for the last time."""
        self.status = 0

    async def run(self, sidecar: Sidecar) -> None:
        """Until it is cancelled."""
        for order in self.orders:
            while (answer := await sidecar.post(order)).status != 202:
                self._note(answer)
                self.refusals.append(answer)
                await asyncio.sleep(0.01)
            self._note(answer)
            self.taken.append(order)

    def _note(self, answer: Answer) -> None:
        if answer.status != self.status:
            self.status, self.changed_at[answer.status] = answer.status, time.monotonic()

    async def until(self, status: int, since: float) -> float:
        """Seconds from `since` until that status."""
        async with asyncio.timeout(60):
            while self.status != status or self.changed_at[status] < since:
                await asyncio.sleep(0.005)
        return self.changed_at[status] - since

    async def until_taken(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.taken) < count:
                await asyncio.sleep(0.005)


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    chance = random.Random(5)
    orders = identified(shop.orders(int(time.time()), step=1))
    chance.shuffle(orders)
    return Backend(orders[:20_000])


@dataclass
class Seen:
    """What one trial saw."""

    refused_after: float
    back_after: float
    taken: int
    lost: int


async def _fill_up(services: Services, disk: Path, backend: Backend, *, reserve: str) -> Seen:
    """The disk fills up under load and is freed again; everything that was taken reaches Microsoft once."""
    starter = services.starter
    there = await starter.stack.enter_async_context(microsoft(starter, *GOALS))
    database = disk / "outbox.db"
    settings = config(there, storage={"url": f"sqlite:///{database}", "min_free_disk": reserve})
    sidecar = await services.start(settings)
    ballast = Ballast(disk / "ballast")
    posting = asyncio.create_task(backend.run(sidecar))
    await backend.until_taken(200)
    started = time.monotonic()
    ballast.fill() if reserve == NONE else ballast.leave(6 * MIB)
    refused_after = await backend.until(503, started)
    await _check_while_full(sidecar, backend, flushes=reserve != NONE)
    freed = time.monotonic()
    ballast.remove()
    back_after = await backend.until(202, freed)
    await backend.until_taken(len(backend.taken) + 200)
    posting.cancel()
    await asyncio.wait([posting])
    await sidecar.settled(60)
    assert (await sidecar.get("/healthz"))["checks"]["storage"]["status"] == "ok"
    await sidecar.running.kill()  # a file that a process writes to cannot be copied whole
    stored = order_ids(database)
    lost = {order["order_id"] for order in backend.taken} - stored
    taken = [order for order in backend.orders if order["order_id"] in stored]
    told = differences(_wanted(taken), [received(row["raw"]) for row in await there.ledger()])
    assert not told, told[:3]
    return Seen(refused_after, back_after, len(backend.taken), len(lost))


def _wanted(orders: list[Json]) -> list[Timed]:
    return [(held(order, EVENTS), second(order["time"])) for order in orders]


async def _check_while_full(sidecar: Sidecar, backend: Backend, *, flushes: bool) -> None:
    """The refusal says when to come back, reading works, and with a reserve everything that waits goes out."""
    problem = backend.refusals[-1]
    assert problem.headers["Retry-After"]
    assert "disk_nearly_full" in problem.text, problem.text
    assert (await sidecar.get("/v1/conversions?limit=1"))["items"]
    assert (await _health(sidecar))["checks"]["disk"]["status"] == "down"
    async with asyncio.timeout(60):
        while flushes and (await _health(sidecar))["outbox"]["pending"]:
            await asyncio.sleep(0.05)


async def _health(sidecar: Sidecar) -> Json:
    page: Json = (await sidecar.call("GET", "/healthz")).json()
    return page


async def test_reserve_keeps_delivery_going_while_intake_waits_for_room(
    services: Services, disk: Path, backend: Backend
) -> None:
    assert (await _fill_up(services, disk, backend, reserve="8MiB")).lost == 0


async def test_disk_without_a_reserve_that_is_full_to_the_last_byte_loses_nothing(
    services: Services, disk: Path, backend: Backend
) -> None:
    """SQLite itself finds no room."""
    assert (await _fill_up(services, disk, backend, reserve=NONE)).lost == 0


async def test_file_that_may_not_grow_refuses_intake_until_it_may(services: Services, backend: Backend) -> None:
    """`ulimit -f`: another error of SQLite's than a full disk."""
    sidecar = await services.start(config(None))
    posting = asyncio.create_task(backend.run(sidecar))
    await backend.until(202, 0)
    pid = str(sidecar.running.pid)
    limited = time.monotonic()
    subprocess.run(["prlimit", "--pid", pid, "--fsize=16384:unlimited"], check=True)
    await backend.until(503, limited)
    assert "storage_failed" in backend.refusals[-1].text, backend.refusals[-1].text
    freed = time.monotonic()
    subprocess.run(["prlimit", "--pid", pid, "--fsize=unlimited"], check=True)
    await backend.until(202, freed)
    posting.cancel()
    await asyncio.wait([posting])
    await sidecar.running.kill()
    assert {order["order_id"] for order in backend.taken} <= order_ids(services.starter.folder / "outbox.db")


@pytest.mark.faults
@pytest.mark.promise("A4")
@pytest.mark.timeout(1_800)
async def test_disks_that_fill_up_lose_nothing(
    starter: Starter, services: Services, backend: Backend, tmp_path_factory: pytest.TempPathFactory, shown: Show
) -> None:
    seen = []
    for number in range(10):
        starter.folder = tmp_path_factory.mktemp("full")
        with small_disk(starter.folder / "disk") as disk:
            trial = Backend(backend.orders[2_000 * number : 2_000 * (number + 1)])
            seen.append(await _fill_up(services, disk, trial, reserve=("8MiB", NONE)[number % 2]))
    assert max(one.refused_after for one in seen) <= 1
    assert max(one.back_after for one in seen) <= 5
    shown(
        f"10 disks filled under load, {sum(one.taken for one in seen):,} orders taken",
        sum(one.lost for one in seen),
        f"503 after {max(one.refused_after for one in seen):.2f} s at most, "
        f"back after {max(one.back_after for one in seen):.2f} s at most",
    )
