"""Reads a system call trace: did an answer leave before its row was fsynced? Knows strace's format, nothing of ours.

The rule for each order: its page of the write-ahead log is written, then that file is fsynced without an error.
Only after that may an answer leave that names the order.
"""

import asyncio
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

WRITES = ("pwrite64", "pwritev", "write", "writev", "sendto", "sendmsg")
SYNCS = ("fsync", "fdatasync")

INSTALL = "strace is needed for this check: install it (`apt-get install strace`, `dnf install strace`), Linux only"

_LINE = re.compile(r"(?P<pid>\d+)\s+(?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\(\d+<(?P<file>[^>]*)>(?P<text>.*)")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<text>.*)")
_RESULT = re.compile(r"\)\s+= (?P<result>-?\d+)(?: .*)?$")


def strace() -> Path | None:
    """Where strace is, if it is."""
    found = shutil.which("strace")
    return Path(found) if found else None


def command(program: Path, trace_file: Path) -> list[str]:
    """The command line before the one that is to be traced, which keeps the process number; nothing is cut short."""
    calls = ",".join((*WRITES, *SYNCS))
    shown = f"-D -f -y -s 70000 -e trace={calls} -e signal=none".split()
    return [str(program), *shown, "-o", str(trace_file)]


async def whole(trace_file: Path, pid: int, seconds: float = 60.0) -> list[str]:
    """The lines of the trace once strace, which outlives the process `pid` by a moment, has written the last one."""
    last = re.compile(rf"^{pid}\s+\+\+\+ exited with", re.MULTILINE)
    async with asyncio.timeout(seconds):
        while not last.search(text := trace_file.read_text(errors="replace")):
            await asyncio.sleep(0.05)
    return text.splitlines()


@dataclass(frozen=True)
class Event:
    """The beginning or the end of one call. `worked` is None at the beginning."""

    name: str
    file: str
    text: str
    worked: bool | None


def events(lines: Iterable[str]) -> Iterator[Event]:
    """Beginnings and ends of calls as the kernel saw them; a call that was not interrupted is both at once."""
    open_calls: dict[str, Event] = {}
    for line in lines:
        parts = _LINE.match(line)
        if parts is None:
            continue
        pid, rest = parts["pid"], parts["rest"]
        if call := _CALL.match(rest):
            begun = Event(call["name"], call["file"], call["text"], None)
            yield begun
            if rest.endswith("<unfinished ...>"):
                open_calls[pid] = begun
            else:
                yield _end(begun, rest)
        elif _RESUMED.match(rest) and pid in open_calls:
            yield _end(open_calls.pop(pid), rest)


def _end(begun: Event, rest: str) -> Event:
    result = _RESULT.search(rest)
    return Event(begun.name, begun.file, begun.text, result is not None and int(result["result"]) >= 0)


@dataclass
class Oracle:
    """Follows a trace. `broken` names each order that was answered too early, `answered` each answer that was seen."""

    orders: re.Pattern[str]
    """Finds an order id in a page or an answer."""
    answered: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    syncs: int = 0
    _written: set[str] = field(default_factory=set)
    _syncing: dict[str, set[str]] = field(default_factory=dict)
    _synced: set[str] = field(default_factory=set)

    def follow(self, found: Iterable[Event]) -> "Oracle":
        for event in found:
            if event.name in SYNCS and event.file.endswith("-wal"):
                self._sync(event)
            elif event.file.endswith("-wal"):
                self._write(event)
            elif event.worked is None and "HTTP/1.1 202" in event.text:
                self._answer(event)
        return self

    def _write(self, event: Event) -> None:
        """What stands in a page counts as written once the call is over."""
        if event.worked:
            self._written |= set(self.orders.findall(event.text))

    def _sync(self, event: Event) -> None:
        """An fsync covers what was written before it began."""
        if event.worked is None:
            self._syncing[event.name] = set(self._written)
        elif event.worked:
            self.syncs += 1
            self._synced |= self._syncing[event.name]

    def _answer(self, event: Event) -> None:
        for order in sorted(set(self.orders.findall(event.text))):
            self.answered.append(order)
            if order not in self._synced:
                self.broken.append(order)


def judge(lines: Iterable[str], orders: str) -> Oracle:
    """What the trace shows about orders whose ids match the pattern `orders`."""
    return Oracle(re.compile(orders)).follow(events(lines))
