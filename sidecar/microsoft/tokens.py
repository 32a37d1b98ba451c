"""The access token everybody sends with: kept fresh by one task, stored before it is used; or the reason it is missing.

Asking Microsoft is for `oauth`, keeping the refresh token for the store.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from sidecar import loops
from sidecar.core.instant import UnixMillis
from sidecar.microsoft.oauth import Grant
from sidecar.microsoft.sign_in_errors import Remedy, SignInFailed, SignInFailure, pause_seconds
from sidecar.ports.errors import LostKey, NotConnected, StorageUnavailable
from sidecar.troubles import CATALOGUE

WEEK_SECONDS = 7 * 86_400.0
"""An unused refresh token dies after 90 days; once a week keeps it alive however idle we are.

https://learn.microsoft.com/entra/identity-platform/refresh-tokens
"""

_MARGIN_SECONDS = 60.0
_GLANCE_SECONDS = 3600.0


class Refresher(Protocol):
    """Whoever turns a refresh token into a grant."""

    async def refresh(self, refresh_token: str) -> Grant:
        """A new grant; SignInFailed when there is none."""


class TokenStore(Protocol):
    """Where the refresh token is kept."""

    async def load(self) -> str | None:
        """The newest refresh token, None when there is none; LostKey when it is there and cannot be read."""

    async def save(self, refresh_token: str) -> None:
        """Keep a refresh token in place of the one before; on disk on return, StorageUnavailable when not."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What goes into `Authorization: Bearer`."""

    value: str = field(repr=False)
    expires_at: UnixMillis


@dataclass(frozen=True, slots=True)
class Connection:
    """Whether we can send just now, and if not, why. A trouble beside `connected` is one that the token outlives."""

    connected: bool = False
    trouble: str | None = None
    message: str | None = None
    since: UnixMillis | None = None
    """When `connected` last changed; None before the first attempt has ended."""
    expires_at: UnixMillis | None = None
    retry_at: UnixMillis | None = None
    """When Microsoft is asked again, where time alone may help."""


@dataclass(frozen=True, slots=True)
class CachedToken:
    """A token with its times on the event loop's clock, in seconds."""

    token: AccessToken
    good_until: float
    refresh_at: float
    """While it is in use."""
    idle_refresh_at: float
    """While nobody uses it."""


def held(grant: Grant, asked_at: float, now: UnixMillis, chance: float) -> CachedToken:
    """When a grant asked for at `asked_at` (loop clock) is to be renewed: after 70 to 80 % of its life, by chance.

    Not all at the same point, lest every sidecar of a company asks at once after an outage.
    """
    life = grant.life_seconds
    return CachedToken(
        AccessToken(grant.access_token, UnixMillis(now + int(life * 1000))),
        good_until=asked_at + life - min(_MARGIN_SECONDS, life / 10),
        refresh_at=asked_at + life * (0.7 + 0.1 * chance),
        idle_refresh_at=asked_at + WEEK_SECONDS,
    )


