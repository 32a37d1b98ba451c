"""Canaries: unmistakable persons and secrets go in on every way there is, and none may turn up anywhere.

Searched are the database as the disk has it, every other file, stdout, stderr, the journal and all answers.
"""

import asyncio
import json
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from place_kit import OutboxPlace
from process_kit.emulator import Microsoft, microsoft
from process_kit.expected import email_sha256, phone_sha256
from process_kit.running import Starter
from process_kit.service import GOALS, Json, Services, Sidecar, config, reaching
from promises import Show

API_KEY = "test-canary-api-key-0123456789abcdef"
SECRETS = {
    "client_secret": "test-canary-client-secret-7Q~x",
    "developer_token": "TESTCANARYDEVTOKEN77",
    "refresh_token": "test-emulator-refresh-token",
}
ISSUED = ("test-access-", "test-refresh-", "test-code-")
"""How the tokens and codes begin that the emulator issues."""

CODE = "test-canary-code-0123456789"
ENCRYPTION_KEY = "test-canary-encryption-key-1234"

EMAIL = "canary.shopper{}@canary-mail.example"
PHONE = "+1 425 555 01{:02d}"


@dataclass
class Aviary:
    """All canaries that were let fly, and every text that was answered."""

    persons: int = 0
    canaries: list[str] = field(default_factory=list)
    unlogged: list[str] = field(default_factory=list)
    """What may lie in the database, and be shown to who may ask, but stand in no log: click ids and hashes."""
    logged: list[str] = field(default_factory=list)
    """Every answer of /logs."""
    answers: list[str] = field(default_factory=list)

    def email(self) -> str:
        self.persons += 1
        self.canaries.append(EMAIL.format(self.persons))
        return self.canaries[-1]

    def phone(self) -> str:
        self.persons += 1
        self.canaries.append(PHONE.format(self.persons))
        return self.canaries[-1]

    def click(self) -> str:
        self.persons += 1
        self.unlogged.append(f"c0ffee{self.persons:026x}")
        return self.unlogged[-1]

    def forms(self) -> set[bytes]:
        """Each as it went in and as it looks once normalised, in lower case, with and without escapes."""
        whole = {*self.canaries, API_KEY, ENCRYPTION_KEY, CODE, *ISSUED, *SECRETS.values()}
        bare = {canary.replace(".", "", 1) if "@" in canary else canary.replace(" ", "") for canary in self.canaries}
        return {form.lower().encode() for text in whole | bare for form in (text, quote(text, safe=""))}


def _bodies(fly: Aviary) -> Iterator[object]:
    """Personal data where it belongs, and where it is not expected."""
    good: Json = {"event": "purchase", "value": 1}
    for number in range(3):
        user = {"email": fly.email(), "phone": fly.phone()}
        yield {**good, "order_id": f"GOOD-{number}", "msclkid": fly.click(), "user": user}
        fly.unlogged += filter(None, (email_sha256(user["email"]), phone_sha256(user["phone"], None)))
    yield {**good, "user": {"email": fly.email().replace("@", "@@"), "phone": "0" + fly.phone()}}
    yield {**good, "user": fly.email()}
    yield {**good, "user": {"email": [fly.email()], "phone": {"number": fly.phone()}}}
    yield {**good, "user": {"email_sha256": fly.email(), "phone_sha256": fly.phone()}}
    yield {**good, "user": {"email": 17, fly.email(): fly.phone()}}
    yield {**good, fly.email(): 1, "emial": fly.email()}
    for name in ("event", "time", "value", "currency", "msclkid", "landing_url", "consent", "account"):
        yield {**good, name: fly.email()}
        yield {**good, name: {fly.email(): fly.phone()}}
        yield {**good, name: fly.phone()}
    yield {**good, "external_attribution": {"credit": fly.email(), "model": 3}}
    yield {**good, "meta": fly.email()}
    yield fly.email()
    yield [fly.email(), {**good, "user": {"email": fly.email(), "e-mail": fly.email()}}]
    yield {**good, "landing_url": f"https://shop.example/?email={fly.email()}&msclkid={fly.phone()}"}
    yield f'{{"event": "purchase", "user": {{"email": "{fly.email()}"'.encode()
    yield f"email={fly.email()}".encode()
    yield b"\xff" + fly.email().encode()
    yield f'{{"event": "{fly.email()}", "event": NaN}}'.encode()


