"""The differences between two reports with one key. Identifiers are named, and their values are not."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import NamedTuple

from msgspec.structs import replace

from sidecar.core.conversion import AdjustmentType, Conversion, ExternalAttribution, plain_decimal
from sidecar.core.instant import text_of_seconds

Shown = Decimal | str | None
"""A value as it may be repeated to the caller."""


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A field that differs, by its dotted path, and both its values; `is_secret` when it identifies a person."""

    field: str
    stored: Shown = None
    given: Shown = None
    is_secret: bool = False

    @property
    def words(self) -> str:
        """`value was 99.99 and now is 89.99`."""
        if self.is_secret:
            return f"{self.field} is another one"
        return f"{self.field} was {_text(self.stored)} and now is {_text(self.given)}"


def of_conversions(stored: Conversion, content: str, given: Conversion) -> tuple[FieldDifference, ...]:
    """The fields in which a repeat differs from the conversion that is stored under its key; at least one.

    Value and currency of `stored` may be the event's, or those of an adjustment; `content` is the digest of what its
    caller gave.
    """
    found = tuple(_differing(_as_given(stored, content, given), given))
    # What was given then is not known where an adjustment has changed it since: it was another value.
    return found or (FieldDifference("value", stored.value, given.given_value),)


def _as_given(stored: Conversion, content: str, given: Conversion) -> Conversion:
    """The stored conversion as its caller gave it: the digest shows which of its values were defaults."""
    possible = [
        replace(stored, given_value=value, given_currency=currency)
        for value, currency in product((stored.value, None), (stored.currency, None))
    ]
    # Where an adjustment has changed them since, what they come to with the defaults is compared.
    changed = replace(
        stored,
        given_value=given.given_value if given.value == stored.value else stored.value,
        given_currency=given.given_currency if given.currency == stored.currency else stored.currency,
    )
    return next((each for each in possible if each.content() == content), changed)


def _differing(stored: Conversion, given: Conversion) -> Iterator[FieldDifference]:
    if stored.time_given and given.time_given and stored.time != given.time:
        yield FieldDifference("time", text_of_seconds(stored.time), text_of_seconds(given.time))
    if stored.given_value != given.given_value:
        yield FieldDifference("value", stored.given_value, given.given_value)
    if stored.given_currency != given.given_currency:
        yield FieldDifference("currency", stored.given_currency, given.given_currency)
    for name in ("msclkid", "visitor_id", "email_sha256", "phone_sha256"):
        if getattr(stored, name) != getattr(given, name):
            yield FieldDifference(_FIELDS.get(name, name), is_secret=True)
    yield from _attribution(stored.external_attribution, given.external_attribution)


_FIELDS = {"email_sha256": "user.email", "phone_sha256": "user.phone"}


def _attribution(stored: ExternalAttribution | None, given: ExternalAttribution | None) -> Iterator[FieldDifference]:
    for name in ("credit", "model"):
        before, now = getattr(stored, name, None), getattr(given, name, None)
        if before != now:
            yield FieldDifference(f"external_attribution.{name}", before, now)


class AdjustmentContent(NamedTuple):
    """The content of an adjustment without its time, which may have been moved; `original` is the conversion's id."""

    original: str | None
    type: AdjustmentType | None
    value: Decimal | None
    currency: str | None


def of_adjustments(stored: AdjustmentContent, given: AdjustmentContent) -> tuple[FieldDifference, ...]:
    """The fields in which two adjustments of one key differ; the time where it can be nothing else."""
    names = ("conversion_id", "type", "value", "currency")
    pairs = zip(names, stored, given, strict=True)
    found = tuple(FieldDifference(name, before, now) for name, before, now in pairs if before != now)
    return found or (FieldDifference("time", is_secret=True),)


def words(differences: Iterable[FieldDifference]) -> str:
    """All of them in one line."""
    return "; ".join(difference.words for difference in differences)


def _text(value: Shown) -> str:
    if value is None:
        return "absent"
    return plain_decimal(value) if isinstance(value, Decimal) else value
