"""The one owner of the access token: one task refreshes it, and stores the refresh token before the token is used.

`oauth` calls Microsoft; the store holds the refresh token.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sidecar import loops
from sidecar.core.instant import UnixMillis
from sidecar.microsoft.access_token import CachedToken, cached
from sidecar.microsoft.oauth import Grant
from sidecar.microsoft.refresh_failures import RefreshFailures, final
from sidecar.microsoft.sign_in_error_codes import Remedy
from sidecar.microsoft.sign_in_errors import SignInFailed, SignInFailure
from sidecar.ports.errors import LostKey, NotConnected, StorageUnavailable
from sidecar.ports.tokens import AccessToken
from sidecar.troubles import CATALOGUE

_MAX_SLEEP_SECONDS = 3600.0


class Refresher(Protocol):
    """Exchanges a refresh token for a grant."""

    async def refresh(self, refresh_token: str) -> Grant:
        """Returns a new grant. Raises SignInFailed when there is none."""


class TokenStore(Protocol):
    """Stores the refresh token."""

    async def load(self) -> str | None:
        """The newest refresh token, None when there is none. Raises LostKey when it cannot be decrypted."""

    async def save(self, refresh_token: str) -> None:
        """Replaces the refresh token, on disk when it returns. Raises StorageUnavailable."""

    async def forget(self) -> None:
        """Deletes the refresh token, on disk when it returns. Raises StorageUnavailable."""


class Sharing(Protocol):
    """What replicas that share a sign-in hear of each other's tokens."""

    def refused(self, value: str) -> None:
        """Microsoft did not accept this access token."""

    async def granted(self, grant: Grant, token: AccessToken) -> None:
        """There is a new access token. Raises StorageUnavailable."""

    async def forget(self) -> None:
        """The sign-in was forgotten. Raises StorageUnavailable."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Whether requests can be sent, and if not, why. With `connected`, the token is valid longer than the trouble."""

    connected: bool = False
    trouble: str | None = None
    message: str | None = None
    since: UnixMillis | None = None
    """When `connected` last changed; None before the first attempt has ended."""
    expires_at: UnixMillis | None = None
    retry_at: UnixMillis | None = None
    """When the next attempt follows, where time alone may help."""


