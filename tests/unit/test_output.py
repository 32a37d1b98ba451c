"""Log lines leave through a thread of their own: the service goes on with any reader, or none."""

import fcntl
import os
import threading
from collections.abc import Iterator

import pytest

from sidecar.telemetry.output import Output


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that holds one page only, as (read, write); the test may close either end."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    yield read, write
    for end in (read, write):
        try:
            os.close(end)
        except OSError:
            continue


def drain(read: int) -> list[str]:
    chunks = []
    while chunk := os.read(read, 65536):
        chunks.append(chunk)
    return b"".join(chunks).decode().splitlines()


def closed_under_a_reader(output: Output, read: int, write: int) -> list[str]:
    """The lines that a reader gets, who begins when the output is about to close."""
    lines: list[str] = []
    reading = threading.Thread(target=lambda: lines.extend(drain(read)))
    reading.start()
    output.close(timeout_seconds=60)
    os.close(write)
    reading.join(60)
    return lines


def notice(n: int) -> str:
    return f"dropped {n}"


def test_lines_come_out_in_order(pipe: tuple[int, int]) -> None:
    read, write = pipe
    output = Output(write, notice)
    for number in range(50):
        output.put(f"line {number}")
    output.close(timeout_seconds=60)
    os.close(write)
    assert drain(read) == [f"line {number}" for number in range(50)]


def test_pipe_without_a_reader_stalls_neither_the_caller_nor_the_end(pipe: tuple[int, int]) -> None:
    read, write = pipe
    output = Output(write, notice, limit=100)
    for _ in range(10_000):
        output.put("x" * 200)
    assert output.dropped > 0
    output.close(timeout_seconds=0.05)
    assert output._thread is not None
    assert output._thread.is_alive(), "it waits for the reader, and was not waited for"
    os.close(read)  # lets the thread go
    output.close(timeout_seconds=60)
    assert not output._thread.is_alive()


def test_number_of_dropped_lines_is_written_once_output_flows_again(pipe: tuple[int, int]) -> None:
    read, write = pipe
    output = Output(write, notice, limit=100)
    for number in range(1_000):
        output.put(f"{number} {'x' * 200}")
    lines = closed_under_a_reader(output, read, write)
    told = [int(line.split()[1]) for line in lines if line.startswith("dropped")]
    assert sum(told) == 1_000 - (len(lines) - len(told)) > 0


def test_reader_that_went_away_ends_nothing(pipe: tuple[int, int]) -> None:
    read, write = pipe
    os.close(read)
    output = Output(write, notice)
    output.put("nobody reads this")
    output.close(timeout_seconds=60)
    assert output.dropped == 1


def test_descriptor_that_another_process_made_non_blocking_still_gets_every_line(pipe: tuple[int, int]) -> None:
    read, write = pipe
    os.set_blocking(write, False)
    output = Output(write, notice)
    for number in range(200):
        output.put(f"{number} {'x' * 200}")
    lines = closed_under_a_reader(output, read, write)
    assert [int(line.split()[0]) for line in lines] == list(range(200))


def test_dropped_lines_without_a_notice_stay_counted(pipe: tuple[int, int]) -> None:
    """The notice itself was lost with the reader."""
    read, write = pipe
    output = Output(write, notice, limit=100)
    for _ in range(1_000):
        output.put("x" * 200)
    os.close(read)
    output.close(timeout_seconds=60)
    assert output.dropped >= 900