async def _misuse(sidecar: Sidecar, fly: Aviary) -> None:
    """Every way in, with the key and without."""

    async def call(method: str, path: str, body: object = None, **headers: str) -> int:
        answer = await sidecar.call(method, path, body, **headers)
        fly.answers.append(f"{answer.text} {answer.headers}")
        return answer.status

    statuses = [await call("POST", "/v1/conversions", body) for body in _bodies(fly)]
    assert statuses.count(202) >= 3
    assert {400, 422} <= set(statuses)
    assert 500 not in statuses
    for body in _bodies(fly):
        answer = await sidecar.call("POST", "/v1/validate", body)
        fly.answers.append(_without_steps(answer.text))
    for path in (f"conversions?email={fly.email()}", f"conversions?state={fly.email()}", f"conversions/{fly.email()}"):
        assert await call("GET", f"/v1/{path}") in (404, 422)
    for path in (f"{fly.email()}", f"logs?level={fly.email()}", f"oauth/callback?state={fly.email()}"):
        assert await call("GET", f"/{path}") in (400, 404, 422)
    assert await call("POST", "/v1/conversions", {"user": fly.email()}, Authorization=f"Bearer {API_KEY}x") == 401
    assert await call("POST", "/v1/conversions", {}, **{"Idempotency-Key": "x" * 300 + fly.email()}) == 422
    assert await call("POST", "/v1/conversions", {}, **{"Content-Encoding": fly.email()}) == 415
    await _sign_in_wrongly(sidecar, fly)


def _without_steps(text: str) -> str:
    """The answer of /v1/validate without the steps of normalising, whose purpose is to show the input."""
    return re.sub(r'"steps":\{.*?\]\}', "", text)


async def _sign_in_wrongly(sidecar: Sidecar, fly: Aviary) -> None:
    """The browser comes back with an error, and with a code that is none."""
    for coming in ({"error": "access_denied", "error_description": fly.email()}, {"code": CODE}):
        away = await sidecar.call("GET", "/connect")
        assert away.status == 302
        state = parse_qs(urlsplit(away.headers["Location"]).query)["state"][0]
        answer = await sidecar.call("GET", f"/oauth/callback?{urlencode({**coming, 'state': state})}")
        fly.answers.append(f"{answer.text} {answer.headers}")


BREAKS = ("\r\n", "\n", "\x1b[2J", "\u2028", "\u0085", "\x00", "\t", "\u202e", "x" * 20_000)
"""What ends a line, or changes how one looks, in one program or another."""

FORGED = '{"time": "2026-11-23T14:30:45Z", "level": "info", "name": "forged"}'


async def _inject(sidecar: Sidecar) -> int:
    """A second record in every field, header and path; how many were tried."""
    good: Json = {"event": "purchase", "value": 1, "msclkid": "c0ffee" + "0" * 26}
    tried = 0
    for number, cut in enumerate(BREAKS):
        text = f"A{number}{cut}{FORGED}"
        for name in ("event", "order_id", "currency", "account", "visitor_id", "msclkid", "landing_url", "time", text):
            answer = await sidecar.post({**good, "order_id": f"CUT-{number}-{tried}", name: text[:20_000]})
            assert answer.status in (202, 413, 422), answer.text
            tried += 1
        for headers in ({"Idempotency-Key": text}, {"X-Request-ID": text}, {"User-Agent": text}, {"Origin": text}):
            told = {name: value.translate(UNSENDABLE)[:4_000] for name, value in headers.items()}
            assert (await sidecar.post({**good, "order_id": f"CUT-{number}-{tried}"}, **told)).status < 500
            tried += 1
        for path in (f"/v1/accounts/{quote(text)}/pause", f"/{quote(text)}", f"/logs?event={quote(text)}"):
            assert (await sidecar.call("POST" if "pause" in path else "GET", path[:4_000], None)).status < 500
            tried += 1
    return tried


UNSENDABLE = dict.fromkeys((*range(32), 127))
"""What no client library sends in a header; tests/api/test_framing.py sends it raw."""


def _records(text: str) -> list[str]:
    """Lines that are not one record each, or were forged."""
    lines = text.splitlines()
    records = [json.loads(line) if line.startswith("{") else {} for line in lines]
    return [line for line, record in zip(lines, records, strict=True) if record.get("name", "forged") == "forged"]


ECHO = f"{EMAIL.format(0)} Bearer {SECRETS['refresh_token']} DeveloperToken: {SECRETS['developer_token']}"


