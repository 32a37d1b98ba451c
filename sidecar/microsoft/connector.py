"""Sign-ins that people begin and finish: one-time states, and handing what comes of them to the token source.

What it looks like in a browser or a terminal is for `sidecar.api.sign_in`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sidecar.core.instant import UnixMillis
from sidecar.microsoft.oauth import Consent, SignIn
from sidecar.microsoft.sign_in_errors import Remedy, Setback, SignInFailed, of_sign_in, setback_of
from sidecar.microsoft.tokens import Connection, TokenSource
from sidecar.ports.errors import StorageUnavailable

SIGN_IN_SECONDS = 600.0
MAX_PENDING = 100
"""Beyond it the oldest is forgotten: an abandoned sign-in must not keep anybody from beginning another."""


class UnknownSignIn(Exception):
    """The answer belongs to no sign-in of ours that is still open."""

    def __init__(self) -> None:
        super().__init__("this sign-in is unknown here, was used already, or was begun more than 10 minutes ago")


@dataclass(frozen=True, slots=True)
class BegunSignIn:
    """Where the person goes, and until when the way back is open."""

    url: str
    expires_at: UnixMillis


@dataclass(frozen=True, slots=True)
class FinishedSignIn:
    """How the last sign-in ended: `setback` is None when it succeeded."""

    at: UnixMillis
    setback: Setback | None


class PendingSignIns:
    """Begun sign-ins by their state; each is given out once, for ten minutes. Times are the event loop's seconds."""

    def __init__(self) -> None:
        self._by_state: dict[str, tuple[float, Consent]] = {}

    def put(self, consent: Consent, at: float) -> None:
        """Remember a sign-in that was begun at `at`."""
        while len(self._by_state) >= MAX_PENDING:
            del self._by_state[next(iter(self._by_state))]
        self._by_state[consent.state] = (at + SIGN_IN_SECONDS, consent)

    def take(self, state: str, at: float) -> Consent:
        """The sign-in of that state, which is thereby used up; UnknownSignIn when there is none."""
        until, consent = self._by_state.pop(state, (0.0, None))
        if consent is None or at >= until:
            raise UnknownSignIn
        return consent


class Connector:
    """Begins and finishes sign-ins. `on_finished` is told how each one ended."""

    def __init__(
        self,
        sign_in: SignIn,
        tokens: TokenSource,
        *,
        now: Callable[[], UnixMillis],
        on_finished: Callable[[FinishedSignIn], None] = lambda _: None,
    ) -> None:
        self._sign_in = sign_in
        self._tokens = tokens
        self._now = now
        self._on_finished = on_finished
        self._pending = PendingSignIns()
        self.last: FinishedSignIn | None = None

    @property
    def connection(self) -> Connection:
        """Whether we are connected now."""
        return self._tokens.connection

    async def begin(self) -> BegunSignIn:
        """Open a new sign-in; SignInFailed when Microsoft is away or the application is misconfigured."""
        try:
            consent = await self._sign_in.begin()
        except SignInFailed as failure:
            raise SignInFailed(of_sign_in(failure.setback)) from None
        self._pending.put(consent, asyncio.get_running_loop().time())
        return BegunSignIn(consent.url, UnixMillis(self._now() + int(SIGN_IN_SECONDS * 1000)))

    async def finish(self, answer: Mapping[str, str]) -> str | None:
        """Connect with the query that Microsoft sent the browser back with; who signed in, where Microsoft tells.

        Raises UnknownSignIn, SignInFailed, or StorageUnavailable when the sign-in could not be kept.
        """
        if not answer.keys() & {"code", "error"}:
            raise UnknownSignIn
        consent = self._pending.take(answer.get("state", ""), asyncio.get_running_loop().time())
        try:
            user = await self._connect(consent, answer)
        except SignInFailed as failure:
            setback = of_sign_in(failure.setback)
            self._finished(setback)
            raise SignInFailed(setback) from None
        except StorageUnavailable as error:
            self._finished(Setback(Remedy.WAIT, error.code, str(error)))
            raise
        self._finished(None)
        return user

    async def _connect(self, consent: Consent, answer: Mapping[str, str]) -> str | None:
        if "error" in answer:
            raise SignInFailed(setback_of(answer))
        grant = await self._sign_in.finish(consent, answer)
        await self._tokens.signed_in(grant)
        return grant.user

    def _finished(self, setback: Setback | None) -> None:
        self.last = FinishedSignIn(self._now(), setback)
        self._on_finished(self.last)
