"""Seeds and damaged seeds through every place that reads bytes of others. With coverage to guide it: `make fuzz`."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz.targets import TARGETS, seeds

LONG = os.environ.get("SIDECAR_FUZZ_INPUTS")
INPUTS = int(LONG or 1_000)
"""Damaged inputs of each target."""

WORDS = [
    *(b"null", b"true", b"NaN", b"-0", b"1e400", b"1e-400", b"9" * 30, b"9" * 5_000, b"0.1", b"\\ud800", b"\\u0000"),
    *(
        b"[" * 2_000,
        b'{"a":' * 2_000,
        b"{}",
        b"[]",
        b'""',
        b'"',
        b"\\",
        b",",
        b":",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"\t",
        b" ",
    ),
    *("é ß 😀 \u2028 \ufeff \u202e ٣ ²".encode().split(b" ")),
    *(b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\x00", b"\x1b[31m", b"%00", b"%ff", b"&", b"=", b"+", b"@", b"#"),
    *(b"&a", b"*a", b"<<: *a", b"!!python/object:os.system", b"---", b"${SET}", b"${UNSET}", b"${", b"- ", b"? "),
    *(b"1970-01-01T00:00:00Z", b"9999-12-31T23:59:59Z", b"0001-01-01T00:00:00+23:59", b"msclkid=", b"00000000-"),
]
"""What parsers stumble over."""


def damaged(whole: list[bytes], chance: random.Random) -> bytes:
    """One of them with one to four things cut out, put in, turned, doubled, or taken from another."""
    text = bytearray(chance.choice(whole))
    for _ in range(chance.randint(1, 4)):
        start, end = sorted((chance.randint(0, len(text)), chance.randint(0, len(text))))
        match chance.randrange(6):
            case 0:
                del text[start : min(end, start + 8)]
            case 1:
                text[start:start] = chance.choice(WORDS)
            case 2:
                text[start : start + 1] = bytes([chance.randrange(256)])
            case 3:
                text[end:end] = text[start:end]
            case 4:
                other = chance.choice(whole)
                cut = chance.randint(0, len(other))
                text[start:end] = other[cut : cut + chance.randint(0, 60)]
            case _:
                text[start : min(end, start + 20)] = chance.choice(WORDS)
    return bytes(text)


def all_seeds() -> Iterator[tuple[str, Path]]:
    for name in TARGETS:
        for seed in seeds(name):
            yield name, seed


@pytest.mark.parametrize(
    ("name", "seed"), [pytest.param(*one, id=f"{one[0]}/{one[1].parent.name}/{one[1].name}") for one in all_seeds()]
)
def test_every_seed_is_read_or_refused(name: str, seed: Path) -> None:
    TARGETS[name](seed.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_seeds_are_read_or_refused(name: str, tmp_path: Path) -> None:
    """The short form damages them alike each time: it guards, the long form searches."""
    chance = random.Random(name if LONG is None else None)
    whole = [seed.read_bytes() for seed in seeds(name)]
    for _ in range(INPUTS):
        text = damaged(whole, chance)
        try:
            TARGETS[name](text)
        except Exception as error:
            kept = tmp_path / "found"
            kept.write_bytes(text)
            raise AssertionError(f"{name} of {kept}: {error!r}") from error
