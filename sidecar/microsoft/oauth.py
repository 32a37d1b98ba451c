"""Microsoft's sign-in through MSAL: where to send the browser, code to tokens, refresh token to tokens.

MSAL blocks, so each call runs in a daemon thread, one at a time. When to refresh is for `tokens`, what an error means
for `sign_in_errors`.
"""

import asyncio
import concurrent.futures
import ssl
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msal  # type: ignore[import-untyped]

from sidecar.microsoft.proxies import Proxies
from sidecar.microsoft.sign_in_errors import Remedy, Setback, SignInFailed, setback_of, unavailable
from sidecar.microsoft.sign_in_transport import CALL_SECONDS, Transport
from sidecar.troubles import CATALOGUE

T = TypeVar("T")

# MSAL would have the browser POST the code across sites; a GET passes our browser rules, and a one-time state and PKCE
# guard it.
warnings.filterwarnings("ignore", message="response_mode='form_post'", module="msal")

DEADLINE_SECONDS = 20.0
"""After this a call is given up: name resolution, for one, heeds no other limit. Its thread ends when it ends."""

_DEFAULT_LIFE_SECONDS = 3600.0
_LONGEST_LIFE_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Application:
    """The Azure application, as registered, and where it signs in."""

    authority: str
    """`https://host/tenant`, as in `endpoints`, where the scope is, too."""
    client_id: str
    redirect_uri: str
    scope: str
    client_secret: str = field(default="", repr=False)
    """Empty for a public application."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What Microsoft gave: an access token, and mostly a new refresh token."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    life_seconds: float
    user: str | None = field(default=None, repr=False)
    """Who signed in, for the page that tells them so; neither stored nor logged."""


@dataclass(frozen=True, slots=True)
class Consent:
    """A sign-in that was begun: `url` is for the browser, `flow` (PKCE verifier, nonce) stays with us."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    flow: dict[str, Any] = field(repr=False)


