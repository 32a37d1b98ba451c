"""Starts and finishes sign-ins in a browser: one-time states, and the grant for the token source.

The pages of the sign-in are in `sidecar.api.sign_in`.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sidecar.core.instant import UnixMillis
from sidecar.microsoft.oauth import Application, AuthorizationRequest, OAuthClient
from sidecar.microsoft.sign_in_error_codes import Remedy
from sidecar.microsoft.sign_in_errors import SignInFailed, SignInFailure, classify, of_interactive
from sidecar.microsoft.tokens import Connection, TokenSource
from sidecar.ports.errors import StorageUnavailable

SIGN_IN_SECONDS = 600.0
MAX_PENDING = 100
"""Beyond it the oldest is dropped: abandoned sign-ins must not block a new one."""


class UnknownSignIn(Exception):
    """The callback matches no open sign-in."""

    def __init__(self) -> None:
        super().__init__("this sign-in is unknown here, was used already, or was begun more than 10 minutes ago")


@dataclass(frozen=True, slots=True)
class StartedSignIn:
    """The address for the browser, and until when its callback is accepted."""

    url: str
    expires_at: UnixMillis


@dataclass(frozen=True, slots=True)
class FinishedSignIn:
    """The outcome of the last sign-in: `failure` is None when it succeeded."""

    at: UnixMillis
    failure: SignInFailure | None


class StoredSignIns(Protocol):
    """Stores sign-ins that were begun."""

    async def put(self, state: str, flow: str) -> None:
        """Store what the callback of `state` needs. Raises StorageUnavailable."""

    async def take(self, state: str, since: UnixMillis) -> str | None:
        """Delete and return it; None when there is none that was begun since `since`."""


class PendingSignIns:
    """Started sign-ins by their state; each can be taken once, within ten minutes. Times are loop seconds."""

    def __init__(self) -> None:
        self._by_state: dict[str, tuple[float, AuthorizationRequest]] = {}

    def put(self, request: AuthorizationRequest, at: float) -> None:
        """Stores a sign-in that was started at `at`."""
        while len(self._by_state) >= MAX_PENDING:
            del self._by_state[next(iter(self._by_state))]
        self._by_state[request.state] = (at + SIGN_IN_SECONDS, request)

    def take(self, state: str, at: float) -> AuthorizationRequest:
        """Removes and returns the sign-in of that state. Raises UnknownSignIn when there is none."""
        until, request = self._by_state.pop(state, (0.0, None))
        if request is None or at >= until:
            raise UnknownSignIn
        return request


@dataclass(slots=True)
class SignInFlow:
    """Starts, finishes and forgets sign-ins; `on_finished` gets the outcome of each."""

    sign_in: OAuthClient
    tokens: TokenSource
    now: Callable[[], UnixMillis]
    on_finished: Callable[[FinishedSignIn], None] = lambda _: None
    on_signed_out: Callable[[], None] = lambda: None
    stored: StoredSignIns | None = None
    """Where replicas keep what was begun, since any of them may get the callback; None keeps it in memory."""
    last: FinishedSignIn | None = None
    _pending: PendingSignIns = field(default_factory=PendingSignIns)

    @property
    def connection(self) -> Connection:
        """Whether we are connected now."""
        return self.tokens.connection

    @property
    def application(self) -> Application:
        """The application that signs in."""
        return self.sign_in.application

    async def begin(self) -> StartedSignIn:
        """Starts a sign-in. Raises SignInFailed when Microsoft is unavailable or the application is misconfigured."""
        try:
            request = await self.sign_in.begin()
        except SignInFailed as error:
            raise SignInFailed(of_interactive(error.failure)) from None
        if self.stored is None:
            self._pending.put(request, asyncio.get_running_loop().time())
        else:
            await self.stored.put(request.state, json.dumps([request.url, request.flow]))
        return StartedSignIn(request.url, UnixMillis(self.now() + int(SIGN_IN_SECONDS * 1000)))

    async def finish(self, answer: Mapping[str, str]) -> str | None:
        """Connects with the query of the callback; returns the user name, where Microsoft gives it.

        Raises UnknownSignIn, SignInFailed, or StorageUnavailable when the sign-in could not be stored.
        """
        if not answer.keys() & {"code", "error"}:
            raise UnknownSignIn
        request = await self._begun(answer.get("state", ""))
        try:
            user = await self._connect(request, answer)
        except SignInFailed as error:
            failure = of_interactive(error.failure)
            self._finished(failure)
            raise SignInFailed(failure) from None
        except StorageUnavailable as error:
            self._finished(SignInFailure(Remedy.WAIT, error.code, str(error)))
            raise
        self._finished(None)
        return user

    async def _begun(self, state: str) -> AuthorizationRequest:
        """The sign-in of that state, once. Raises UnknownSignIn when there is none."""
        if self.stored is None:
            return self._pending.take(state, asyncio.get_running_loop().time())
        begun = await self.stored.take(state, UnixMillis(self.now() - int(SIGN_IN_SECONDS * 1000)))
        if begun is None:
            raise UnknownSignIn
        url, flow = json.loads(begun)
        return AuthorizationRequest(url, state, flow)

    async def sign_out(self) -> None:
        """Forgets the sign-in. Raises StorageUnavailable when it could not be deleted."""
        await self.tokens.sign_out()
        self.on_signed_out()

    async def _connect(self, request: AuthorizationRequest, answer: Mapping[str, str]) -> str | None:
        if "error" in answer:
            raise SignInFailed(classify(answer))
        grant = await self.sign_in.finish(request, answer)
        await self.tokens.signed_in(grant)
        return grant.user

    def _finished(self, failure: SignInFailure | None) -> None:
        self.last = FinishedSignIn(self.now(), failure)
        self.on_finished(self.last)
