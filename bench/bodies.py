"""What the load posts: orders as a shop would send them, no two alike, with plain e-mail, phone and click id."""

import os
from itertools import count
from time import time

ORDER = (
    '{"event": "purchase", "order_id": "%s-%d", "time": %d, "value": %d.%02d, "currency": "USD", "msclkid": "%s%08x", '
    '"user": {"email": "Shopper.%d+news@Example.com", "phone": "+1 (425) 555-%04d"}}'
)
"""E-mail and phone need every step of their normalisation."""


class Bodies:
    """Bodies of one object each, or arrays of `array` objects; times lie within the last days.

    Order ids count up, as those of a shop do, unless they are to be `random`, as UUIDs are.
    """

    def __init__(self, array: int, now: int | None = None, *, random: bool = False) -> None:
        self.array = array
        self._random = random
        self._run = os.urandom(6).hex()
        self._click = os.urandom(12).hex()
        self._numbers = count()
        self._time = now or int(time())

    def next(self) -> bytes:
        """The next body."""
        if not self.array:
            return self._order(next(self._numbers)).encode()
        return f"[{','.join([self._order(next(self._numbers)) for _ in range(self.array)])}]".encode()

    def _order(self, number: int) -> str:
        at = self._time - 7_200 - number % 600_000
        value, cents = divmod(number * 37 % 100_000, 100)
        begin = os.urandom(6).hex() if self._random else self._run
        return ORDER % (begin, number, at, value, cents, self._click, number, number, number % 10_000)