async def _trouble(there: Microsoft) -> None:
    """Microsoft fails, and echoes what it was sent."""
    await there.fault("status", status=500, body=f"<h1>{ECHO}</h1>", content_type="text/html")
    await there.fault("fault", code=0, symbol="InternalError", message=ECHO, detail=ECHO, status=500)
    await there.fault("malformed", body="html", applied=False)
    await there.fault("partial_errors", code=5610, message=ECHO, indexes=[0])


async def _lose_the_sign_in(there: Microsoft, sidecar: Sidecar, fly: Aviary) -> None:
    """The token ends, and no new one is to be had."""
    await there.fault("oauth_error", match={"operation": "token"}, times=None, aadsts=70008)
    await there.fault("expire_tokens")
    body = {"event": "purchase", "order_id": "LAST", "user": {"email": fly.email()}}
    assert (await sidecar.post(body)).status == 202
    async with asyncio.timeout(60):
        while (await sidecar.get("/healthz"))["checks"]["token"]["status"] == "ok":
            await asyncio.sleep(0.05)


def _files(folder: Path) -> dict[str, bytes]:
    """All that the sidecar left behind; not the test's own files, nor the emulator's."""
    own = ("config.yaml", "ca.pem")
    return {
        path.name: path.read_bytes().lower()
        for path in folder.iterdir()
        if path.is_file() and path.name not in own and not path.name.startswith("emulator-")
    }


@pytest.fixture
async def there(starter: Starter) -> Microsoft:
    return await starter.stack.enter_async_context(microsoft(starter, *GOALS))


@pytest.mark.promise("C9")
@pytest.mark.parametrize(
    ("level", "form"),
    [
        ("debug", "json"),
        *(
            pytest.param(level, form, marks=pytest.mark.faults)
            for form in ("json", "console")
            for level in ("debug", "info", "warning", "error")
            if (level, form) != ("debug", "json")
        ),
    ],
)
async def test_no_person_and_no_secret_turns_up_in_files_output_journal_or_answers(
    there: Microsoft,
    starter: Starter,
    services: Services,
    outbox_place: OutboxPlace,
    level: str,
    form: str,
    shown: Show,
) -> None:
    settings = config(
        None,
        server={"api_keys": [API_KEY]},
        storage={"encryption_key": ENCRYPTION_KEY},
        microsoft={"environment": "production", "client_id": "test-app", **SECRETS, **reaching(there)},
        accounts={"default": {"customer_id": 100000001, "account_id": 200000001}},
        logging={"level": level, "format": form},
    )
    await _trouble(there)
    fly = Aviary(canaries=[EMAIL.format(0)])
    sidecar = await services.start(settings, env={"PYTHONASYNCIODEBUG": "1"})
    sidecar.key = API_KEY
    await _misuse(sidecar, fly)
    tried = await _inject(sidecar)
    await sidecar.settled(60)
    await _lose_the_sign_in(there, sidecar, fly)
    fly.logged += [
        (await sidecar.call("GET", page)).text for page in ("/logs?limit=1000", "/logs?level=debug&limit=1000")
    ]
    pages = ("/logs?limit=1000", "/v1/conversions?limit=1000", "/healthz", "/metrics", "/nowhere")
    fly.answers += [(await sidecar.call("GET", path)).text for path in pages]

    places = _files(starter.folder) | {"the store": outbox_place.disk_bytes().lower()}
    assert b"good-1" in places["the store"], "the search would find nothing at all"
    sidecar.running.signal(signal.SIGTERM)
    assert await sidecar.running.ended() == 0
    places |= {f"{name} afterwards": text for name, text in _files(starter.folder).items()}
    places["answers"] = "\n".join(fly.answers).lower().encode()
    assert b"status" in places["answers"]
    places["the store afterwards"] = outbox_place.disk_bytes().lower()
    found = sorted({(form.decode(), place) for place, text in places.items() for form in fly.forms() if form in text})
    assert not found, "\n".join(map(str, found))
    logs = {"out": sidecar.running.out, "err": sidecar.running.err, "/logs": "\n".join(fly.logged)}
    told = [(canary, place) for place, text in logs.items() for canary in fly.unlogged if canary in text.lower()]
    assert not told, "\n".join(map(str, told))
    if form == "json":
        assert _records(sidecar.running.out) == []
    assert "forged" not in sidecar.running.err
    shown(
        f"{len(fly.forms()) + len(fly.unlogged)} forms of canaries and {tried} forged records",
        lost=len(found) + len(told),
        figure=f"{level} as {form}: {len(places) + len(logs)} places",
    )
