"""POST /v1/alerts/test: posts a test message to the alerts' webhook, and says what it answered."""

from dataclasses import dataclass

from aiohttp import web

from sidecar.api.http.problem import NO_WEBHOOK, HttpProblem
from sidecar.api.http.reply import json_reply
from sidecar.api.request.body import read_body
from sidecar.upkeep.alerts import Alerts


@dataclass(frozen=True, slots=True)
class AlertCalls:
    """Answers with what became of the message; `alerts` is None where no webhook is configured."""

    alerts: Alerts | None

    async def test(self, request: web.Request) -> web.Response:
        """Post a test message. The body is not used, but requiring JSON refuses web pages."""
        await read_body(request)
        if self.alerts is None:
            raise HttpProblem(NO_WEBHOOK, "Set alerts.webhook to the address that takes the messages, and restart.")
        reception = await self.alerts.test()
        return json_reply(
            {
                "taken": reception.is_taken,
                "format": self.alerts.form,
                "status": reception.status,
                "answer": reception.answer,
                "error": reception.error,
            }
        )
