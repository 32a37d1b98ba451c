"""What an erasure leaves of a person in the files: nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
from conversion_kit import orders
from erasure_kit import CLICK_ID, EMAIL, PHONE, Place, click, delivered, person
from instant_kit import MINUTE, NOW, later
from outbox_kit import REFUSED, TAKEN, claimed, put

from sidecar.core.entry import Requeue, Settled
from sidecar.core.erasure import Phase, Subject
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.intake import Captured
from sidecar.ports.journal import JournalEntry
from sidecar.store.sqlite import wiping

# --- The files -------------------------------------------------------------------------------------------------------

CANARIES = {
    "e-mail hash": EMAIL,
    "phone hash": PHONE,
    "click id": CLICK_ID,
    "visitor": "visitor-canary",
    "order": "ORDER-CANARY",
    "meta": "meta-canary",
    "clicks": "c1ac" * 8,
}
CAPTURED = Captured(replace(click("visitor-canary", 1).click, msclkid="c1ac" * 8), NOW)


def found_in(place: Place) -> set[tuple[str, str]]:
    """Which canaries are in which of the database's files."""
    files = {suffix: Path(f"{place.house.path}{suffix}") for suffix in ("", "-wal", "-shm")}
    contents = {suffix or "db": file.read_bytes() for suffix, file in files.items() if file.exists()}
    return {(name, file) for name, text in CANARIES.items() for file, held in contents.items() if text.encode() in held}


async def live_a_while(place: Place) -> None:
    """Rows of the person among those of others, grown and moved by claims, retries and replacements."""
    journal = place.house.journal
    await place.house.clicks.capture([CAPTURED, *(click(f"other-{n}", n) for n in range(300))])
    for part in range(6):
        many = orders(120, start=part * 120, visitor_id=f"other-{part}", email_sha256=f"{part:064x}")
        await put(place.outbox, *many[:60], person(f"ORDER-CANARY-{part}"), *many[60:])
    await put(place.outbox, person())
    taken = await claimed(place.outbox, limit=600)
    again = {entry.seq: Requeue(later(MINUTE), Reason.RETRYING, REFUSED) for entry in taken.entries[::2]}
    dead = {entry.seq: Settled(State.DEAD, REFUSED.error, REFUSED) for entry in taken.entries[1::4]}
    assert await place.outbox.settle(taken, again | dead, TAKEN, later(MINUTE))
    await put(place.outbox, *(person(f"ORDER-CANARY-{part}", value="5") for part in range(6)))
    entry = {"time": NOW, "level": "info", "name": "replayed", "message": "it"}
    facts = [JournalEntry(**entry, conversion_id=f"conv_{n}", order_id=f"ORDER-CANARY-{n}") for n in range(1, 800)]
    own = {row["seq"] for row in await place.rows() if row["email_sha256"] == EMAIL}
    await journal.append([fact for n, fact in enumerate(facts, start=1) if n in own])


@pytest.mark.parametrize("subject", [Subject.EMAIL, Subject.PHONE, Subject.VISITOR])
async def test_nothing_of_the_person_is_left_in_any_file(place: Place, subject: Subject) -> None:
    await live_a_while(place)
    assert {name for name, _ in found_in(place)} == CANARIES.keys(), "the search would find nothing at all"
    assert (await place.erase(subject)).phase is Phase.DONE
    assert found_in(place) == set()
    assert (await place.outbox.counts()).pending > 0


async def test_overwriting_alone_leaves_nothing_of_a_quiet_table(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a file that is too large to be rewritten."""
    monkeypatch.setattr(wiping, "VACUUM_BYTES", 0)
    await delivered(place, *orders(200), person(), *orders(200, start=200))
    await place.house.clicks.capture([CAPTURED])
    assert (await place.erase(Subject.EMAIL)).phase is Phase.DONE
    assert found_in(place) == set()
