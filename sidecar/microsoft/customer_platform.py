"""Microsoft's Customer Management as API and doctor see it: the signed-in user's ad accounts, read now and then."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sidecar.core.ad_accounts import AccountsUnread, AdAccount, VisibleAccounts
from sidecar.core.adaptive_rate import THROTTLE_MILLIS, RequestHistory
from sidecar.core.answer import Lost, RefusedBatch, Verdict
from sidecar.core.instant import UnixMillis
from sidecar.microsoft import ad_accounts
from sidecar.microsoft.client import Client, Credentials
from sidecar.microsoft.invalid_credentials import BLAMES_TOKEN
from sidecar.microsoft.rate_limiter import RateLimiter
from sidecar.microsoft.reply import HttpReply
from sidecar.microsoft.token_repeat import with_token
from sidecar.microsoft.tokens import TokenSource
from sidecar.ports.errors import NotConnected

T = TypeVar("T")

FRESH_SECONDS = 300.0
"""How long a list is used before it is read again."""

RETRY_SECONDS = 5.0
"""How long a failure is used, so that a page that asks often does not make Microsoft's trouble worse."""

LONGEST_SECONDS = 30.0
"""How long one who asks waits, all pages included."""

MOST_PAGES = 100

_LANE = "customer management"
"""The lane of these calls at the rate limiter: they name no account, and wait for none."""

_NO_IDS_SENT = "this request names no account, so it is the developer token, the environment or the user"


def own_pace(requests_per_minute: Callable[[], float], monotonic: Callable[[], float]) -> RateLimiter:
    """A rate limiter for these calls alone."""
    history = RequestHistory()
    return RateLimiter(requests_per_minute, monotonic, lambda lane: (lane,), lambda _: history)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A result, and until when it is used, in seconds of a monotonic clock."""

    result: VisibleAccounts | AccountsUnread
    until: float

    def used_until(self, *, fresh: bool) -> float:
        """Until when it is used; a list that must be fresh no longer than a failure."""
        is_list = fresh and isinstance(self.result, VisibleAccounts)
        return self.until - (FRESH_SECONDS - RETRY_SECONDS) if is_list else self.until


@dataclass(slots=True)
class CustomerManagement:
    """Implements `ports.AdAccounts`. `clean` masks secrets in Microsoft's words."""

    client: Client
    """That of the customer endpoint."""
    tokens: TokenSource
    rate_limiter: RateLimiter
    """That of `own_pace`: a list of accounts must not slow delivery down."""
    developer_token: str
    now: Callable[[], UnixMillis]
    monotonic: Callable[[], float]
    clean: Callable[[str], str] = lambda text: text
    _last: _Reading | None = None
    _sign_ins: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def forget(self) -> None:
        """Read again at the next call: the user may be another one."""
        self._sign_ins += 1
        self._last = None

    async def visible(self, *, fresh: bool = False) -> VisibleAccounts | AccountsUnread:
        """Read the accounts, or return what was read a moment ago; one reading at a time."""
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await self.tokens.access_token()
                async with self._turn:
                    return await self._visible(fresh=fresh)
        except NotConnected as error:
            return AccountsUnread(error.code, str(error))
        except TimeoutError:
            return AccountsUnread("unreachable", f"Microsoft did not list the accounts within {LONGEST_SECONDS:.0f} s")

    async def _visible(self, *, fresh: bool) -> VisibleAccounts | AccountsUnread:
        if self._last is not None and self.monotonic() < self._last.used_until(fresh=fresh):
            return self._last.result
        sign_ins = self._sign_ins
        answer = await self._read()
        seconds = FRESH_SECONDS if isinstance(answer, VisibleAccounts) else self._pause_seconds(answer)
        result = answer if isinstance(answer, VisibleAccounts) else self._unread(answer)
        if sign_ins == self._sign_ins:  # else it belongs to the user before
            self._last = _Reading(result, self.monotonic() + seconds)
        return result

    async def _read(self) -> VisibleAccounts | RefusedBatch | Lost:
        user = await self._asked(ad_accounts.QUERY_USER, ad_accounts.encode_user(), ad_accounts.decode_user)
        if isinstance(user, RefusedBatch | Lost):
            return user
        found: dict[str, AdAccount] = {}
        for page in range(MOST_PAGES):
            body = ad_accounts.encode_search(user.id, page)
            listed = await self._asked(ad_accounts.SEARCH, body, ad_accounts.decode_accounts)
            if isinstance(listed, RefusedBatch | Lost):
                return listed
            new = {one.account_id: one for one in listed if one is not None and one.account_id not in found}
            found |= new
            if len(listed) < ad_accounts.PAGE_SIZE or not new:  # a page again brings nothing new
                return VisibleAccounts(tuple(found.values()), user.roles, user.name, self.now())
        return VisibleAccounts(tuple(found.values()), user.roles, user.name, self.now(), is_complete=False)

    async def _asked(self, path: str, body: bytes, decode: Callable[[HttpReply], T]) -> T | Lost:
        """One call, at the pace of these calls."""

        async def permit() -> None:
            await self.rate_limiter.permit(_LANE)

        await permit()
        answer = await with_token(
            self.tokens,
            permit,
            lambda token: self.client.ask(path, Credentials(token.value, self.developer_token), body, decode),
        )
        if isinstance(answer, RefusedBatch) and answer.verdict is Verdict.THROTTLED:
            self.rate_limiter.throttled(_LANE)
        elif not isinstance(answer, RefusedBatch | Lost):
            self.rate_limiter.clean_answer(_LANE)
        return answer

    def _pause_seconds(self, answer: RefusedBatch | Lost) -> float:
        """How long a failure is used: where Microsoft asked to wait, that long."""
        if isinstance(answer, RefusedBatch) and answer.verdict is Verdict.THROTTLED:
            return answer.retry_after_seconds or THROTTLE_MILLIS / 1000
        return RETRY_SECONDS

    def _unread(self, answer: RefusedBatch | Lost) -> AccountsUnread:
        if isinstance(answer, Lost):
            return AccountsUnread(answer.trouble, answer.why, answer.tracking_id)
        fault = answer.faults[0]
        words = self.clean(fault.message or fault.error)
        detail = f"{words}; {_NO_IDS_SENT}" if answer.trouble == BLAMES_TOKEN else words
        trouble = "request_malformed" if answer.verdict is Verdict.POISON else answer.trouble
        return AccountsUnread(trouble, detail, answer.tracking_id, self.clean(fault.error))
