"""Microsoft Advertising as the loops see it: pace, token and request put together, and the repeat after a 109."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from sidecar.core.answer import Answer, Lost, RefusedBatch, Verdict
from sidecar.core.entry import Entry
from sidecar.core.goals.creation import Creation, NewGoal, NotCreated
from sidecar.core.goals.goal import Goal
from sidecar.core.report import GoalReport, ReportCall
from sidecar.microsoft import account_properties, goals, reports
from sidecar.microsoft.account_ids import AccountIds
from sidecar.microsoft.client import CONNECTIONS, Client, Credentials
from sidecar.microsoft.invalid_credentials import BLAMES_TOKEN, CredentialsHistory, diagnose
from sidecar.microsoft.rate_limiter import RateLimiter
from sidecar.microsoft.reply import HttpReply
from sidecar.microsoft.token_repeat import with_token
from sidecar.microsoft.tokens import TokenSource
from sidecar.ports.tokens import AccessToken

T = TypeVar("T")

CALLS = CONNECTIONS // 2
"""How many calls that are no uploads are on their way at once: thousands of readings must not hold uploads up."""


@dataclass(slots=True)
class MicrosoftAdvertising:
    """Implements `ports.Platform`, `ports.GoalPlatform` and `ports.ReportPlatform`.

    `accounts` is called for each request.
    """

    client: Client
    tokens: TokenSource
    rate_limiter: RateLimiter
    developer_token: str
    accounts: Callable[[], Mapping[str, AccountIds]]
    holds: Callable[[str], bool] = lambda account: True
    """Whether this replica alone may send for the account now."""
    _calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CALLS))
    _answers: CredentialsHistory = field(default_factory=CredentialsHistory)

    def knows(self, account: str) -> bool:
        return account in self.accounts()

    async def permit(self, account: str) -> None:
        """Wait for the token first: requests that waited for it together must not leave together."""
        await self.tokens.access_token()
        await self.rate_limiter.permit(account)

    async def upload(self, account: str, entries: Sequence[Entry]) -> Answer:
        return await self._with_token(account, lambda credentials: self._apply(account, credentials, entries))

    async def _apply(self, account: str, credentials: Credentials, entries: Sequence[Entry]) -> Answer:
        """Send it unless another replica may send for the account by now: the token may have taken long."""
        if not self.holds(account):
            return Lost("the lease of the account was over before it could be sent", sent=False)
        return await self.client.apply(credentials, entries)

    def identity(self, account: str) -> str | None:
        ids = self.accounts().get(account)
        return ids.identity if ids else None

    async def goals(self, account: str) -> Sequence[Goal] | RefusedBatch | Lost:
        return await self._asked(account, goals.QUERY, goals.encode_query(), goals.decode_goals)

    async def auto_tagging(self, account: str) -> bool | RefusedBatch | Lost | None:
        return await self._asked(
            account, account_properties.QUERY, account_properties.encode_query(), account_properties.decode_auto_tagging
        )

    async def report(self, account: str, call: ReportCall) -> GoalReport | RefusedBatch | Lost:
        decode = partial(reports.decode_report, call=call)
        return await self._asked(account, reports.QUERY, reports.encode_report(call), decode)

    async def create(self, account: str, new: Sequence[NewGoal]) -> Sequence[Creation | RefusedBatch | Lost]:
        made: list[Creation | RefusedBatch | Lost] = []
        for start in range(0, len(new), goals.MAX_GOALS):
            made += await self._create_part(account, new[start : start + goals.MAX_GOALS])
        return made

    async def _create_part(self, account: str, new: Sequence[NewGoal]) -> Sequence[Creation | RefusedBatch | Lost]:
        """With one request; where a goal that Microsoft cannot read makes it refuse all of them, each with its own.

        A name is taken once, so a repeat makes no second goal.
        """
        decode = partial(goals.decode_new, size=len(new))
        answer = await self._asked(account, goals.ADD, goals.encode_new(new), decode)
        if not isinstance(answer, RefusedBatch | Lost):
            return answer
        if isinstance(answer, Lost) or answer.verdict is not Verdict.POISON:
            return [answer] * len(new)
        if len(new) == 1:
            return [NotCreated(answer.faults[0])]
        return await self._create_each(account, new)

    async def _create_each(self, account: str, new: Sequence[NewGoal]) -> Sequence[Creation | RefusedBatch | Lost]:
        """One after another, until something happens that concerns all that are left."""
        made: list[Creation | RefusedBatch | Lost] = []
        for goal in new:
            made += await self._create_part(account, [goal])
            if isinstance(made[-1], RefusedBatch | Lost):
                break
        return [*made, *made[-1:] * (len(new) - len(made))]

    async def _asked(self, account: str, path: str, body: bytes, decode: Callable[[HttpReply], T]) -> T | Lost:
        """One call that is no upload, at the same pace."""
        await self.permit(account)
        async with self._calls:
            return await self._with_token(account, lambda credentials: self.client.ask(path, credentials, body, decode))

    async def _with_token(self, account: str, call: Callable[[Credentials], Awaitable[T]]) -> T | Lost:
        """The answer to `call`, repeated once with a fresh token where the first was not accepted.

        The account's ids are those of now, also where a reload changes them before the request leaves.
        """
        accounts = self.accounts()
        if account not in accounts:
            return Lost("the account left the configuration", sent=False)
        answer = await self._repeated(account, accounts[account], call)
        if isinstance(answer, RefusedBatch) and answer.verdict in (Verdict.TOKEN, Verdict.ACCOUNT):
            return self._with_cause(answer, account, accounts)  # type: ignore[return-value]
        if not isinstance(answer, Lost) and not (isinstance(answer, RefusedBatch) and answer.verdict is Verdict.SERVER):
            self._answers.accepted(accounts[account])
        return answer

    def _with_cause(self, answer: RefusedBatch, account: str, accounts: Mapping[str, AccountIds]) -> RefusedBatch:
        """The refusal with the most likely of its causes: a 105 may be about the token, the ids or the user."""
        if answer.trouble != BLAMES_TOKEN:
            return answer
        self._answers.rejected(accounts[account])
        found = diagnose(account, accounts, self._answers)
        return replace(answer, trouble=found.trouble, lead=found.lead)

    async def _repeated(self, account: str, ids: AccountIds, call: Callable[[Credentials], Awaitable[T]]) -> T:
        return await with_token(
            self.tokens,
            lambda: self.rate_limiter.permit(account),
            lambda token: self._departed(account, self._credentials(ids, token), call),
        )

    async def _departed(self, account: str, credentials: Credentials, call: Callable[[Credentials], Awaitable[T]]) -> T:
        """The answer to `call`, which leaves as far behind the one before as its permit came."""
        if self.holds(account):
            await self.rate_limiter.departure(account)
        return await call(credentials)

    def sharing(self, account: str) -> Sequence[str]:
        return self.rate_limiter.sharing(account)

    def last_minute(self, account: str) -> tuple[int, int]:
        """How many calls of the account were permitted in the last 60 s, and how many may be now."""
        return self.rate_limiter.last_minute(account)

    def throttled(self, account: str) -> None:
        self.rate_limiter.throttled(account)

    def clean_answer(self, account: str) -> None:
        self.rate_limiter.clean_answer(account)

    def _credentials(self, ids: AccountIds, token: AccessToken) -> Credentials:
        return Credentials(token.value, self.developer_token, ids.customer_id, ids.account_id)
