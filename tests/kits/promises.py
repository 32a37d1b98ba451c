"""What the sidecar promises, and what a run showed of it: `make faults` ends with one line for each promise.

A test names the promise it is about (`@pytest.mark.promise("A1")`) and tells what it saw with the fixture `shown`.
docs/reliability.md explains each promise and holds the last figures.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Promise:
    """`target` is what must be seen; `elsewhere` says why it cannot be tested here, where it cannot."""

    id: str
    sentence: str
    target: str
    elsewhere: str = ""


PROMISES = (
    Promise("A1", "202 leaves only after the fsync that covers the row", "0 too early in 1,000 answers"),
    Promise("A2", "a power cut loses nothing that was answered 202", "0 lost in 200 power cuts, integrity ok"),
    Promise("A3", "a killed process loses nothing and repeats only what was on its way", "0 lost, 0 counted twice"),
    Promise("A4", "a full disk refuses, loses nothing, and intake comes back by itself", "503 <= 1 s, back <= 5 s"),
    Promise("A5", "a failed fsync ends intake; nothing of that group is acknowledged", "0 acknowledged"),
    Promise("A6", "a damaged file is refused or read right, never replaced by an empty one", "0 of 200 damages missed"),
    Promise("A7", "one process owns a file", "the second ends <= 1 s and names the first"),
    Promise("A8", "a killed migration loses nothing", "0 rows of 100,000 lost at every step"),
    Promise(
        "A9",
        "replicas over one PostgreSQL lose nothing, settle nothing late, and keep each account's limit",
        "0 lost, doubled, reordered, stale or over the limit",
    ),
    Promise("B1", "sent again only after an ambiguous outcome, then byte for byte", "0 other repeats, 0 changed bytes"),
    Promise("B2", "at most 1,000 requests in every sliding minute and account", "<= 1,000; >= 95 % used under backlog"),
    Promise("B3", "errors of single rows settle those rows", "0 rows lost or mixed up in 10,000 batches"),
    Promise("B4", "poison is isolated", "<= 2k*log2(1000/k)+2k requests"),
    Promise("B5", "Retry-After is honoured in all its forms", "0 requests before the time; never a tight loop"),
    Promise("B6", "a sign-in in trouble costs no row anything", "1 refresh in flight"),
    Promise("B7", "an account that hangs delays no other", "p99 of the other <= 2x"),
    Promise("B8", "a failing remote is probed gently and used again soon", "<= 1 probe a cool-down, full rate <= 60 s"),
    Promise("B9", "a stop under load ends in time and leaves nothing behind", "<= 15 s, 0 lost"),
    Promise("B10", "a backlog slows nothing down", "p99 of claims and intake <= 2x + 20 ms; memory + <= 30 MiB"),
    Promise("B11", "pruning never holds up intake", "p99 + <= 50 ms, WAL <= 64 MiB"),
    Promise("B12", "jumps of the clock lose and repeat nothing", "0 lost, early or late; pace kept"),
    Promise("B13", "equal requests make one row", "1 row; 409 for other content"),
    Promise("B14", "dead letters stay, and a replay keeps id, time and key", "0 lost of 100,000 replayed"),
    Promise("B15", "broken connections leave nothing behind", "tasks, sockets, memory flat after 1,000 faults"),
    Promise("B16", "it goes on for hours: flapping remote, a kill each minute", "0 lost; memory and files flat"),
    Promise("C1", "no rebound name reaches it", "0 rows written"),
    Promise("C2", "no web page drives it", "0 of ~30 browser-shaped requests let in"),
    Promise("C3", "a key, once set, is asked for and compared in constant time", "0 let in"),
    Promise("C4", "oversized bodies cost nothing", "413 or 503; memory + <= 24 MiB at 100 at once"),
    Promise("C5", "compressed bodies are never inflated", "415; the loop stalls <= 10 ms"),
    Promise("C6", "slow clients delay no others", "p99 <= 2x or + 20 ms; all cut <= 15 s"),
    Promise("C7", "hostile JSON is refused", "0 undocumented answers, never 500, in 10,000 bodies"),
    Promise("C8", "ambiguous framing is refused", "every one 400"),
    Promise("C9", "no log holds a secret, a person, or a second line", "0 canaries at any level"),
    Promise("C10", "files are for their owner alone", "0600, folders 0700"),
    Promise("C11", "tokens go to Microsoft only, and huge answers are cut", "0 tokens elsewhere; cut at the cap"),
    Promise("C12", "overload is refused, not stored up", "memory bounded; accepted p99 <= 1 s; the rest 503"),
    Promise("C13", "health and metrics cost nothing and tell nothing", "<= 5 ms; 0 canaries"),
    Promise(
        "C14",
        "floods are answered 503 or wait their turn, and others are served",
        "memory + <= 64 MiB, /livez <= 250 ms and a POST <= 1 s beside each",
    ),
)

Show = Callable[..., None]
"""The fixture `shown`: what was tried, how much was lost or let in, the figure, and `promise=` where a test has two."""

BY_ID = {promise.id: promise for promise in PROMISES}


@dataclass(frozen=True)
class Shown:
    """What one test saw: what it tried, how much was lost or let in, and the figure beside the target."""

    tried: str
    lost: int
    figure: str = ""


@dataclass
class Results:
    """What a whole run showed."""

    shown: defaultdict[str, list[Shown]] = field(default_factory=lambda: defaultdict(list))
    broken: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Promises whose tests failed, with the names of the tests."""

    def line(self, promise: Promise) -> str:
        """The line of one promise."""
        seen = self.shown[promise.id]
        parts = [f"tried: {'; '.join(_added(one.tried for one in seen))}"] if seen else []
        if seen:
            parts.append(f"lost or let in: {sum(one.lost for one in seen)}")
        if figures := [one.figure for one in seen if one.figure]:
            parts.append(f"seen: {'; '.join(figures)}")
        parts.append(f"target: {promise.target}")
        return f"{promise.id:<4} {self._state(promise):<9} {promise.sentence} | {' | '.join(parts)}"

    def _state(self, promise: Promise) -> str:
        if promise.elsewhere:
            return f"not here ({promise.elsewhere})"
        if self.broken[promise.id] or any(one.lost for one in self.shown[promise.id]):
            return "BROKEN"
        return "kept" if self.shown[promise.id] else "NOT SHOWN"

    @property
    def failed(self) -> list[Promise]:
        """Promises that can be tested here and are not shown to be kept."""
        return [promise for promise in PROMISES if self._state(promise) in ("BROKEN", "NOT SHOWN")]


def _added(tried: Iterable[str]) -> list[str]:
    """Equal things added up: `3 kills`, `4 kills` make `7 kills`."""
    numbers: dict[str, int] = {}
    for one in tried:
        found = re.fullmatch(r"([0-9,]+) (.*)", one)
        number, what = (int(found[1].replace(",", "")), found[2]) if found else (0, one)
        numbers[what] = numbers.get(what, 0) + number
    return [f"{number:,} {what}" if number else what for what, number in numbers.items()]
