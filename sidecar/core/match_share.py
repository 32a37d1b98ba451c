"""How many of a goal's recent conversions carry something that Microsoft may match them by. Numbers in, numbers out."""

from collections.abc import Sequence
from typing import NamedTuple

LEAST_RECEIVED = 100
"""Fewer prove nothing yet."""

WINDOW = 1_000
"""Beyond this count all numbers shrink to half of it: old ones fade, and each further one costs an addition."""

FADED = WINDOW // 2

LOW = 0.2
"""Below this share something is lost on the way: a shop that gives e-mail addresses has one for nearly every order."""

ENOUGH = 0.25
"""From this share on it is over: a little above, so that it does not come and go with every order."""


class Share(NamedTuple):
    """What the last conversions of one goal carried, those included that intake skipped as `no_identifier`."""

    received: int = 0
    carrying: int = 0
    """Those with at least one of the following."""
    msclkid: int = 0
    email: int = 0
    phone: int = 0
    visitor: int = 0
    """Those with a visitor, whose click they may take."""
    none: int = 0
    """Those with none of all that."""

    def counting(self, matched_by: Sequence[str], n: int = 1) -> "Share":
        """The numbers with `n` more, all with these identifiers; `matched_by` is empty for none."""
        msclkid, email, phone = "msclkid" in matched_by, "email" in matched_by, "phone" in matched_by
        return Share(
            self.received + n,
            self.carrying + n * (msclkid or email or phone),
            self.msclkid + n * msclkid,
            self.email + n * email,
            self.phone + n * phone,
            self.visitor + n * ("visitor" in matched_by),
            self.none + n * (not matched_by),
        )

    def plus(self, matched_by: Sequence[str], n: int = 1) -> "Share":
        """The share after these conversions."""
        return self.counting(matched_by, n).faded()

    def faded(self) -> "Share":
        """The numbers in proportion, not beyond WINDOW; `store.sql.match_shares` has the same as a statement."""
        if self.received <= WINDOW:
            return self
        return Share._make(number * FADED // self.received for number in self)

    def is_low(self, *, was_low: bool) -> bool:
        """Whether too few carry something; `was_low` is the answer until now."""
        if self.received < LEAST_RECEIVED:
            return was_low
        return self.carrying < (ENOUGH if was_low else LOW) * self.received

    @property
    def percent(self) -> str:
        """In words, by the hundred."""
        if not self.received:
            return "nothing came in yet"
        by = ((self.msclkid, "click id"), (self.email, "e-mail"), (self.phone, "phone"))
        named = ", ".join(f"{_percent(n, self.received)} by {name}" for n, name in by)
        last = "the last conversion" if self.received == 1 else f"the last {self.received} conversions"
        return f"{_percent(self.carrying, self.received)} of {last} can be matched ({named})"

    @property
    def in_words(self) -> str:
        """In words."""
        return (
            f"of the last {self.received} conversions {self.carrying} can be matched: {self.msclkid} by click id, "
            f"{self.email} by e-mail, {self.phone} by phone"
        )


def _percent(part: int, whole: int) -> str:
    """Rounded, but 100 % only where nothing lacks, and 0 % only where there is nothing."""
    rounded = round(100 * part / whole)
    return f"{min(99, max(1, rounded)) if 0 < part < whole else rounded} %"
