"""GET /metrics: counters, and gauges that are read from the outbox at that moment."""

from dataclasses import dataclass

from aiohttp import web

from sidecar.api.request.admission import admission_of
from sidecar.ports.queries import Queries
from sidecar.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class MetricsCalls:
    """What a Prometheus scraper reads. Costs no scan of the outbox."""

    queries: Queries
    telemetry: Telemetry

    async def get(self, request: web.Request) -> web.Response:
        """The handler of the route; authorisation happened before."""
        backlog = await self.queries.backlog()
        await admission_of(request).lanes.turn(request)
        self.telemetry.service.outbox_seen(await self.queries.counts(), backlog)
        body, content_type = self.telemetry.metrics.exposition(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})