class TokenSource:
    """The one owner of tokens. `run` belongs into the caller's TaskGroup; the others may then be called by anybody.

    All refreshing happens in `run`, so there is one refresh in flight whoever asks, and a caller that is cancelled
    cancels nothing but its own waiting. `on_change` is told of every new Connection.
    """

    def __init__(
        self,
        sign_in: Refresher,
        store: TokenStore,
        *,
        now: Callable[[], UnixMillis],
        chance: Callable[[], float],
        on_change: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        self._sign_in = sign_in
        self._store = store
        self._now = now
        self._chance = chance
        self._on_change = on_change
        self._connection = Connection()
        self._refresh_token: str | None = None
        self._loaded = False
        self._held: CachedToken | None = None
        self._failure: SignInFailure | None = None
        self._failures = 0
        self._retry_at = -math.inf
        self._retry_at_wall: UnixMillis | None = None
        self._used = False
        self._sign_ins = 0
        self._storing = asyncio.Lock()
        self._bell = asyncio.Event()
        self._attempt_over = asyncio.Event()

    @property
    def connection(self) -> Connection:
        """The connection as of now."""
        self._tell()
        return self._connection

    async def access_token(self) -> AccessToken:
        """A token that is good for a while; waits for a refresh that is needed. NotConnected when there is none."""
        self._use()
        if self._is_good():
            return self._given()
        if self._failure is None:
            self._bell.set()
            await self._attempt_over.wait()
        return self._given()

    async def refresh(self, rejected: str) -> AccessToken:
        """Another token than `rejected`, which Microsoft no longer takes; NotConnected when there is none."""
        if self._held is not None and self._held.token.value == rejected:
            self._held = None
        return await self.access_token()

    async def signed_in(self, grant: Grant) -> None:
        """Take the grant of a sign-in that just succeeded; delivery can go on when this returns.

        StorageUnavailable when it could not be stored: it is not used yet, and storing is tried again.
        """
        self._sign_ins += 1
        self._failures = 0
        self._refresh_token, self._loaded = grant.refresh_token, True
        try:
            await self._keep(grant, _loop_time(), self._sign_ins)
        except StorageUnavailable as error:
            self._settle(SignInFailure(Remedy.WAIT, error.code, str(error)))
            raise
        finally:
            self._announce()

    async def run(self) -> None:
        """Refresh whenever it is time, for ever. Nothing but cancellation ends it."""
        while True:
            sign_ins = self._sign_ins
            failure = await self._attempt(sign_ins)
            if sign_ins == self._sign_ins:  # else a sign-in overtook the attempt, and its outcome means nothing
                self._settle(failure)
                self._announce()
            await self._until_due()

    # --- One attempt -------------------------------------------------------------------------------------------------

    async def _attempt(self, sign_ins: int) -> SignInFailure | None:
        try:
            await self._ask_microsoft(sign_ins)
        except SignInFailed as error:
            return error.failure
        except LostKey as error:
            return _stuck(str(error))
        except StorageUnavailable as error:
            return SignInFailure(Remedy.WAIT, error.code, str(error))
        except Exception as error:  # the edge of the loop: an odd answer must not stop the service
            return SignInFailure(Remedy.WAIT, "loop_failed", f"refreshing the token failed: {type(error).__name__}")
        return None

    async def _ask_microsoft(self, sign_ins: int) -> None:
        if not self._loaded:
            stored = await self._store.load()
            if sign_ins != self._sign_ins:
                return
            self._refresh_token, self._loaded = stored, True
        if self._refresh_token is None:
            raise SignInFailed(_stuck("nobody has signed in yet"))
        asked_at = _loop_time()
        grant = await self._sign_in.refresh(self._refresh_token)
        await self._keep(grant, asked_at, sign_ins)

    async def _keep(self, grant: Grant, asked_at: float, sign_ins: int) -> None:
        """Store the refresh token, and only then let the access token be used, unless someone signed in meanwhile."""
        async with self._storing:
            if sign_ins != self._sign_ins:
                return
            if grant.refresh_token is not None:
                self._refresh_token = grant.refresh_token
                await self._store.save(grant.refresh_token)
            self._held = held(grant, asked_at, self._now(), self._chance())
            self._failure, self._failures, self._used = None, 0, False

    def _settle(self, failure: SignInFailure | None) -> None:
        if failure is None:
            return
        self._failure = failure
        self._failures += 1
        pause = pause_seconds(failure, self._failures)
        self._retry_at = _loop_time() + pause
        self._retry_at_wall = UnixMillis(self._now() + int(pause * 1000)) if math.isfinite(pause) else None

    def _announce(self) -> None:
        self._attempt_over.set()
        self._attempt_over = asyncio.Event()
        self._bell.set()
        self._tell()

    # --- When next ---------------------------------------------------------------------------------------------------

    async def _until_due(self) -> None:
        while (seconds := self._due_at() - _loop_time()) > 0:
            await loops.wait_for_wake(self._bell, min(seconds, self._seconds_to_tell()))
            self._tell()

    def _due_at(self) -> float:
        if self._failure is not None:
            return self._retry_at
        if self._held is None:
            return -math.inf
        return self._held.refresh_at if self._used else self._held.idle_refresh_at

    def _seconds_to_tell(self) -> float:
        """Until a token that outlives a failure has expired: then `connected` changes without any attempt."""
        left = self._held.good_until - _loop_time() if self._held is not None else 0.0
        return min(left, _GLANCE_SECONDS) if left > 0 else _GLANCE_SECONDS

    # --- What it looks like ------------------------------------------------------------------------------------------

    def _use(self) -> None:
        if not self._used:
            self._used = True
            self._bell.set()

    def _is_good(self) -> bool:
        return self._held is not None and _loop_time() < self._held.good_until

    def _given(self) -> AccessToken:
        """The token; after an attempt also one that lives but a moment, for Microsoft to judge."""
        if self._held is not None and (self._failure is None or self._is_good()):
            return self._held.token
        self._tell()
        code, message = self._connection.trouble or "not_connected", self._connection.message
        raise NotConnected(code, message or CATALOGUE[code].title, self._connection.retry_at)

    def _tell(self) -> None:
        connection = self._look()
        if connection != self._connection:
            self._connection = connection
            self._on_change(connection)

    def _look(self) -> Connection:
        was, failure = self._connection, self._failure
        connected = self._is_good() or (failure is None and (self._held is not None or was.connected))
        changed = was.connected != connected or (was.since is None and failure is not None)
        return Connection(
            connected,
            failure.trouble if failure else None,
            failure.message if failure else None,
            self._now() if changed else was.since,
            self._held.token.expires_at if self._held else None,
            self._retry_at_wall if failure else None,
        )


def _stuck(why: str) -> SignInFailure:
    """Only a sign-in or a restart can end this: it is never tried again by itself."""
    return SignInFailure(Remedy.RECONNECT, "not_connected", f"{CATALOGUE['not_connected'].title}: {why}", math.inf)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
