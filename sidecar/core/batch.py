"""From due entries to what a request carries: the goal and the second of each, and its identity at Microsoft."""

import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

from msgspec import Struct
from msgspec.structs import replace

from sidecar.core.entry import Entry
from sidecar.core.instant import DAY_SECONDS, MAX_AGE_SECONDS, SecondRange, UnixMillis, UnixSeconds, seconds

SEARCH_SECONDS = (0, 60, 3_600, 86_400)
"""How far from its own time a conversion may be moved to find a free second.

Nearly always its own is free, and nothing else is looked at; the wider ranges are hardly ever read.
"""

YOUNG_SECONDS = MAX_AGE_SECONDS - DAY_SECONDS
"""Nothing is moved to a second longer ago: what goes again for a day must not get too old for having been moved."""

TROUBLED_ROWS = 20
"""If more than half of a batch of at least this many rows are refused singly, the configuration is to blame."""


class Candidate(Struct, frozen=True, gc=False):
    """An entry, its goal, and the 64-bit identity by which Microsoft would see a repeat."""

    entry: Entry
    goal: str
    identity: int


def with_goals(entries: Sequence[Entry], goals: Mapping[str, str]) -> list[Candidate]:
    """Each entry with the goal its event is mapped to now; a frozen one with the goal it was sent with."""
    named = [entry.goal or goals[entry.lane.event] for entry in entries]
    return list(map(Candidate, entries, named, identities(entries, named)))


def of_one_goal(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that go to the first one's goal: where a goal is in trouble, only its own rows are in that request."""
    return [candidate for candidate in candidates if candidate.goal == candidates[0].goal]


def identities(entries: Iterable[Entry], goals: Iterable[str]) -> tuple[int, ...]:
    """Of each entry and its goal a signed 64-bit hash of account, goal and person.

    Of two with an equal time Microsoft keeps only the first. A person is the click id where there is one, since
    Microsoft's documentation names it alone; else the hashes.
    https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversions
    """
    named = [
        f"{one.lane.account}\n{goal}\n{one.msclkid or f'{one.email_sha256}/{one.phone_sha256}'}"
        for one, goal in zip(entries, goals, strict=True)
    ]
    digests = [blake2b(text.encode(), digest_size=8).digest() for text in named]
    return struct.unpack(f">{len(digests)}q", b"".join(digests))


def as_sent(candidate: Candidate) -> Entry:
    """The entry with the goal and the second it is sent with: its own second, where none was chosen."""
    entry = candidate.entry
    if entry.goal is not None and entry.sent_time is not None:
        return entry
    return replace(entry, goal=candidate.goal, sent_time=entry.time if entry.sent_time is None else entry.sent_time)


def used_identity(candidate: Candidate) -> int | None:
    """What the entry uses a second of: an adjustment names one that its conversion has already."""
    return candidate.identity if candidate.entry.original is None else None


def ranges(candidates: Sequence[Candidate], reach: int) -> dict[int, list[SecondRange]]:
    """For each identity the seconds that matter: around the times of its unfrozen entries, `reach` to both sides."""
    found: dict[int, list[SecondRange]] = {}
    for one in candidates:
        entry = one.entry
        if entry.sent_time is None:
            found.setdefault(one.identity, []).append((entry.time - reach, entry.time + reach))
    return {person: some if len(some) == 1 else _joined(some) for person, some in found.items()}


def _joined(some: Iterable[SecondRange]) -> list[SecondRange]:
    """The same seconds, each in one range only: a thousand orders of one person are looked up once."""
    joined: list[SecondRange] = []
    for first, last in sorted(some):
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined


def with_seconds(
    candidates: Sequence[Candidate], used: Mapping[int, set[UnixSeconds]], now: UnixMillis, reach: int
) -> tuple[list[Candidate], list[Candidate]]:
    """Give those a second that cannot have their own; those that found none within `reach` come back apart.

    Two orders of one person in one second both count this way: the later one is moved by whole seconds. None is moved
    to before its click or near Microsoft's limit of age: it would be refused for that.
    """
    orders = Counter([candidate.identity for candidate in candidates])
    if not used and len(orders) == len(candidates):  # mostly each is another person's
        return list(candidates), []
    several = {person for person, n in orders.items() if n > 1 or used.get(person)}
    taken = {person: UsedTimestamps(used.get(person, ())) for person in several}
    for one in candidates:
        if one.entry.sent_time is not None and one.identity in several:
            taken[one.identity].take(one.entry.sent_time)
    placed, left = [], []
    for candidate in candidates:
        entry, person = candidate.entry, candidate.identity
        if entry.sent_time is not None or person not in several:
            placed.append(candidate)
            continue
        earliest = max(UnixSeconds(seconds(now) - YOUNG_SECONDS), entry.clicked_at or UnixSeconds(0))
        second = taken[person].free(entry.time, seconds(now), reach, earliest)
        if second is None:
            left.append(candidate)
        else:
            taken[person].take(second)
            placed.append(replace(candidate, entry=replace(entry, goal=candidate.goal, sent_time=second)))
    return placed, left


def next_seconds(
    candidates: Sequence[Candidate], used: Mapping[int, set[UnixSeconds]]
) -> list[tuple[Entry, UnixSeconds]]:
    """For each candidate the next later second that is free, each a different one; most lie in the future."""
    taken = {one.identity: UsedTimestamps(used.get(one.identity, ())) for one in candidates}
    found = []
    for one in candidates:
        second = taken[one.identity].next(one.entry.time)
        taken[one.identity].take(second)
        found.append((one.entry, second))
    return found


class UsedTimestamps:
    """The seconds that one person's conversions of a goal have; finds free ones without walking through runs twice.

    Each taken second points past its run, to both sides, and pointers are shortened as they are followed: a backend
    that sends ten thousand orders with one click id must not hold up the event loop.
    """

    def __init__(self, taken: Iterable[UnixSeconds]) -> None:
        self._later: dict[int, int] = {}
        self._earlier: dict[int, int] = {}
        for second in taken:
            self.take(second)

    def take(self, second: UnixSeconds) -> None:
        """This second is used from now on."""
        self._later.setdefault(second, second + 1)
        self._earlier.setdefault(second, second - 1)

    def free(
        self, time: UnixSeconds, now: UnixSeconds, reach: int, earliest: UnixSeconds | None = None
    ) -> UnixSeconds | None:
        """The free second nearest to `time`: later ones first, never in the future; None within `reach`.

        Of those before `time` none before `earliest`.
        """
        later = self.next(time)
        if later == time or later <= min(time + reach, now):
            return later
        earlier = _follow(self._earlier, time)
        first = time - reach if earliest is None else max(time - reach, earliest)
        return UnixSeconds(earlier) if earlier >= first else None

    def next(self, time: UnixSeconds) -> UnixSeconds:
        """The first free second from `time` on, however late."""
        return UnixSeconds(_follow(self._later, time))


def _follow(pointers: dict[int, int], start: int) -> int:
    """Where the pointers from `start` end; all that were passed point there afterwards."""
    end = start
    while end in pointers:
        end = pointers[end]
    while start != end:
        pointers[start], start = end, pointers[start]
    return end


def is_troubled(root_rows: int, poisoned: int) -> bool:
    """Whether too many rows of one batch were refused singly for the rows to be the cause."""
    return root_rows >= TROUBLED_ROWS and poisoned * 2 > root_rows
