"""Where SQLite puts the clicks of a visitor."""

from pathlib import Path

from conversion_kit import captured
from store_kit import SqliteHouse

from sidecar.core.keys import visitor_hash


async def test_visitors_lie_under_a_hash_that_this_outbox_alone_knows(tmp_path: Path) -> None:
    """Else a pair of ids with one hash could be made outside: 2^32 attempts."""
    numbers = set()
    for name in ("one", "other"):
        house = SqliteHouse(tmp_path / name)
        await house.open()
        await house.clicks.capture([captured()])
        numbers |= {row["visitor"] for row in await house.rows("clicks")}
        await house.close()
    assert len(numbers) == 2
    assert visitor_hash("main", "v-1", b"") not in numbers
