"""The access token among replicas: the one whose duty it is asks Microsoft, the others take what that one has stored.

It stands between `tokens.TokenSource`, which is the same for one process and for several, and `oauth`.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from sidecar import loops
from sidecar.core.instant import UnixMillis
from sidecar.microsoft.oauth import Grant
from sidecar.microsoft.sign_in_error_codes import Remedy
from sidecar.microsoft.sign_in_errors import SignInFailed, SignInFailure
from sidecar.microsoft.tokens import Refresher
from sidecar.ports.tokens import AccessToken
from sidecar.troubles import CATALOGUE

LEAST_SECONDS = 10.0
"""A stored token that ends sooner is not taken over: the next one is about to be there."""

PATIENCE_SECONDS = 10.0
"""How long a replica waits for the one whose duty it is, before it says that there is no token."""

LOOK_SECONDS = 0.5


class StoredAccess(Protocol):
    """Stores the access token."""

    async def load(self) -> AccessToken | None:
        """Return the newest one, an empty one after a sign-out; None if there never was one, or it cannot be opened."""

    async def save(self, token: AccessToken) -> None:
        """Replace it. Raises StorageUnavailable."""

    async def forget(self) -> None:
        """Replace it by an empty one. Raises StorageUnavailable."""


@dataclass(slots=True)
class SharedToken:
    """Implements `tokens.Refresher` for one replica of several."""

    microsoft: Refresher
    store: StoredAccess
    now: Callable[[], UnixMillis]
    is_ours: Callable[[], bool] = lambda: True
    """Whether this replica alone asks Microsoft now."""
    announce: Callable[[], None] = lambda: None
    """Tells the other replicas that another token, or none, is stored."""
    announce_refused: Callable[[str], None] = lambda value: None
    """Tells the replica whose duty it is that Microsoft did not accept the token with this digest."""
    _used: str = ""
    """The token that this replica had last."""
    _taken: str = ""
    """The last one of them that came from the store."""
    _refused: str = ""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def refresh(self, refresh_token: str) -> Grant:
        """Return the grant of Microsoft, or of the stored token with what is left of its life."""
        until = loops.monotonic() + PATIENCE_SECONDS
        while True:
            if (stored := await self.store.load()) is not None and self._is_usable(stored):
                self._used = self._taken = stored.value
                return Grant(stored.value, None, self._seconds_left(stored))
            if self.is_ours():
                return await self._ask(refresh_token)
            if loops.monotonic() >= until:
                raise SignInFailed(_no_token())
            await loops.wait_for_wake(self._wake, LOOK_SECONDS)

    async def stored_elsewhere(self) -> AccessToken | None:
        """Return what another replica has stored, which this one does not have yet; an empty one after a sign-out."""
        self._wake.set()
        stored = await self.store.load()
        if stored is None or stored.value == self._used:
            return None
        if not stored.value:
            self._used = ""
        return stored

    def refused(self, value: str) -> None:
        """Microsoft did not accept this token."""
        self._refused = value
        if not self.is_ours():
            self.announce_refused(digest(value))

    def refused_elsewhere(self, refused: str) -> bool:
        """Whether the token with this digest is to be replaced by this replica."""
        is_current = self.is_ours() and refused == digest(self._used)
        if is_current:
            self._refused = self._used
        return is_current

    async def _ask(self, refresh_token: str) -> Grant:
        grant = await self.microsoft.refresh(refresh_token)
        self._used = grant.access_token
        return grant

    async def granted(self, grant: Grant, token: AccessToken) -> None:
        """Store the token of a grant of Microsoft, also of a sign-in; not one that came from the store."""
        self._used = grant.access_token
        if grant.access_token != self._taken:
            await self.store.save(token)
            self.announce()

    async def forget(self) -> None:
        """Delete the token after a sign-out."""
        self._used = ""
        await self.store.forget()
        self.announce()

    def _is_usable(self, stored: AccessToken) -> bool:
        """Whether to take it: the one whose duty it is takes one that it does not know, others also their own again."""
        is_new = stored.value != self._used or not self.is_ours()
        return stored.value != self._refused and is_new and self._seconds_left(stored) > LEAST_SECONDS

    def _seconds_left(self, stored: AccessToken) -> float:
        return (stored.expires_at - self.now()) / 1000


def digest(value: str) -> str:
    """What names a token without giving it away."""
    return hashlib.sha256(value.encode()).hexdigest()[:16]


def _no_token() -> SignInFailure:
    why = "the replica that refreshes the token for all has stored none"
    return SignInFailure(Remedy.WAIT, "not_connected", f"{CATALOGUE['not_connected'].title}: {why}", 1.0)