class SignIn:
    """One Azure application at Microsoft's sign-in. Every failure is a SignInFailed."""

    def __init__(
        self,
        application: Application,
        tls: ssl.SSLContext,
        call_seconds: float = CALL_SECONDS,
        proxies: Proxies | None = None,
    ) -> None:
        """`proxies` are those of the environment where none are given."""
        self._application = application
        self._proxies = proxies
        self._tls = tls
        self._call_seconds = call_seconds
        self._msal: Any = None
        self._one_at_a_time = asyncio.Lock()

    async def begin(self) -> Consent:
        """A new sign-in with its own state and PKCE verifier. Reads Microsoft's discovery document at first."""
        scopes, redirect_uri = [self._application.scope], self._application.redirect_uri
        flow = await self._ask(
            lambda app: app.initiate_auth_code_flow(scopes, redirect_uri=redirect_uri, prompt="select_account")
        )
        return Consent(flow["auth_uri"], flow["state"], flow)

    async def finish(self, consent: Consent, answer: Mapping[str, str]) -> Grant:
        """The grant for the query that the browser brought back; a sign-in without a refresh token is a failure."""
        flow = dict(consent.flow)  # MSAL takes things out of it
        # For a cache of accounts, which we do not have; a damaged one would make MSAL stumble.
        told = {name: value for name, value in answer.items() if name != "client_info"}
        given = await self._ask(lambda app: app.acquire_token_by_auth_code_flow(flow, told))
        grant = _grant(given)
        if grant.refresh_token is None:
            raise SignInFailed(_scope_missing("Microsoft gave no refresh token (offline_access)"))
        return grant

    async def refresh(self, refresh_token: str) -> Grant:
        """A new access token; the grant's refresh token, where there is one, takes the place of the given one."""
        scopes = [self._application.scope]
        return _grant(await self._ask(lambda app: app.acquire_token_by_refresh_token(refresh_token, scopes)))

    async def _ask(self, question: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """MSAL's answer to a question put to its application object.

        A failure, or a caller that was cancelled, leaves no object behind: the next call makes a new one, because the
        old one would answer an equal request from memory for a minute, mended or not.
        """
        async with self._one_at_a_time:
            application, self._msal = self._msal, None
            application, answer = await _in_daemon_thread(lambda: self._exchange(application, question))
            if isinstance(answer, Setback):
                raise SignInFailed(answer)
            self._msal = application
            return answer

    def _exchange(
        self, application: Any, question: Callable[[Any], dict[str, Any]]
    ) -> tuple[Any, dict[str, Any] | Setback]:
        """Runs in the thread. Returns failures instead of raising: a traceback would carry tokens in its frames."""
        try:
            application = application or self._new_application()
            answer = question(application)
            return application, setback_of(answer) if "error" in answer else answer
        except SignInFailed as failure:
            return None, failure.setback
        except Exception as error:  # MSAL raises whatever its parsing meets; the text may quote the answer
            return None, unavailable(f"its answer could not be used ({type(error).__name__})")

    def _new_application(self) -> Any:
        """MSAL's application object; its constructor fetches the discovery document."""
        ours = self._application
        if not ours.client_id:
            raise SignInFailed(_no_client_id())
        arguments: dict[str, Any] = {
            "authority": ours.authority,
            "http_client": Transport(self._tls, self._call_seconds, self._proxies),
            "instance_discovery": False,  # Microsoft's own hosts need none, others are the operator's choice
            "token_cache": _NoCache(),
        }
        if ours.client_secret:
            return msal.ConfidentialClientApplication(ours.client_id, ours.client_secret, **arguments)
        return msal.PublicClientApplication(ours.client_id, **arguments)


class _NoCache(msal.TokenCache):  # type: ignore[misc]
    """Keeps nothing: tokens live in `tokens` alone, and MSAL's cache would log the sign-in's code at DEBUG."""

    def add(self, event: Any, now: Any = None) -> None:
        pass


async def _in_daemon_thread(work: Callable[[], T]) -> T:
    """The result of `work()`, run beside the event loop; SignInFailed when it takes too long.

    A daemon thread: one that hangs must not keep the process from exiting, as an executor's would.
    """
    result: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        result.set_running_or_notify_cancel()
        try:
            result.set_result(work())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, name="sign-in", daemon=True).start()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await asyncio.wrap_future(result)
    except TimeoutError:
        raise SignInFailed(unavailable("it did not answer in time")) from None


def _grant(answer: Mapping[str, Any]) -> Grant:
    """The grant in a successful answer; SignInFailed when it lacks the token or the permission."""
    access_token, scope = answer.get("access_token"), answer.get("scope")
    if not isinstance(access_token, str) or not access_token:
        raise SignInFailed(unavailable("its answer holds no access token"))
    if isinstance(scope, str) and scope and "msads.manage" not in scope:
        raise SignInFailed(_scope_missing("the sign-in does not carry msads.manage"))
    refresh_token = answer.get("refresh_token")
    return Grant(
        access_token,
        refresh_token if isinstance(refresh_token, str) and refresh_token else None,
        _life_seconds(answer.get("expires_in")),
        _user(answer.get("id_token_claims")),
    )


def _life_seconds(value: object) -> float:
    """`expires_in`, a number or its text, of a day at most; an hour, Microsoft's usual, when there is none."""
    try:
        return min(max(1.0, float(str(value)[:32])), _LONGEST_LIFE_SECONDS)
    except ValueError:
        return _DEFAULT_LIFE_SECONDS


def _user(claims: object) -> str | None:
    name = claims.get("preferred_username") if isinstance(claims, dict) else None
    return name if isinstance(name, str) and name else None


def _no_client_id() -> Setback:
    title = CATALOGUE["app_registration"].title
    return Setback(Remedy.MEND, "app_registration", f"{title}: microsoft.client_id is empty (docs/connect.md)")


def _scope_missing(why: str) -> Setback:
    return Setback(Remedy.RECONNECT, "scope_missing", f"{CATALOGUE['scope_missing'].title}: {why}")
