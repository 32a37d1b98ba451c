"""POST /v1/accounts/{name}/pause and /resume: an operator stops an account's delivery, and lets it go on."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from aiohttp import web

from sidecar.api.http.problem import NO_ACCOUNT, HttpProblem
from sidecar.api.http.reply import json_reply
from sidecar.api.request.body import read_body
from sidecar.core.did_you_mean import did_you_mean
from sidecar.core.instant import UnixMillis, text_or_none
from sidecar.core.intake.invisible_characters import trimmed
from sidecar.core.intake.problem import listed
from sidecar.delivery.pauses import AccountPauses


@dataclass(frozen=True, slots=True)
class AccountCalls:
    """Answers with the state of the account after the call; `known` are the configured ones."""

    pausing: AccountPauses
    known: Callable[[], Collection[str]]

    async def pause(self, request: web.Request) -> web.Response:
        """Stop sending for the account; conversions are still stored."""
        account = await self._account(request)
        return _answer(account, "paused", await self.pausing.pause(account))

    async def resume(self, request: web.Request) -> web.Response:
        """Send again, at once."""
        account = await self._account(request)
        await self.pausing.resume(account)
        return _answer(account, "open", None)

    async def _account(self, request: web.Request) -> str:
        """The account in the path. The body is not used, but requiring JSON refuses web pages."""
        await read_body(request)
        name, known = trimmed(request.match_info["name"]), self.known()
        if name in known:
            return name
        close = did_you_mean(name, known)
        hint = f" Did you mean {close}?" if close else ""
        raise HttpProblem(NO_ACCOUNT, f"The configuration has these accounts: {listed(known)}.{hint}")


def _answer(account: str, state: str, since: UnixMillis | None) -> web.Response:
    return json_reply({"account": account, "state": state, "since": text_or_none(since)})
