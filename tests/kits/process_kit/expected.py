"""What Microsoft must hold, worked out a second time from Microsoft's documents alone; shares no code with the sidecar.

https://help.ads.microsoft.com/apex/index/3/en/60178 (enhanced conversions)
https://learn.microsoft.com/advertising/guides/uet-conversion-api-integration
"""

import hashlib
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

CALLING_CODES = {"US": "1", "GB": "44", "DE": "49", "FR": "33", "IT": "39"}

MOVED_SECONDS = 60
"""So far an order may be moved from its time where the same person has another one in that second."""


@dataclass(frozen=True)
class Held:
    """One conversion at Microsoft, but for its time."""

    goal: str
    click: str | None
    email: str | None
    phone: str | None
    value: Decimal | None
    currency: str | None


def email_sha256(text: str) -> str | None:
    """The hash Microsoft matches by; None for what is no address."""
    text = unicodedata.normalize("NFKD", re.sub(r"\s", "", text).lower())
    text = "".join(letter for letter in text if unicodedata.category(letter) != "Mn")
    if text.count("@") != 1 or not text.isascii():
        return None
    local, domain = text.split("@")
    local = local.split("+")[0].replace(".", "")
    if not local or "." not in domain.strip("."):
        return None
    return hashlib.sha256(f"{local}@{domain}".encode()).hexdigest()


def phone_sha256(text: str, country: str | None) -> str | None:
    """The hash of the number in E.164, with its plus."""
    text = re.sub(r"[^0-9+]", "", text.replace("(0)", ""))
    if text.startswith("+"):
        digits = text[1:]
    elif text.startswith("00"):
        digits = text[2:]
    elif country is None:
        return None
    else:
        digits = CALLING_CODES[country] + (text if country == "IT" else text.removeprefix("0"))
    return hashlib.sha256(f"+{digits}".encode()).hexdigest() if 8 <= len(digits) <= 15 else None


def click(body: Mapping[str, Any]) -> str | None:
    """The 32 hex digits, in any wrapping."""
    text = body.get("msclkid") or body.get("landing_url", "").partition("msclkid=")[2]
    found = re.match(r"[0-9A-Fa-f]{32}", text.removeprefix("_uet").replace("-", ""))
    return found[0] if found else None


def second(time: Any) -> int:
    """A time as posted, in whole Unix seconds."""
    return time if isinstance(time, int) else int(datetime.fromisoformat(time).timestamp() // 1)


def held(body: Mapping[str, Any], events: Mapping[str, Any]) -> Held:
    """What Microsoft must hold of a posted order; a currency says nothing without a value."""
    event, user = events[body["event"]], body.get("user", {})
    value = body.get("value")
    return Held(
        goal=event["goal"],
        click=click(body),
        email=email_sha256(user["email"]) if "email" in user else None,
        phone=phone_sha256(user["phone"], user.get("country")) if "phone" in user else None,
        value=None if value is None else Decimal(repr(value)).quantize(Decimal("0.001")),
        currency=None if value is None else body.get("currency", event.get("currency", "")).upper(),
    )


def is_identified(conversion: Held) -> bool:
    """Whether Microsoft could find a click by it at all."""
    return any((conversion.click, conversion.email, conversion.phone))


def person(conversion: Held) -> tuple[Any, ...]:
    """Whom Microsoft takes it for, with the goal: of two in one second it ignores the later."""
    return conversion.goal, conversion.click or (conversion.email, conversion.phone)


def received(raw: str) -> tuple[Held, int]:
    """A row of the emulator's ledger, and its second."""
    row = json.loads(raw, parse_float=Decimal, parse_int=Decimal)
    value = row.get("ConversionValue")
    conversion = Held(
        goal=row["ConversionName"],
        click=row.get("MicrosoftClickId"),
        email=row.get("HashedEmailAddress"),
        phone=row.get("HashedPhoneNumber"),
        value=None if value is None else value.quantize(Decimal("0.001")),
        currency=row.get("ConversionCurrencyCode"),
    )
    return conversion, second(row["ConversionTime"])


Timed = tuple[Held, int]
"""A conversion and its second."""


def differences(wanted: Iterable[Timed], found: Iterable[Timed]) -> list[str]:
    """What is missing, too much, or at another time than it should be; empty when both agree.

    Orders of one person and goal may lie some whole seconds from their time, no two in one second.
    """
    left, right = _by_conversion(wanted), _by_conversion(found)
    told: list[str] = []
    for conversion in left.keys() | right.keys():
        times, seen = sorted(left[conversion]), sorted(right[conversion])
        if len(times) != len(seen):
            told.append(f"{conversion}: {len(times)} wanted at {times}, {len(seen)} found at {seen}")
        elif any(abs(a - b) > MOVED_SECONDS for a, b in zip(times, seen, strict=True)):
            told.append(f"{conversion}: wanted at {times}, found at {seen}")
    return told + _moved_without_need(left, right)


def _by_conversion(rows: Iterable[Timed]) -> defaultdict[Held, list[int]]:
    grouped: defaultdict[Held, list[int]] = defaultdict(list)
    for conversion, time in rows:
        grouped[conversion].append(time)
    return grouped


def _moved_without_need(left: Mapping[Held, list[int]], right: Mapping[Held, list[int]]) -> list[str]:
    """Per person and goal the seconds found must hold every second wanted, and none twice."""
    wanted, found = _by_person(left), _by_person(right)
    return [
        f"{person}: seconds {sorted(set(wanted[person]) - set(times))} stand empty, or some are taken twice"
        for person, times in found.items()
        if len(set(times)) != len(times) or not set(wanted[person]) <= set(times)
    ]


def _by_person(grouped: Mapping[Held, list[int]]) -> defaultdict[tuple[Any, ...], list[int]]:
    persons: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for conversion, times in grouped.items():
        persons[person(conversion)] += times
    return persons
