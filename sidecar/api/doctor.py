"""GET /v1/doctor: every check of the sidecar and of its way to Microsoft, with cause and remedy."""

from dataclasses import dataclass

from aiohttp import web

from sidecar.api.http.reply import json_reply
from sidecar.doctor.gathering import Doctor
from sidecar.doctor.texts import report_json


@dataclass(frozen=True, slots=True)
class DoctorCalls:
    """Answers with a report. It is always 200: the service answers."""

    doctor: Doctor

    async def get(self, _: web.Request) -> web.Response:
        """Make all checks; this asks Microsoft, and takes some seconds at most."""
        return json_reply(report_json(await self.doctor.report()))
