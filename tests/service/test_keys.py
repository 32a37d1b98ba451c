"""Every call of the API without a key and with wrong ones: nothing is told, nothing is changed."""

import hmac
from typing import Any

import pytest
from process_kit.service import Services, Sidecar, config
from promises import Show

from sidecar.api.http.guard import Guard
from sidecar.api.http.problem import HttpProblem

KEYS = ("test-key-one-0123456789abcdef", "test-key-two-0123456789abcdef")
OPEN = ("/livez", "/readyz", "/oauth/callback")
"""Probes, which tell one word; and the return from Microsoft, which its one-time state guards. Both only read."""

WRITING = ("POST", "PUT", "PATCH")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

WRONG = (
    {},
    {"Authorization": ""},
    {"Authorization": KEYS[0]},
    {"Authorization": f"Bearer {KEYS[0][:-1]}"},
    {"Authorization": f"Bearer {KEYS[0]}0"},
    {"Authorization": f"Bearer {KEYS[0].upper()}"},
    {"Authorization": f"Bearer {KEYS[0]},{KEYS[1]}"},
    {"Authorization": f"Token {KEYS[0]}"},
    {"Authorization": "Bearer null"},
    {"Authorization": "Bearer \u00e9"},
    {"X-API-Key": KEYS[0]},
    {"Cookie": f"key={KEYS[0]}"},
)


async def _paths(sidecar: Sidecar) -> list[str]:
    """Every path of the API's own description, and some that are in none."""
    described = await sidecar.get("/openapi.json")
    filled = (path.replace("{id}", "conv_1").replace("{name}", "default") for path in described["paths"])
    return [*filled, "/", "/nowhere", "/livez/", "/%6civez2", "/v1/conversions?key=" + KEYS[0], "/msclkid.js"]


async def _let_in(sidecar: Sidecar) -> tuple[int, list[str]]:
    """How many calls were made, and those that were not refused."""
    paths = await _paths(sidecar)
    body: Any = {"event": "purchase", "order_id": "ORDER-2", "value": 1, "msclkid": "2" * 32}
    sidecar.key = ""
    let_in: list[str] = []
    tried = 0
    for path in paths:
        for method in METHODS:
            if path in OPEN and method in ("GET", "HEAD"):
                continue
            for headers in WRONG:
                answer = await sidecar.call(method, path, body if method in WRITING else None, **headers)
                tried += 1
                if answer.status not in ((401, 405) if path in OPEN else (401,)) or any(
                    key in answer.text for key in KEYS
                ):
                    let_in.append(f"{method} {path} {headers}: {answer.status}")
    return tried, let_in


@pytest.mark.promise("C3")
async def test_every_call_needs_one_of_the_keys(services: Services, shown: Show) -> None:
    sidecar = await services.start(config(None, server={"api_keys": list(KEYS)}))
    sidecar.key = KEYS[1]
    body = {"event": "purchase", "order_id": "ORDER-1", "value": 1, "msclkid": "1" * 32}
    assert (await sidecar.post(body)).status == 202
    tried, let_in = await _let_in(sidecar)
    sidecar.key = KEYS[0]
    assert [row["order_id"] for row in await sidecar.rows()] == ["ORDER-1"]
    assert let_in == []
    shown(f"{tried:,} calls without a key or with a wrong one", lost=len(let_in))


@pytest.mark.promise("C3")
@pytest.mark.parametrize("given", [KEYS[0], KEYS[1], KEYS[0][:-1], "", "x" * 10_000])
def test_key_is_compared_with_all_keys_and_in_constant_time(
    given: str, monkeypatch: pytest.MonkeyPatch, shown: Show
) -> None:
    """Digests of one length, each compared to its end, even after one fits."""
    guard = Guard.of((), KEYS)
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def compare_digest(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return real(a, b)

    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    try:
        guard.check("GET", "/healthz", {"Authorization": f"Bearer {given}"})
        opened = True
    except HttpProblem:
        opened = False
    assert opened == (given in KEYS)
    assert [(len(a), len(b)) for a, b in compared] == [(32, 32)] * len(KEYS)
    shown("1 keys compared", lost=0)
