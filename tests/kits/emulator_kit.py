"""A client of the emulator that shares no code with the sidecar, and rows that are accepted."""

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from sidecar.emulator import ACCOUNT_ID, CUSTOMER_ID, SEED_REFRESH_TOKEN, Emulator, MappedGoal

SCOPE = "https://ads.microsoft.com/msads.manage"
NOON = 1_795_176_000_000  # 2026-11-20T12:00:00Z
HOUR = 3_600_000
GOALS = (
    MappedGoal(name="Purchase", currency="EUR"),
    MappedGoal(name="Plain", enhanced=False),
    MappedGoal(name="Outside", externally_attributed=True),
)


@dataclass
class StillClock:
    """A clock that moves when it is told to."""

    now: int = NOON

    def __call__(self) -> int:
        return self.now


@dataclass
class Reply:
    """An answer, read to its end."""

    status: int
    headers: Any
    text: str

    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def errors(self) -> list[tuple[int, str]]:
        """Index and symbol of every partial error."""
        return [(error["Index"], error["ErrorCode"]) for error in self.json()["PartialErrors"]]

    @property
    def fault(self) -> str:
        """The symbol of the first error of a refused request."""
        body = self.json()
        errors = body.get("Errors") or body.get("OperationErrors")
        return errors[0].get("ErrorCode") or errors[0]["Message"]


@dataclass
class Client:
    """Speaks to an emulator as our users' programs would, without any code of the sidecar."""

    emulator: Emulator
    session: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)

    async def request(self, method: str, path: str, **more: Any) -> Reply:
        more.setdefault("allow_redirects", False)
        async with self.session.request(method, self.emulator.url + path, **more) as response:
            return Reply(response.status, response.headers, await response.text())

    async def token(self, **form: str) -> Reply:
        return await self.request("POST", "/common/oauth2/v2.0/token", data={"client_id": "test-app", **form})

    async def sign_in(self, scope: str = f"{SCOPE} openid profile offline_access") -> None:
        reply = await self.token(grant_type="refresh_token", refresh_token=SEED_REFRESH_TOKEN, scope=scope)
        assert reply.status == 200, reply.text
        self.headers = {
            "Authorization": f"Bearer {reply.json()['access_token']}",
            "CustomerId": CUSTOMER_ID,
            "CustomerAccountId": ACCOUNT_ID,
        }

    async def campaign(self, path: str, body: Any, method: str = "POST", **headers: str | None) -> Reply:
        """A call of Campaign Management; a header given as None is left out."""
        merged = {name: value for name, value in {**self.headers, **headers}.items() if value is not None}
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        return await self.request(method, f"/CampaignManagement/v13/{path}", data=data, headers=merged)

    async def apply(self, *rows: Any, **headers: str | None) -> Reply:
        return await self.campaign("OfflineConversions/Apply", {"OfflineConversions": rows}, **headers)

    async def adjust(self, *rows: Any) -> Reply:
        return await self.campaign("OfflineConversionAdjustments/Apply", {"OfflineConversionAdjustments": rows})

    async def customer(self, path: str, body: Any) -> Reply:
        merged = {"Authorization": self.headers["Authorization"]}
        return await self.request("POST", f"/CustomerManagement/v13/{path}", json=body, headers=merged)

    async def control(self, method: str, path: str, body: Any = None) -> Reply:
        return await self.request(method, f"/_emulator/{path}", json=body)

    async def fault(self, action: str, **rule: Any) -> None:
        """Script a fault whose action has no more than a type; others go as `action={...}`."""
        reply = await self.control("POST", "faults", {"action": {"type": action}, **rule})
        assert reply.status == 200, reply.text

    async def stored(self, table: str = "conversions") -> list[Any]:
        return (await self.emulator.ledger(table))["items"]


def at(ms: int) -> str:
    """The text of an instant as it goes on the wire."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def click_id(number: int) -> str:
    """A well-formed click id."""
    return hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()


def conversion(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A conversion that is accepted, with some fields replaced."""
    return {
        "MicrosoftClickId": click_id(number),
        "ConversionName": "Purchase",
        "ConversionTime": at(NOON - HOUR),
        "ConversionValue": 249.9,
        "ConversionCurrencyCode": "EUR",
        **fields,
    }


def adjustment(number: int = 1, kind: str = "Restate", **fields: Any) -> dict[str, Any]:
    """An adjustment of `conversion(number)`."""
    values = {"AdjustmentValue": 9.5, "AdjustmentCurrencyCode": "EUR"} if kind == "Restate" else {}
    original = conversion(number)
    keys = {name: original[name] for name in ("MicrosoftClickId", "ConversionName", "ConversionTime")}
    return {"AdjustmentType": kind, "AdjustmentTime": at(NOON), **values, **keys, **fields}


Serve = Callable[..., AbstractAsyncContextManager[Client]]
"""`async with serve(option=...) as client:` runs an emulator and signs in."""
