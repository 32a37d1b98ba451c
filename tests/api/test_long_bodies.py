"""Bodies full of one long text: the whole call stays within its memory, and the answer says what was too long."""

import json
import tracemalloc
from typing import Any

import pytest
from api_kit import Api

MIB = 2**20

MOST_BYTES = 16 * MIB
"""Above what there was before, for the body as bytes, as text, and as the value that it holds."""

TEXTS = {
    "per cent signs": "https://x/?msclkid=" + "%" * (2 * MIB - 400),
    "escapes": "https://x/?msclkid=" + "%25" * 600_000,
    "accents": "a\N{COMBINING ACUTE ACCENT}" * 350_000,
    "beyond the first plane": "\N{GRINNING FACE}" * 260_000,
}

PLACES = [
    *[("/v1/conversions", name) for name in ("landing_url", "order_id", "time", "user.email", "user.phone", "meta.a")],
    *[("/v1/validate", name) for name in ("landing_url", "user.email", "user.phone", "user.country")],
    *[("/v1/clicks", name) for name in ("url", "visitor_id")],
    *[("/v1/adjustments", name) for name in ("order_id", "conversion_id")],
]
GOOD: dict[str, dict[str, Any]] = {
    "/v1/conversions": {"event": "purchase"},
    "/v1/validate": {"event": "purchase"},
    "/v1/clicks": {"visitor_id": "v-1"},
    "/v1/adjustments": {"type": "retract"},
}


@pytest.mark.parametrize("worst", TEXTS)
@pytest.mark.parametrize(("path", "name"), PLACES)
async def test_call_with_one_long_text_stays_within_its_memory(api: Api, path: str, name: str, worst: str) -> None:
    outer, _, inner = name.partition(".")
    text = TEXTS[worst]
    item = GOOD[path] | {outer: {inner: text} if inner else text}
    body = json.dumps(item, ensure_ascii=False).encode()
    assert len(body) <= 2 * MIB
    await api.post(GOOD[path], path)
    tracemalloc.start()
    try:
        answer = await api.post(body, path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.status in (200, 202, 422), answer.text
    assert len(answer.text) < 4_096
    assert peak <= MOST_BYTES
