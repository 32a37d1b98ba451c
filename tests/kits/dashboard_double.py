"""The dashboard's files served with prepared answers, for states that a real sidecar reaches with difficulty only."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.dashboard.pages import DashboardPages
from sidecar.troubles import CATALOGUE

Json = dict[str, Any]

STATES = ("delivered", "pending", "skipped", "canceled", "dead")


def ago(**parts: float) -> str:
    """An instant of the past, as the API writes one: `ago(hours=2)`."""
    return (datetime.now(UTC) - timedelta(**parts)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Double:
    """What the calls answer. A test changes `overview` while the page is open; None answers with 500."""

    url: str = ""
    overview: Json | None = field(default_factory=lambda: overview())
    conversions: list[Json] = field(default_factory=list)
    series: Mapping[str, list[int]] = field(default_factory=dict)
    """By state: the rows of the last buckets, the newest last."""
    verdicts: list[Json] = field(default_factory=list)
    """The days of every goal, newest first."""
    key_refused: bool = False
    posted: list[str] = field(default_factory=list)
    """The paths of the calls that change something."""

    def app(self) -> web.Application:
        pages = DashboardPages.of_package()
        app = web.Application()
        app.add_routes(
            [
                web.get("/", pages.page),
                web.get("/dashboard/{path:.+}", pages.asset),
                web.get("/v1/overview", self._overview),
                web.get("/v1/series", self._series),
                web.get("/v1/verdicts", self._verdicts),
                web.get("/v1/conversions", self._conversions),
                web.get("/v1/conversions/{id}", self._conversion),
                web.post("/{path:.+}", self._post),
            ]
        )
        return app

    async def _overview(self, _: web.Request) -> web.Response:
        if self.key_refused:
            return web.json_response({"title": "No key"}, status=401)
        if self.overview is None:
            return web.json_response({"title": "Internal error", "detail": "Something broke."}, status=500)
        return web.json_response(self.overview)

    async def _series(self, request: web.Request) -> web.Response:
        step = {"1h": 3600, "6h": 21_600, "1d": 86_400}[request.query["step"]]
        since = datetime.fromisoformat(request.query["since"]).timestamp()
        starts = [at * step for at in range(int(since // step), int(datetime.now(UTC).timestamp() // step) + 1)]
        rows = list(self.series.get(request.query["name"], []))
        rows = [0] * (len(starts) - len(rows)) + rows[-len(starts) :]
        items = [{"at": _text(at), "rows": n, "value": {}} for at, n in zip(starts, rows, strict=True)]
        return web.json_response({"name": request.query["name"], "step_seconds": step, "items": items})

    async def _verdicts(self, request: web.Request) -> web.Response:
        of = request.query["account"], request.query["goal"]
        items = [day for day in self.verdicts if (day["account"], day["goal"]) == of]
        return web.json_response({"items": items, "next_cursor": None})

    async def _conversions(self, _: web.Request) -> web.Response:
        return web.json_response({"items": self.conversions, "next_cursor": None})

    async def _conversion(self, request: web.Request) -> web.Response:
        found = [row for row in self.conversions if row["id"] == request.match_info["id"]]
        return web.json_response(found[0] if found else {"title": "Not found"}, status=200 if found else 404)

    async def _post(self, request: web.Request) -> web.Response:
        self.posted.append(request.path)
        return web.json_response({})


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


@contextlib.asynccontextmanager
async def dashboard_double(**answers: Any) -> AsyncIterator[Double]:
    """Serve the dashboard; its page is at `url`."""
    double = Double(**answers)
    async with TestServer(double.app()) as server:
        double.url = str(server.make_url("")).rstrip("/")
        yield double
        await asyncio.sleep(0)


def trouble(code: str, headline: str | None = None, **more: Any) -> Json:
    """A trouble of the overview, with the texts of the catalogue."""
    known = CATALOGUE[code]
    return {
        "code": code,
        "title": known.title,
        "headline": headline or f"{known.title}.",
        "cause": known.cause,
        "fix": known.solution,
        "since": ago(hours=2),
        "account": None,
        "subject": None,
        "severity": known.severity.name.lower(),
        "check": known.check.value,
        **more,
    }


def goal(event: str, state: str = "recording", **more: Any) -> Json:
    """One goal of an account."""
    rows = 1_102 if state == "recording" else 0
    return {
        "goal": f"Sidecar {event.capitalize()}",
        "event": event,
        "state": state,
        "headline": None,
        "fix": None,
        "delivered_24h": rows,
        "value_24h": {"USD": 47_980} if rows else {},
        "attributed_share": None,
        **more,
    }


def account(name: str = "default", *goals: Json, **more: Any) -> Json:
    """One account of the overview."""
    return {
        "account": name,
        "state": "recording",
        "headline": "1,204 conversions were delivered in the last 24 hours.",
        "fix": None,
        "goals": list(goals) or [goal("purchase"), goal("lead"), goal("signup", "no_recent_conversions")],
        "requests_last_minute": 41,
        "requests_limit": 1_000,
        "signed_in_until": ago(minutes=-50),
        **more,
    }


def counts(**states: int) -> Json:
    """Rows of the last 24 hours by state; received is their sum."""
    whole = dict.fromkeys(STATES, 0) | states
    return {"received": sum(whole.values()), **whole}


UNMATCHED = dict.fromkeys(("msclkid", "visitor", "email", "phone", "none"))
"""The match share while nothing was received."""

WELL = "All is well. 1,204 conversions worth 48,210.50 USD were delivered in the last 24 hours, each within 3 s."


def overview(*troubles: Json, accounts: list[Json] | None = None, **more: Any) -> Json:
    """What GET /v1/overview answers: all is well, or these troubles, the worst first."""
    worst = troubles[0] if troubles else None
    numbers = more.get("counts_24h") or counts(delivered=1_204, skipped=8)
    return {
        "state": "degraded" if any(one["severity"] != "advice" for one in troubles) else "ok",
        "version": "0.1.0",
        "headline": worst["headline"] if worst else WELL,
        "fix": worst["fix"] if worst else None,
        "since": worst["since"] if worst else None,
        "first_received_at": ago(days=20),
        "troubles": list(troubles),
        "counts_24h": numbers,
        "received_24h": numbers["received"],
        "delivered_24h": numbers["delivered"],
        "waiting": [],
        "dead": {"rows": 0, "value": {}},
        "lag_seconds": None,
        "match_share": {"msclkid": 0.71, "visitor": 0.1, "email": 0.64, "phone": 0.2, "none": 0.02},
        "accounts": accounts or [account()],
        **more,
    }
