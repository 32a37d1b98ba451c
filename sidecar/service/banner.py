"""What `sidecar run` prints first: the address, and a command to paste that delivers a first conversion."""

import json
import math
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from sidecar.system.listening import reached_at

CLICK_ID = "f894f652ea334e739002f7167ab8f8e3"
"""A click id of the right form that no click has, for a try against the emulator."""

ANSWER_SECONDS = 2
"""How long a delivery takes beyond its linger, with a margin."""

_EXPORT = "\n  export SIDECAR_API_KEY=...\n"


@dataclass(frozen=True, slots=True)
class Open:
    """No key is asked for."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key was made just now, and is shown this once."""

    key: str
    file: Path | None
    """None where it lies in the database."""

    def __repr__(self) -> str:
        return f"NewKey(file={self.file!r})"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key was made at an earlier start, or by another replica."""

    file: Path | None
    """None where it lies in the database."""


@dataclass(frozen=True, slots=True)
class Configured:
    """The operator chose the keys."""


Key = Open | NewKey | StoredKey | Configured


@dataclass(frozen=True, slots=True)
class Try:
    """What a first conversion needs to say so that it is delivered."""

    event: str
    currency: str
    consent: str | None
    """Given where a conversion without it would not be stored."""
    linger_seconds: float


def local_url(host: str, port: int) -> str:
    """An address that works from this machine for a service that listens on `host`."""
    return f"http://{reached_at(host)}:{port}"


def lines(url: str, key: Key, emulator: str | None, first: Try) -> str:
    """What a person needs for a first conversion; `emulator` tells which one takes it, None that Microsoft does."""
    return "\n".join((f"msads-sidecar is listening on {url}", *_of_key(key), *_of_delivery(url, key, emulator, first)))


def _of_key(key: Key) -> Iterator[str]:
    match key:
        case Open():
            pass
        case NewKey(text, file):
            place = file or "the database"
            begin = "Every call needs a key. This one was made just now; it is shown only this once"
            yield f"{begin}, and lies in {place}:"
            yield f"\n  {text}\n"
        case StoredKey(None):
            yield "Every call needs the key that the first start printed. First put it where the lines below find it:"
            yield _EXPORT
        case StoredKey(file):
            yield f"Every call needs the key that lies in {file}."
        case Configured():
            yield "Every call needs one of server.api_keys. First put it where the lines below and `sidecar` find it:"
            yield _EXPORT
        case _:
            assert_never(key)


def _of_delivery(url: str, key: Key, emulator: str | None, first: Try) -> Iterator[str]:
    if emulator is None:
        yield f"If it is not connected yet: open {url}/connect in a browser, or run `sidecar connect`."
        return
    yield f"It delivers to {emulator}: no account is needed, and nothing reaches Microsoft."
    yield "Paste this to send a first conversion and see it delivered:"
    yield f"\n  {_curl(url, key, first)}\n"


def _curl(url: str, key: Key, first: Try) -> str:
    """Send it, wait, look: one line for a POSIX shell."""
    body = {"event": first.event, "order_id": "FIRST-1", "value": 99.99, "currency": first.currency}
    consent = {} if first.consent is None else {"consent": first.consent}
    data = shlex.quote(json.dumps({**body, "msclkid": CLICK_ID, **consent}))
    call = f"curl -sS -w '\\n'{_authorization(key)}"
    send = f"{call} -H 'Content-Type: application/json' {shlex.quote(f'{url}/v1/conversions')} -d {data}"
    look = f"{call} {shlex.quote(f'{url}/v1/conversions?order_id=FIRST-1')}"
    return f"{send} && sleep {math.ceil(first.linger_seconds) + ANSWER_SECONDS} && {look}"


def _authorization(key: Key) -> str:
    match key:
        case Open():
            return ""
        case NewKey(text):
            return f" -H {shlex.quote(f'Authorization: Bearer {text}')}"
        case StoredKey(None) | Configured():
            return ' -H "Authorization: Bearer $SIDECAR_API_KEY"'
        case StoredKey(file):
            return f' -H "Authorization: Bearer $(cat {shlex.quote(str(file))})"'
        case _:
            assert_never(key)
