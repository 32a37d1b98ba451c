"""A checksum of a table that does not depend on the database, nor on the order of its rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b

import msgspec

from sidecar.store.moving.end import Row

_BYTES = 16
_ENCODE = msgspec.msgpack.Encoder(decimal_format="number").encode
"""A Decimal counts as the float that SQLite has in its place."""


def storable(value: object) -> object:
    """The value as SQLite has it: a sum beyond 63 bits is a float there."""
    return float(value) if isinstance(value, Decimal) else value


@dataclass(frozen=True, slots=True)
class TableDigest:
    """How many rows, and the sum of their hashes."""

    rows: int = 0
    total: int = 0

    def with_rows(self, rows: Iterable[Row]) -> "TableDigest":
        """The digest of these rows too, each as numbers, texts and NULLs in the order of the columns."""
        hashes = [blake2b(_ENCODE(tuple(row)), digest_size=_BYTES).digest() for row in rows]
        total = self.total + sum(int.from_bytes(one) for one in hashes)
        return TableDigest(self.rows + len(hashes), total % (1 << 8 * _BYTES))

    def __str__(self) -> str:
        return f"{self.total:0{2 * _BYTES}x}"
