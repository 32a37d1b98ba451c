"""What a customer did that an ad led to, the click that led there, and what makes two reports of it the same one.

Knows identity and content of a conversion; leaves reading untrusted input to `intake` and its way to `entry`.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from itertools import compress, product
from typing import NamedTuple, Protocol

from sidecar.core.instant import UnixSeconds


class Kind(StrEnum):
    """What an entry of the outbox carries."""

    CONVERSION = "conversion"
    ADJUSTMENT = "adjustment"


class AdjustmentType(StrEnum):
    """What an adjustment does to its conversion."""

    RESTATE = "restate"  # another value, which is the new total
    RETRACT = "retract"  # it did not happen


class KeySource(StrEnum):
    """Where the identity of a conversion comes from; each source is a namespace of its own."""

    ORDER = "order"  # order_id, with account and event
    HEADER = "header"  # the Idempotency-Key header, with account and event
    ADJUSTMENT = "adjustment"  # the Idempotency-Key header of an adjustment
    NATURAL = "natural"  # goal, identifiers and the given time
    NONE = "none"  # nothing repeats it: every report is a new conversion


@dataclass(frozen=True, slots=True)
class ExternalAttribution:
    """The share of a conversion that an outside attribution model gives to the click."""

    credit: Decimal  # 0 < credit <= 1
    model: str


class Conversion(NamedTuple):
    """One validated conversion: identifiers are canonical and hashed, defaults are filled in.

    A named tuple, since every item that comes in is one.
    """

    account: str
    event: str
    goal: str
    """The goal that `event` was mapped to when the conversion was received; part of the natural key only."""
    time: UnixSeconds
    time_given: bool
    """Whether the caller named the time; an absent one equals any when contents are compared."""
    order_id: str | None = None
    idempotency_key: str | None = None
    value: Decimal | None = None
    currency: str | None = None
    msclkid: str | None = None
    visitor_id: str | None = None
    """The app's own id for a browser or person; the click is looked up among those captured for it."""
    email_sha256: str | None = None
    phone_sha256: str | None = None
    external_attribution: ExternalAttribution | None = None
    meta: str | None = None
    """The caller's own notes as JSON text; kept, never sent."""
    given_value: Decimal | None = None
    given_currency: str | None = None
    """What the caller wrote, before the event's defaults: only that is compared on a repeat."""

    def key(self) -> "Key":
        """Its identity: the order, else the header's key, else what Microsoft itself tells conversions apart by."""
        if self.order_id is not None:
            return Key.of(KeySource.ORDER, self.account, self.event, self.order_id)
        if self.idempotency_key is not None:
            return Key.of(KeySource.HEADER, self.account, self.event, self.idempotency_key)
        if self.time_given:
            identifiers = (self.msclkid or "", self.email_sha256 or "", self.phone_sha256 or "")
            return Key.of(KeySource.NATURAL, self.account, self.goal, *identifiers, str(self.time), *self._visitor())
        return Key(KeySource.NONE, None, None)

    def content(self) -> str:
        """A digest of what the caller gave, normalised, without time, defaults and `meta`.

        Two reports with one key are the same conversion when this and the time agree (an absent time agrees with any).
        """
        external = self.external_attribution
        return digest_of(
            _plain(self.given_value),
            self.given_currency or "",
            self.msclkid or "",
            self.email_sha256 or "",
            self.phone_sha256 or "",
            _plain(external.credit) if external else "",
            external.model if external else "",
            *self._visitor(),
        )

    def _visitor(self) -> tuple[str, ...]:
        """Only where there is one: digests from before there were visitors stay what they are."""
        return ("visitor", self.visitor_id) if self.visitor_id else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """One click of an ad, captured for a visitor of an account."""

    account: str
    visitor_id: str
    msclkid: str
    clicked_at: UnixSeconds


def visitor_hash(account: str, visitor_id: str, key: bytes) -> int:
    """A signed 64-bit hash that finds a visitor's clicks and rows; the id itself is compared in the row.

    `key` is the outbox's secret, so that nobody outside can make two ids of one hash; empty in outboxes from before it.
    """
    parts = ("visitor", account, visitor_id)
    if not key:
        return _hash64(digest_of(*parts))
    joined = "".join([f"{len(part)}:{part}" for part in parts])
    return _hash64(hashlib.blake2b(joined.encode(), digest_size=16, key=key).hexdigest())


class Identified(Protocol):
    """Whatever carries identifiers by which Microsoft may find the click."""

    @property
    def msclkid(self) -> str | None: ...
    @property
    def visitor_id(self) -> str | None: ...
    @property
    def email_sha256(self) -> str | None: ...
    @property
    def phone_sha256(self) -> str | None: ...


def matched_by(carrier: Identified) -> tuple[str, ...]:
    """Which identifiers it carries, the strongest first."""
    return _MATCHED_BY[
        carrier.msclkid is not None,
        carrier.visitor_id is not None,
        carrier.email_sha256 is not None,
        carrier.phone_sha256 is not None,
    ]


_MATCHED_BY = {
    carried: tuple(compress(("msclkid", "visitor", "email", "phone"), carried))
    for carried in product((False, True), repeat=4)
}
"""Looked up, since every row is asked several times on its way."""


class Key(NamedTuple):
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
    """The digest of these parts, to be copied and gone on with; asked with the same parts by nearly every order."""
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


def plain_decimal(number: Decimal) -> str:
    """The shortest exact text without exponent: 1.50 is `1.5`, 1E+3 is `1000`."""
    text = str(number)  # takes a third of a format, which only what has an exponent then needs
    if "E" in text:
        text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _plain(number: Decimal | None) -> str:
    return "" if number is None else plain_decimal(number)
