"""What happens to a shop in one month, as plain data: clicks, sales, refunds, and what people do to its goals.

Made by chance from a seed; knows neither the sidecar nor Microsoft. Instants are Unix seconds. Time goes in steps:
`posted` is the number of the step at whose end the shop's backend tells of something.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

MINUTE, HOUR, DAY = 60, 3_600, 86_400

DAYS = 30
QUIET_DAYS = 1
"""At the end nothing comes in any more, and everything that waits comes to its end."""

REFUNDS = True
"""Whether the shop takes anything back; see `month_kit.refund`."""

BUSY_HOURS = (1, 1, 1, 1, 1, 1, 2, 3, 5, 6, 7, 7, 8, 7, 6, 6, 6, 7, 8, 9, 9, 7, 4, 2)


@dataclass(frozen=True)
class Click:
    """One report of an ad click; of one click there may be several, the earliest of which has its time."""

    visitor: str
    account: str
    msclkid: str
    at: int
    posted: int
    consent: str | None = None
    by_url: bool = True


@dataclass(frozen=True)
class Sale:
    """A conversion as the backend reports it, and the later steps in which it reports it again."""

    order_id: str
    event: str
    account: str
    at: int
    posted: int
    value: Decimal | None = None
    currency: str | None = None
    click: str | None = None
    """Its own click id, in a landing URL where `by_url` is set."""
    by_url: bool = False
    visitor: str | None = None
    email: str | None = None
    phone: str | None = None
    consent: str | None = None
    again: tuple[int, ...] = ()


@dataclass(frozen=True)
class Refund:
    """What an order is worth afterwards; None takes all of it back."""

    order_id: str
    posted: int
    total: Decimal | None


@dataclass(frozen=True)
class Story:
    """The steps in which people do something to the goals and to the sign-in."""

    created: int  # the goal of sign-ups
    paused: int  # the goal of leads
    resumed: int
    renamed: int  # at Microsoft
    reloaded: int  # in the configuration
    revoked: int  # the token
    signed_in: int


@dataclass(frozen=True)
class History:
    """One month."""

    seed: int
    start: int
    step: int
    steps: int
    clicks: tuple[Click, ...]
    sales: tuple[Sale, ...]
    refunds: tuple[Refund, ...]
    story: Story

    def time(self, step: int) -> int:
        """When a step ends."""
        return self.start + step * self.step


def history(visitors: int, *, seed: int, start: int, step: int, refunds: bool = REFUNDS) -> History:
    """A month of that many visitors; `start` is a full hour, of which `step` is a divisor or a multiple."""
    chance = random.Random(seed)
    busy = DAYS * DAY // step
    made = [_Visitor(number, chance, start, step, busy) for number in range(visitors)]
    for visitor in made:
        visitor.live()
    sales = tuple(_shuffled(chance, [sale for visitor in made for sale in visitor.sales]))
    taken_back = _refunds(sales, random.Random(f"{seed} refunds"), step, busy) if refunds else ()
    return History(
        seed=seed,
        start=start,
        step=step,
        steps=busy + QUIET_DAYS * DAY // step,
        clicks=tuple(_shuffled(chance, [click for visitor in made for click in visitor.clicks])),
        sales=sales,
        refunds=tuple(taken_back),
        story=_story(step),
    )


def _story(step: int) -> Story:
    def at(day: int, hour: int) -> int:
        return (day * DAY + hour * HOUR) // step

    return Story(
        created=at(3, 12),
        paused=at(9, 10),
        resumed=at(10, 16),
        renamed=at(12, 8),
        reloaded=at(12, 14),
        revoked=at(15, 8),
        signed_in=at(15, 18),
    )


class _Visitor:
    """One person's month."""

    def __init__(self, number: int, chance: random.Random, start: int, step: int, busy: int) -> None:
        self.number = number
        self.chance = chance
        self.start, self.step, self.busy = start, step, busy
        self.name = f"v-{number:x}"
        self.account = "other" if chance.random() < 0.12 else "main"
        self.consent = "denied" if chance.random() < 0.07 else chance.choice((None, "granted"))
        self.clicks: list[Click] = []
        self.sales: list[Sale] = []
        self._truth: list[Click] = []
        """Each click once, with its time."""

    def live(self) -> None:
        day = self.chance.randrange(DAYS)
        hour = self.chance.choices(range(24), BUSY_HOURS)[0]
        arrival = self.start + day * DAY + hour * HOUR + self.chance.randrange(HOUR)
        self._click_ads(arrival)
        if self.chance.random() < 0.62:
            self._buy(arrival)

    # --- Clicks ------------------------------------------------------------------------------------------------------

    def _click_ads(self, at: int) -> None:
        for number in range(self.chance.choices(range(4), (15, 60, 18, 7))[0]):
            account = self._other_account() if self.chance.random() < 0.08 else self.account
            msclkid = f"{self.number:08x}{number:02x}{self.chance.getrandbits(88):022x}"
            by_url = self.chance.random() < 0.7
            consent = "denied" if self.consent == "denied" or self.chance.random() < 0.02 else self.consent
            click = Click(self.name, account, msclkid, at, self._step(at), consent, by_url)
            self._truth.append(click)
            self._report_click(click)
            at += self.chance.choice((self._minutes(2, 50), self._minutes(60, 1_500), self._minutes(1_500, 18_000)))

    def _report_click(self, click: Click) -> None:
        """At once, late, or twice."""
        what = self.chance.random()
        if what < 0.12:
            late = self._step(click.at + self._minutes(30, 1_800))
            self._post(Click(**{**vars(click), "posted": late}))
        elif what < 0.2:
            reloaded = click.at + self._minutes(1, 30)
            self._post(click)
            self._post(Click(**{**vars(click), "at": reloaded, "posted": self._step(reloaded)}))
        else:
            self._post(click)

    def _post(self, click: Click) -> None:
        if click.posted < self.busy:
            self.clicks.append(click)

    def _other_account(self) -> str:
        return "main" if self.account == "other" else "other"

    # --- Sales -------------------------------------------------------------------------------------------------------

    def _buy(self, arrival: int) -> None:
        first = self.chance.choice(self._truth).at if self._truth else arrival
        at = (
            first
            + self.chance.choices(
                (self._minutes(3, 55), self._minutes(60, 1_200), self._minutes(1_440, 18_000)), (45, 30, 25)
            )[0]
        )
        self._sell(at, 0)
        if self.chance.random() < 0.15:
            self._sell(at + self._minutes(60, 4_000), 1)

    def _sell(self, at: int, number: int) -> None:
        posted = self._step(
            at + self.chance.choices((0, self._minutes(60, 360), self._minutes(1_400, 2_900)), (90, 8, 2))[0]
        )
        if posted >= self.busy:
            return
        event = "purchase"
        if self.account == "main" and not number:
            event = self.chance.choices(("purchase", "lead", "signup"), (55, 28, 17))[0]
        click, by_url = self._own_click(at)
        self.sales.append(
            Sale(
                order_id=f"O-{self.number:05}-{number}",
                event=event,
                account=self.account,
                at=at,
                posted=posted,
                **self._money(event),
                click=click,
                by_url=by_url,
                visitor=self.name if self.chance.random() < 0.88 else None,
                **self._person(),
                consent=self.consent,
                again=tuple(self._repeats(posted)),
            )
        )

    def _own_click(self, at: int) -> tuple[str | None, bool]:
        """Now and then the backend knows the click id itself: of a recent click in the right account, or from afar."""
        what = self.chance.random()
        if what < 0.03:
            return f"{self.chance.getrandbits(128):032x}", False
        near = [c for c in self._truth if c.account == self.account and 0 <= at - c.at < 7 * DAY]
        if what < 0.15 and near:
            return near[-1].msclkid, self.chance.random() < 0.5
        return None, False

    def _money(self, event: str) -> dict[str, Decimal | str | None]:
        value = Decimal(self.chance.randrange(500, 40_000)).scaleb(-2)
        currency = self.chance.choices((None, "USD", "EUR"), (70, 15, 15))[0]
        if event != "purchase" or self.chance.random() < 0.05:
            return {"value": None, "currency": None}
        return {"value": value, "currency": currency}

    def _person(self) -> dict[str, str | None]:
        email = f"Visitor-{self.number}@Example.COM" if self.chance.random() < 0.45 else None
        phone = f"+1 (425) 55{self.number:05}" if self.chance.random() < 0.2 else None
        return {"email": email, "phone": phone}

    def _repeats(self, posted: int) -> Iterator[int]:
        if self.chance.random() < 0.04:
            again = posted + self.chance.randrange(20)
            if again < self.busy:
                yield again

    # --- Time --------------------------------------------------------------------------------------------------------

    def _step(self, at: int) -> int:
        """The first step that ends at or after an instant."""
        return -((self.start - at) // self.step)

    def _minutes(self, least: int, most: int) -> int:
        """`least` to `most` minutes, in seconds that are hardly ever alike."""
        return self.chance.randrange(least * MINUTE, most * MINUTE)


def _refunds(sales: tuple[Sale, ...], chance: random.Random, step: int, busy: int) -> Iterator[Refund]:
    """Of one purchase in ten, all or a part: in the same step, hours or days later, some of them twice."""
    for sale in sales:
        if sale.event != "purchase" or sale.value is None or chance.random() > 0.1:
            continue
        posted = sale.posted + _later(chance, step)
        part = (sale.value * chance.randrange(20, 90) / 100).quantize(Decimal("0.01"))
        plans = ((None,), (part,), (part, None), (part, part / 2), (None, None))
        plan = chance.choices(plans, (40, 35, 10, 10, 5))[0]
        for total in plan:
            if posted < busy:
                total = None if total is None else total.quantize(Decimal("0.01"))
                yield Refund(sale.order_id, posted, total)
            posted += 1 + _later(chance, step)


def _later(chance: random.Random, step: int) -> int:
    """How many steps later."""
    return chance.choice((0, chance.randrange(6 * HOUR), chance.randrange(10 * DAY))) // step


def _shuffled(chance: random.Random, items: list) -> list:  # type: ignore[type-arg]
    chance.shuffle(items)
    return items