class TokenSource:
    """The one owner of tokens. `run` belongs into the caller's TaskGroup; any task may call the other methods.

    Only `run` refreshes, so there is never more than one refresh in flight. A cancelled caller cancels only its own
    wait. `on_change` gets every new Connection.
    """

    def __init__(
        self,
        sign_in: Refresher,
        store: TokenStore,
        *,
        now: Callable[[], UnixMillis],
        chance: Callable[[], float],
        on_change: Callable[[Connection], None] = lambda _: None,
        shared: Sharing | None = None,
    ) -> None:
        self._sign_in = sign_in
        self._store = store
        self._now = now
        self._chance = chance
        self._on_change = on_change
        self._shared = shared
        self._connection = Connection()
        self._refresh_token: str | None = None
        self._loaded = False
        self._cached: CachedToken | None = None
        self._failures = RefreshFailures()
        self._used = False
        self._is_wanted = False
        self._sign_ins = 0
        self._storing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._attempt_over = asyncio.Event()

    @property
    def connection(self) -> Connection:
        """The connection as of now."""
        self._publish()
        return self._connection

    async def access_token(self) -> AccessToken:
        """A valid token; waits for a refresh if one is needed. Raises NotConnected when there is none."""
        if not self._used:
            self._used = True
            self._wake.set()
        if self._is_good():
            return self._token_or_raise()
        if self._failures.latest is None:
            self._wake.set()
            await self._attempt_over.wait()
        return self._token_or_raise()

    async def refresh(self, rejected: str) -> AccessToken:
        """Another token than `rejected`, which Microsoft refused. Raises NotConnected when there is none."""
        if self._cached is not None and self._cached.token.value == rejected:
            self._cached = None
            if self._shared is not None:
                self._shared.refused(rejected)
        return await self.access_token()

    async def renew(self) -> Connection:
        """Try to get a new token now, though the present one is good; returns the connection after the attempt.

        The present token stays in use if that fails. Where Microsoft asked to wait, nothing is tried.
        """
        if not self._failures.asks_to_wait or self._failures.retry_at <= loops.monotonic():
            self._is_wanted = True
            self._wake.set()
            await self._attempt_over.wait()
        return self.connection

    async def signed_in(self, grant: Grant) -> None:
        """Uses the grant of a successful sign-in; delivery can continue when this returns.

        Raises StorageUnavailable when it could not be stored: it is not used yet, and the next attempt stores it.
        """
        self._sign_ins += 1
        self._failures.start_over()
        self._refresh_token, self._loaded = grant.refresh_token, True
        try:
            await self._accept(grant, loops.monotonic(), self._sign_ins)
        except StorageUnavailable as error:
            self._failures.add(SignInFailure(Remedy.WAIT, error.code, str(error)), self._now())
            raise
        finally:
            self._announce()

    async def sign_out(self) -> None:
        """Forgets the sign-in, on disk first. Raises StorageUnavailable; the sign-in is then as it was."""
        async with self._storing:
            await self._store.forget()
            if self._shared is not None:
                await self._shared.forget()
        self.signed_out()

    def signed_out(self) -> None:
        """Use no token any more: a person, perhaps at another replica, disconnected."""
        self._sign_ins += 1  # what a refresh under way brings is not used
        self._refresh_token, self._loaded, self._cached = None, True, None
        self._failures.start_over()
        self._failures.add(final("it was disconnected"), self._now())
        self._announce()

    def look_again(self) -> None:
        """Take over what another replica has stored: a token, a sign-in."""
        self._loaded = False
        self._is_wanted = True
        self._wake.set()

    def forget_stored(self) -> None:
        """Read the refresh token again before it is used: another replica may have stored a newer one."""
        self._loaded = False

    async def run(self) -> None:
        """Refreshes the token when it is due, until it is cancelled."""
        while True:
            sign_ins = self._sign_ins
            failure = await self._attempt(sign_ins)
            if sign_ins == self._sign_ins:  # else a sign-in overtook the attempt, and its outcome is obsolete
                if failure is not None:
                    self._failures.add(failure, self._now())
                self._announce()
            await self._until_due()

    async def _attempt(self, sign_ins: int) -> SignInFailure | None:
        try:
            await self._ask_microsoft(sign_ins)
        except SignInFailed as error:
            return error.failure
        except LostKey as error:
            return final(str(error))
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
            raise SignInFailed(final("no one has signed in yet"))
        asked_at = loops.monotonic()
        grant = await self._sign_in.refresh(self._refresh_token)
        await self._accept(grant, asked_at, sign_ins)

    async def _accept(self, grant: Grant, asked_at: float, sign_ins: int) -> None:
        """Stores the refresh token, and only then uses the access token, unless a sign-in happened meanwhile."""
        async with self._storing:
            if sign_ins != self._sign_ins:
                return
            if grant.refresh_token is not None:
                self._refresh_token = grant.refresh_token
                await self._store.save(grant.refresh_token)
            token = cached(grant, asked_at, self._now(), self._chance())
            if self._shared is not None:
                await self._shared.granted(grant, token.token)
            self._cached = token
            self._failures.end()
            self._used = False

    def _announce(self) -> None:
        self._is_wanted = False
        self._attempt_over.set()
        self._attempt_over = asyncio.Event()
        self._wake.set()
        self._publish()

    async def _until_due(self) -> None:
        while (seconds := self._due_at() - loops.monotonic()) > 0:
            await loops.wait_for_wake(self._wake, min(seconds, self._seconds_to_expiry()))
            self._publish()

    def _due_at(self) -> float:
        if self._is_wanted:
            return -math.inf
        if self._failures.latest is not None:
            return self._failures.retry_at
        if self._cached is None:
            return -math.inf
        return self._cached.refresh_at if self._used else self._cached.idle_refresh_at

    def _seconds_to_expiry(self) -> float:
        """The seconds until the token expires, which changes `connected` without any attempt."""
        left = self._cached.good_until - loops.monotonic() if self._cached is not None else 0.0
        return min(left, _MAX_SLEEP_SECONDS) if left > 0 else _MAX_SLEEP_SECONDS

    def _is_good(self) -> bool:
        return self._cached is not None and loops.monotonic() < self._cached.good_until

    def _token_or_raise(self) -> AccessToken:
        """The token; after an attempt also one that expires in a moment, since Microsoft may still accept it."""
        if self._cached is not None and (self._failures.latest is None or self._is_good()):
            return self._cached.token
        self._publish()
        code, message = self._connection.trouble or "not_connected", self._connection.message
        raise NotConnected(code, message or CATALOGUE[code].title, self._connection.retry_at)

    def _publish(self) -> None:
        connection = self._current_connection()
        if connection != self._connection:
            self._connection = connection
            self._on_change(connection)

    def _current_connection(self) -> Connection:
        was, failure = self._connection, self._failures.latest
        connected = self._is_good() or (failure is None and (self._cached is not None or was.connected))
        changed = was.connected != connected or (was.since is None and failure is not None)
        return Connection(
            connected,
            failure.trouble if failure else None,
            failure.message if failure else None,
            self._now() if changed else was.since,
            self._cached.token.expires_at if self._cached else None,
            self._failures.retry_at_wall if failure else None,
        )
