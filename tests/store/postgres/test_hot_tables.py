"""Lines that every transaction writes again do not grow, also where no vacuum ever runs."""

from pathlib import Path

import psycopg
from conversion_kit import conversion
from outbox_kit import put
from store_kit import PostgresHouse

PAGE_BYTES = 8_192

OF_THE_STORE = "pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


async def test_counts_and_tallies_stay_on_their_pages_over_hundreds_of_transactions(tmp_path: Path) -> None:
    house = PostgresHouse(tmp_path)
    outbox = await house.open()
    for number in range(400):
        await put(outbox, conversion(f"ORDER-{number}"))
    with psycopg.connect(house.url, autocommit=True) as db:
        sizes = "SELECT pg_relation_size('counts'), pg_relation_size('tallies'), pg_relation_size('counts_pkey')"
        [(counts, tallies, index)] = db.execute(sizes).fetchall()
    await house.remove()
    assert counts <= 2 * PAGE_BYTES
    assert tallies <= 2 * PAGE_BYTES
    assert index == 2 * PAGE_BYTES  # the first of them describes it


async def test_tables_whose_rows_are_written_again_and_again_have_room_and_are_vacuumed_early(tmp_path: Path) -> None:
    house = PostgresHouse(tmp_path)
    tables = {row["relname"]: row["reloptions"] for row in await house.rows(OF_THE_STORE)}
    await house.remove()
    for table in ("entries", "batches", "counts", "tallies"):
        options = dict(option.split("=") for option in tables[table])
        assert int(options["fillfactor"]) < 100
        assert float(options["autovacuum_vacuum_scale_factor"]) < 0.2
