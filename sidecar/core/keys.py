"""What makes two reports the same: the key of a conversion or adjustment, a hash to find it and a digest to be sure."""

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

from sidecar.core.instant import UnixSeconds


class KeySource(StrEnum):
    """Where the identity of a conversion comes from; each source is a namespace of its own."""

    ORDER = "order"  # order_id, with account and event
    HEADER = "header"  # the Idempotency-Key header, with account and event
    ADJUSTMENT = "adjustment"  # the Idempotency-Key header of an adjustment
    NATURAL = "natural"  # goal, identifiers and the given time
    NONE = "none"  # nothing repeats it: every report is a new conversion


class Key(Struct, frozen=True, gc=False):
    """The identity of a conversion: a 64-bit hash to find candidates, the full text digest to be sure."""

    source: KeySource
    hash: int | None
    """A signed 64-bit number; None when nothing repeats the conversion."""
    digest: str | None
    """32 hex characters; compared in the row, so that two keys with one hash stay two."""

    @classmethod
    def of(cls, source: KeySource, *parts: str) -> "Key":
        """The key in namespace `source` whose parts are `parts`, in order.

        Hashes of ids that count up, as order numbers do, have their upper 40 bits in common: a group of new rows then
        changes a few pages of the index of keys, and not one of its own for each row.
        """
        *near, last = source.value, *parts
        text = last.encode()
        neighbourhood = _neighbourhood(*near, text[:-_COUNTED].decode("latin-1"))
        digest = _begun(*near).copy()
        digest.update(b"%d:%b" % (len(last), text))
        return cls(source, neighbourhood ^ int.from_bytes(text[-_COUNTED:], "big"), digest.hexdigest())


_COUNTED = 3
"""How many bytes at the end of an id set it apart from its neighbours; a group of orders differs in no more."""


@lru_cache(maxsize=1024)
def _neighbourhood(*parts: str) -> int:
    """A signed 64-bit hash; asked again and again with the same parts, where ids count up."""
    return _hash64(digest_of(*parts))


def foreign_original(account: str, event: str, time: UnixSeconds, *identifiers: str | None) -> int:
    """A negative number that stands for a conversion which was uploaded elsewhere, where ours have their `seq`."""
    digest = digest_of("foreign", account, event, str(time), *(identifier or "" for identifier in identifiers))
    return -1 - (_hash64(digest) & (2**63 - 1))


def digest_of(*parts: str) -> str:
    """128 bits over the parts, each with its length before it, so that no two lists of parts run together."""
    return _over(parts).hexdigest()


@lru_cache(maxsize=1024)
def _begun(*parts: str) -> "hashlib.blake2b":
    """The digest of these parts, to be copied and continued; nearly every order asks for the same parts."""
    return _over(parts)


_NOTHING = hashlib.blake2b(digest_size=16)


def _over(parts: Iterable[str]) -> "hashlib.blake2b":
    joined = "".join([f"{len(part)}:{part}" for part in parts])
    digest = _NOTHING.copy()  # takes half as long as a new one
    digest.update(joined.encode())
    return digest


def _hash64(digest: str) -> int:
    """The first 64 bits of a digest, as a signed number."""
    unsigned = int(digest[:16], 16)
    return unsigned - (unsigned >> 63 << 64)


def visitor_hash(account: str, visitor_id: str, key: bytes) -> int:
    """A signed 64-bit hash that finds a visitor's clicks and rows; the id itself is compared in the row.

    `key` is the outbox's secret, so that two ids of one hash cannot be made outside.
    """
    joined = "".join([f"{len(part)}:{part}" for part in ("visitor", account, visitor_id)])
    return _hash64(hashlib.blake2b(joined.encode(), digest_size=16, key=key).hexdigest())
