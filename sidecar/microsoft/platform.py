"""Microsoft Advertising as the flusher sees it: pace, token and request put together, and the repeat after a 109."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.answer import Answer, Refused, Verdict
from sidecar.core.entry import Entry
from sidecar.microsoft.client import Client, Credentials
from sidecar.microsoft.pacer import Pacer
from sidecar.microsoft.tokens import AccessToken, TokenSource
from sidecar.ports import NotConnected


@dataclass(frozen=True, slots=True)
class AccountIds:
    """Which account, in Microsoft's numbers; an empty one is not sent."""

    customer_id: str
    account_id: str


@dataclass(slots=True)
class MicrosoftAdvertising:
    """Implements `ports.Platform`; `accounts` is asked anew for each request."""

    client: Client
    tokens: TokenSource
    pacer: Pacer
    developer_token: str
    accounts: Callable[[], Mapping[str, AccountIds]]

    def knows(self, account: str) -> bool:
        return account in self.accounts()

    async def permit(self, account: str) -> None:
        """The token comes first: requests that waited for it together must not leave together."""
        await self.tokens.access_token()
        await self.pacer.permit(account)

    async def upload(self, account: str, entries: Sequence[Entry]) -> Answer:
        token = await self.tokens.access_token()
        answer = await self.client.apply(self._credentials(account, token), entries)
        if not isinstance(answer, Refused) or answer.verdict is not Verdict.TOKEN:
            return answer
        try:
            fresh = await self.tokens.refresh(token.value)
        except NotConnected:
            if answer.maybe_applied:
                return answer
            raise
        if answer.maybe_applied:  # then the first answer is the one that counts: the same bytes must go again
            return answer
        await self.pacer.permit(account)
        return await self.client.apply(self._credentials(account, fresh), entries)

    def sharing(self, account: str) -> Sequence[str]:
        return self.pacer.sharing(account)

    def throttled(self, account: str) -> None:
        self.pacer.throttled(account)

    def answered(self, account: str) -> None:
        self.pacer.answered(account)

    def _credentials(self, account: str, token: AccessToken) -> Credentials:
        ids = self.accounts()[account]
        return Credentials(token.value, self.developer_token, ids.customer_id, ids.account_id)
