"""202 only after fsync: the order of the system calls themselves, as strace sees them."""

import asyncio
import signal
from pathlib import Path

import pytest
from process_kit import trace
from process_kit.running import Starter
from process_kit.service import Services, Sidecar, config
from promises import Show

ORDER = r"FSYNC-\d{6}"


# --- The oracle can fail ---------------------------------------------------------------------------------------------

WRITE = r'11 pwrite64(7</data/outbox.db-wal>, "\r\0\0FSYNC-000001purchase"..., 4096, 56) = 4096'
SYNC = "11 fdatasync(7</data/outbox.db-wal>) = 0"
ANSWER = r'10 sendto(9<socket:[5]>, "HTTP/1.1 202 Accepted\r\n{\"order_id\":\"FSYNC-000001\"}", 90, 0, NULL, 0) = 90'


@pytest.mark.parametrize(
    ("lines", "broken"),
    [
        ((WRITE, SYNC, ANSWER), 0),
        ((ANSWER,), 1),
        ((WRITE, ANSWER, SYNC), 1),
        ((SYNC, WRITE, ANSWER), 1),
        ((WRITE, SYNC.replace("= 0", "= -1 EIO (Input/output error)"), ANSWER), 1),
        ((WRITE, SYNC.replace("-wal", ""), ANSWER), 1),
        ((WRITE, SYNC.replace(") = 0", " <unfinished ...>"), ANSWER, "11 <... fdatasync resumed>) = 0"), 1),
        ((WRITE, SYNC.replace(") = 0", " <unfinished ...>"), "11 <... fdatasync resumed>) = 0", ANSWER), 0),
        ((SYNC.replace(") = 0", " <unfinished ...>"), WRITE, "12 <... fdatasync resumed>) = 0", ANSWER), 1),
        ((WRITE.replace(") = 4096", " <unfinished ...>"), SYNC, "11 <... pwrite64 resumed>) = 4096", ANSWER), 1),
        ((WRITE, SYNC, ANSWER.replace("sendto(", "writev(").replace('"HTTP', '[{iov_base="HTTP')), 0),
        ((WRITE.replace("000001", "000002"), SYNC, ANSWER), 1),
    ],
)
def test_oracle_finds_an_answer_that_leaves_before_its_row_is_fsynced(lines: tuple[str, ...], broken: int) -> None:
    verdict = trace.judge(lines, ORDER)
    assert verdict.answered == ["FSYNC-000001"]
    assert len(verdict.broken) == broken


# --- The service -----------------------------------------------------------------------------------------------------


async def _post(sidecar: Sidecar, first: int, count: int, concurrency: int) -> None:
    numbers = iter(range(first, first + count))

    async def client() -> None:
        for number in numbers:
            body = {"event": "purchase", "order_id": f"FSYNC-{number:06d}", "value": 1, "msclkid": f"{number:032x}"}
            answer = await sidecar.post(body)
            assert answer.status == 202, answer.text

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(client())


async def _trace(starter: Starter, services: Services, program: Path, answers: int) -> trace.Oracle:
    """Half of the answers one after another, half of them 32 at a time."""
    file = starter.folder / "trace.txt"
    running = await services.launch(config(None), before=trace.command(program, file))
    sidecar = await services.ready(running)
    await _post(sidecar, 0, answers // 2, concurrency=1)
    await _post(sidecar, answers // 2, answers - answers // 2, concurrency=32)
    running.signal(signal.SIGTERM)
    assert await running.ended() == 0
    return trace.judge(await trace.whole(file, running.pid), ORDER)


def _check(verdict: trace.Oracle, answers: int) -> None:
    assert sorted(verdict.answered) == [f"FSYNC-{number:06d}" for number in range(answers)]
    assert verdict.broken == []
    assert verdict.syncs >= answers // 2


@pytest.mark.promise("A1")
async def test_no_202_leaves_before_its_row_is_fsynced(starter: Starter, services: Services) -> None:
    """The short form: 100 answers."""
    program = trace.strace()
    if program is None:
        pytest.skip(trace.INSTALL)
    _check(await _trace(starter, services, program, 100), 100)


@pytest.mark.faults
@pytest.mark.promise("A1")
@pytest.mark.timeout(600)
async def test_no_202_of_1000_leaves_before_its_row_is_fsynced(
    starter: Starter, services: Services, shown: Show
) -> None:
    program = trace.strace()
    assert program is not None, trace.INSTALL
    verdict = await _trace(starter, services, program, 1_000)
    _check(verdict, 1_000)
    shown(f"{len(verdict.answered):,} answers", len(verdict.broken), f"{verdict.syncs:,} syncs of the WAL")
