"""The orders of the sample shop, written as real backends and shoppers would write them. Deterministic throughout.

From tests/data/cdnow: one row is one order, its number the order id; the days are moved into the last 89 days.
"""

import csv
import hashlib
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "data" / "cdnow" / "transactions.csv"
FIRST_DAY, LAST_DAY = date(1997, 1, 1), date(1998, 6, 30)
SPAN_SECONDS = 89 * 86_400

Json = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """One row of the file. `now` is when the test began, in Unix seconds."""

    number: int
    customer: int
    day: date
    dollars: str
    now: int

    @property
    def order_id(self) -> str:
        return f"CDNOW-{self.number}"

    @property
    def time(self) -> int:
        """Days keep their order; all orders of one customer and day fall into one second."""
        share = (self.day - FIRST_DAY) / (LAST_DAY - FIRST_DAY)
        return self.now - SPAN_SECONDS + int(share * (SPAN_SECONDS - 7_200)) + self.customer % 3_600

    @property
    def event(self) -> str:
        return "subscription" if self.customer % 10 == 0 else "purchase"

    def body(self, writing: int = 0) -> Json:
        """What the backend posts. Another `writing` says the same in other words."""
        turn = self.number + writing
        body: Json = {"event": self.event, "order_id": self.order_id, "time": _time(self.time, turn)}
        if self.number % 40:
            body["value"] = _value(self.dollars, self.number % 100 == 1)
            body |= _currency(self.customer, self.event, writing)
        return body | _identifiers(self.customer, turn)


def orders(now: int, step: int = 1) -> Iterator[Order]:
    """Every order of each `step`-th customer, in the file's order."""
    with FILE.open() as file:
        for number, row in enumerate(csv.DictReader(file), start=1):
            customer = int(row["customer_id"])
            if customer % step == 0:
                yield Order(number, customer // step, date.fromisoformat(row["date"]), row["value_usd"], now)


def _time(second: int, turn: int) -> Any:
    at = datetime.fromtimestamp(second, UTC)
    match turn % 4:
        case 0:
            return second
        case 1:
            return at.isoformat().replace("+00:00", "Z")
        case 2:
            return at.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
        case _:
            return at.replace(microsecond=700_000).isoformat()


def _value(dollars: str, noisy: bool) -> float | int:
    """Now and then with the noise that adding up binary fractions leaves."""
    value = float(dollars)
    if noisy and value:
        return math.nextafter(value, math.inf)
    return int(value) if value.is_integer() else value


def _currency(customer: int, event: str, writing: int) -> Json:
    code = ("", "EUR", "GBP", "CHF", "SEK")[customer % 5]
    if not code:
        return {"currency": "USD"} if event == "subscription" else {}
    return {"currency": code.lower() if writing % 2 else code}


# --- Who bought ------------------------------------------------------------------------------------------------------


def click_id(customer: int) -> str | None:
    """Two customers in three came by an ad."""
    if customer % 3 == 0:
        return None
    text = hashlib.md5(f"click {customer}".encode()).hexdigest()
    return text.upper() if customer % 7 == 0 else text


def _identifiers(customer: int, turn: int) -> Json:
    body: Json = {}
    if click := click_id(customer):
        body |= _click(click, turn)
    contact = customer // 3 % 6  # half of them left an address or a number
    user: Json = {}
    if contact in (0, 1):
        user["email"] = _email(customer, turn)
    if contact in (1, 2):
        user |= _phone(customer, turn)
    return body | ({"user": user} if user else {})


def _click(click: str, turn: int) -> Json:
    dashed = "-".join((click[:8], click[8:12], click[12:16], click[16:20], click[20:]))
    url = f"https://shop.example/cd?utm_source=bing&msclkid={click}#top"
    forms = ({"msclkid": click}, {"msclkid": dashed}, {"msclkid": f"_uet{click}"}, {"landing_url": url})
    beacons = ({"msclkid": f"{click}-0"}, {"msclkid": f"{click}-1"}, {"msclkid": f"{click}N"})
    return (*forms, *beacons)[turn % 7]


NAMES = ("José.Pérez", "Zoë.Müller", "Anna.Núñez", "john.smith", "Åsa.Öberg", "Ján.Dvořák", "mary.o'hara", "Søren.Bøg")
"""The last one keeps letters that are no accents: it cannot be used."""

DOMAINS = ("example.com", "Mail.Example.ORG", "gmail.com", "contoso.co.uk")


def _email(customer: int, turn: int) -> str:
    name, domain = NAMES[customer // 18 % 8], DOMAINS[customer % 4]
    if customer % 50 == 0:
        domain = "example"  # a shopper's typo
    local = f"{name}{customer}"
    forms = (
        f"{local}@{domain}",
        f"  {local}@{domain}\t",
        f"{local}+cd{turn}@{domain}",
        f"{local}@{domain}".upper(),
        f"{local.replace('.', '')}@{domain}",
        f"{local} @ {domain}",
        unicodedata.normalize("NFD", f"{local}@{domain}"),
        f"..{local}..+a+b@{domain.lower()}",
    )
    return forms[turn % len(forms)]


def _phone(customer: int, turn: int) -> Json:
    country, calling, area = (
        ("US", "1", "425"),
        ("GB", "44", "20"),
        ("DE", "49", "30"),
        ("FR", "33", "1"),
        ("IT", "39", "06"),
    )[customer % 5]
    line = f"{customer:0{10 - len(area) if country in ('US', 'GB') else 9 - len(area)}d}"
    trunk = "" if country in ("US", "IT") else "0"
    bracketed = "(0)" if trunk else ""
    forms = (
        f"+{calling} {area} {line}",
        f"+{calling} ({area}) {line[:3]}-{line[3:]}",
        f"00{calling} {area} / {line}",
        f"  +{calling}{bracketed}{area}.{line[:4]}.{line[4:]} ",
        f"({trunk}{area}) {line[:2]} {line[2:]}",
        f"{trunk}{area}-{line}",
    )
    turn %= len(forms)
    return {"phone": forms[turn]} | ({"country": country} if turn >= 4 else {})


# --- What goes wrong -------------------------------------------------------------------------------------------------


def spoiled(body: Json, kind: int) -> Json:
    """The same order with something that cannot be accepted."""
    defects: tuple[Json, ...] = (
        {"event": "purchse"},
        {"event": None},
        {"value": -1},
        {"value": "12.00"},
        {"value": 1_000_000_000_000},
        {"currency": "EURO", "value": 1},
        {"time": "2026-11-23T15:30:45"},
        {"time": 1_795_176_000_000},
        {"time": 883_612_800},
        {"order_id": ""},
        {"msclkid": "not-a-click-id"},
        {"emial": "shopper@example.com"},
        {"user": {"email_sha256": hashlib.sha256(b"").hexdigest()}},
        {"consent": "maybe"},
        {"meta": {"note": "x" * 3_000}},
    )
    return body | defects[kind % len(defects)]


def contradicted(body: Json) -> Json:
    """The same order with another content."""
    return body | {"value": (body.get("value") or 0) + 1, "currency": "EUR"}
