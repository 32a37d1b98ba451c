"""What a customer did that an ad led to, and the click that led there.

Knows identity and content of a conversion; leaves reading untrusted input to `intake` and its way to `entry`.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import compress, product
from typing import Protocol

from msgspec import Struct

from sidecar.core.instant import UnixSeconds
from sidecar.core.keys import Key, KeySource, digest_of


class Kind(StrEnum):
    """What an entry of the outbox carries."""

    CONVERSION = "conversion"
    ADJUSTMENT = "adjustment"


class AdjustmentType(StrEnum):
    """What an adjustment does to its conversion."""

    RESTATE = "restate"  # another value, which is the new total
    RETRACT = "retract"  # it did not happen


@dataclass(frozen=True, slots=True)
class ExternalAttribution:
    """The share of a conversion that an outside attribution model gives to the click."""

    credit: Decimal  # 0 < credit <= 1
    model: str


class Conversion(Struct, frozen=True, gc=False):
    """One validated conversion: identifiers are canonical and hashed, defaults are filled in.

    A struct, since every received item becomes one: a named tuple takes five times as long to make.
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
    """The caller's own notes as JSON text; stored, never sent."""
    given_value: Decimal | None = None
    given_currency: str | None = None
    """As the caller gave them, before the event's defaults: only these are compared on a repeat."""

    def key(self) -> Key:
        """Its identity: the order, else the header's key, else what Microsoft itself identifies conversions by."""
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
        """Only where there is one: without a visitor the digest is that of the other parts."""
        return ("visitor", self.visitor_id) if self.visitor_id else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """One click of an ad, captured for a visitor of an account."""

    account: str
    visitor_id: str
    msclkid: str
    clicked_at: UnixSeconds


class Identified(Protocol):
    """Carries identifiers by which Microsoft may find the click."""

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


def plain_decimal(number: Decimal) -> str:
    """The shortest exact text without exponent: 1.50 is `1.5`, 1E+3 is `1000`."""
    text = str(number)  # takes a third of a format, which only what has an exponent then needs
    if "E" in text:
        text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _plain(number: Decimal | None) -> str:
    return "" if number is None else plain_decimal(number)
