"""The calls under `/_emulator/` about clicks, attribution and what the by-goal report counts."""

from collections.abc import Callable
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any, Literal

from aiohttp import web
from pydantic import Field

from sidecar.emulator.attribution import Attribution
from sidecar.emulator.clicks import RegisteredClick, add_clicks, put_attribution, read_attribution
from sidecar.emulator.control_calls import ControlBody, ControlCall, InvalidCall, parse_body, read_body
from sidecar.emulator.goals import all_goals
from sidecar.emulator.options import ACCOUNT_ID, Clock
from sidecar.emulator.report_counts import ATTRIBUTED, Counts, add_counts, all_days
from sidecar.emulator.state import State

_SHA256 = "^[0-9a-f]{64}$"


class ClickBody(ControlBody):
    """A click to register."""

    msclkid: str
    account_id: str
    clicked_at: int
    reason: str | None = None
    email_sha256: str | None = Field(None, pattern=_SHA256)
    phone_sha256: str | None = Field(None, pattern=_SHA256)

    def click(self) -> RegisteredClick:
        """The click as it is stored."""
        hashes = tuple(one for one in (self.email_sha256, self.phone_sha256) if one)
        return RegisteredClick(self.msclkid, self.account_id, self.clicked_at, self.reason, hashes)


class ClickBodies(ControlBody):
    """Several clicks."""

    clicks: list[ClickBody]


class ReportBody(ControlBody):
    """Rows to add to the report, or to take away, in the hour of an instant in Unix milliseconds."""

    goal: str
    account_id: str = ACCOUNT_ID
    at: int | None = None
    channel: Literal["CampaignManagementAPI", "BulkAPI", "WebUpload"] = "CampaignManagementAPI"
    attributed: int = 0
    unattributed: dict[str, int] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AttributionControl:
    """Handles the calls."""

    state: State
    clock: Clock

    def calls(self) -> tuple[ControlCall, ...]:
        """Every call."""
        return (
            ("POST", "clicks", self.add_clicks),
            ("GET", "attribution", self.attribution),
            ("PUT", "attribution", self.change_attribution),
            ("GET", "report", self.report),
            ("POST", "report", self.add_to_report),
        )

    async def add_clicks(self, request: web.Request) -> Any:
        """Registers a click or a list: later conversions are judged by its time, account and reason."""
        text = await request.read() or b"{}"
        is_list = text.lstrip().startswith(b"[")
        given = parse_body(b'{"clicks": %b}' % text, ClickBodies).clicks if is_list else [parse_body(text, ClickBody)]
        clicks = [body.click() for body in given]
        await self.state.transact(lambda db: add_clicks(db, clicks))
        return {}

    async def attribution(self, request: web.Request) -> Any:
        """How conversions find their clicks."""
        return (await self.state.transact(read_attribution)).model_dump()

    async def change_attribution(self, request: web.Request) -> Any:
        """Replaces these settings; what is left out has its usual value."""
        settings = await read_body(request, Attribution)
        await self.state.transact(lambda db: put_attribution(db, settings))
        return settings.model_dump()

    async def report(self, request: web.Request) -> Any:
        """What the by-goal report counts, by goal, account, day and channel."""
        return {"items": await self.state.transact(all_days)}

    async def add_to_report(self, request: web.Request) -> Any:
        """Adds rows to the report that were not uploaded here, or recounts: negative numbers take rows away."""
        body = await read_body(request, ReportBody)
        await self.state.transact(self._adding(body))
        return {}

    def _adding(self, body: ReportBody) -> Callable[[Connection], None]:
        def add(db: Connection) -> None:
            ids = [goal.id for goal in all_goals(db) if goal.body["Name"] == body.goal]
            if not ids:
                raise InvalidCall([f"goal: there is none of the name {body.goal}"], status=404)
            counts = Counts({(ids[0], ATTRIBUTED): body.attributed})
            counts.update({(ids[0], reason): rows for reason, rows in body.unattributed.items()})
            at = self.clock() if body.at is None else body.at
            add_counts(db, body.account_id, at, counts, body.channel)

        return add
