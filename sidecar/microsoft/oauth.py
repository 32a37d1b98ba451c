"""Microsoft's sign-in through MSAL: the address for the browser, and tokens for a code or a refresh token.

MSAL blocks, so each call runs in a daemon thread, one at a time. `tokens` decides when to refresh, `sign_in_errors`
classifies errors.
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

from sidecar.microsoft.proxy_settings import ProxySettings
from sidecar.microsoft.sign_in_error_codes import Remedy
from sidecar.microsoft.sign_in_errors import SignInFailed, SignInFailure, classify, unavailable
from sidecar.microsoft.sign_in_transport import CALL_SECONDS, Transport
from sidecar.system.thread_names import name_thread
from sidecar.troubles import CATALOGUE

T = TypeVar("T")

# MSAL advises a cross-site POST of the code; a GET passes our browser rules, and a one-time state and PKCE protect it.
warnings.filterwarnings("ignore", message="response_mode='form_post'", module="msal")

DEADLINE_SECONDS = 20.0
"""The limit of a call, for name resolution too, which has no limit of its own. Its thread may outlive it."""

_DEFAULT_LIFE_SECONDS = 3600.0
_MAX_LIFE_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Application:
    """The Azure application, as registered, and the authority where it signs in."""

    authority: str
    """`https://host/tenant`, as in `endpoints`, where the scope is, too."""
    client_id: str
    redirect_uri: str
    scope: str
    client_secret: str = field(default="", repr=False)
    """Empty for a public application."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The tokens of a successful call: an access token, and mostly a new refresh token."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    life_seconds: float
    user: str | None = field(default=None, repr=False)
    """The user name, for the page after the sign-in; neither stored nor logged."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A started sign-in: `url` is for the browser, `flow` (PKCE verifier, nonce) stays here."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    flow: dict[str, Any] = field(repr=False)


class OAuthClient:
    """Calls Microsoft's sign-in for one Azure application. Every failure raises SignInFailed."""

    def __init__(
        self,
        application: Application,
        tls: ssl.SSLContext,
        call_seconds: float = CALL_SECONDS,
        proxies: ProxySettings | None = None,
    ) -> None:
        """`proxies` default to those of the environment."""
        self._application = application
        self._proxies = proxies
        self._tls = tls
        self._call_seconds = call_seconds
        self._msal: Any = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def application(self) -> Application:
        """The application that signs in."""
        return self._application

    async def begin(self) -> AuthorizationRequest:
        """Starts a sign-in with its own state and PKCE verifier. The first call reads the discovery document."""
        scopes, redirect_uri = [self._application.scope], self._application.redirect_uri
        flow = await self._ask(
            lambda app: app.initiate_auth_code_flow(scopes, redirect_uri=redirect_uri, prompt="select_account")
        )
        return AuthorizationRequest(flow["auth_uri"], flow["state"], flow)

    async def finish(self, request: AuthorizationRequest, answer: Mapping[str, str]) -> Grant:
        """The grant for the query of the callback; one without a refresh token raises SignInFailed."""
        flow = dict(request.flow)  # MSAL removes members
        # `client_info` is for a cache of accounts, which is off; a damaged one would make MSAL raise.
        query = {name: value for name, value in answer.items() if name != "client_info"}
        given = await self._ask(lambda app: app.acquire_token_by_auth_code_flow(flow, query))
        grant = _grant(given)
        if grant.refresh_token is None:
            raise SignInFailed(_scope_missing("Microsoft gave no refresh token (offline_access)"))
        return grant

    async def refresh(self, refresh_token: str) -> Grant:
        """A grant with a new access token; its refresh token, if any, replaces the given one."""
        scopes = [self._application.scope]
        return _grant(await self._ask(lambda app: app.acquire_token_by_refresh_token(refresh_token, scopes)))

    async def _ask(self, question: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """MSAL's answer to `question`, which calls its application object.

        After a failure or a cancellation the next call makes a new object: for a minute the old one would answer an
        equal request from memory, even when the cause is fixed.
        """
        async with self._one_at_a_time:
            application, self._msal = self._msal, None
            application, answer = await _in_daemon_thread(lambda: self._exchange(application, question))
            if isinstance(answer, SignInFailure):
                raise SignInFailed(answer)
            self._msal = application
            return answer

    def _exchange(
        self, application: Any, question: Callable[[Any], dict[str, Any]]
    ) -> tuple[Any, dict[str, Any] | SignInFailure]:
        """Runs in the thread. Returns failures instead of raising: a traceback would hold tokens in its frames."""
        try:
            application = application or self._new_application()
            answer = question(application)
            return application, classify(answer) if "error" in answer else answer
        except SignInFailed as error:
            return None, error.failure
        except Exception as error:  # MSAL raises any error of its parsing; the text may quote the answer
            return None, unavailable(f"its answer could not be used ({type(error).__name__})")

    def _new_application(self) -> Any:
        """MSAL's application object; its constructor fetches the discovery document."""
        ours = self._application
        if not ours.client_id:
            why = f"{CATALOGUE['app_registration'].title}: microsoft.client_id is empty (docs/connect.md)"
            raise SignInFailed(SignInFailure(Remedy.FIX, "app_registration", why))
        arguments: dict[str, Any] = {
            "authority": ours.authority,
            "http_client": Transport(self._tls, self._call_seconds, self._proxies),
            "instance_discovery": False,  # Microsoft's hosts need none, others are the operator's choice
            "token_cache": _NoCache(),
        }
        if ours.client_secret:
            return msal.ConfidentialClientApplication(ours.client_id, ours.client_secret, **arguments)
        return msal.PublicClientApplication(ours.client_id, **arguments)


class _NoCache(msal.TokenCache):  # type: ignore[misc]
    """Stores nothing: `tokens` holds the tokens, and MSAL's cache would log the sign-in's code at DEBUG."""

    def add(self, event: Any, now: Any = None) -> None:
        pass


async def _in_daemon_thread(work: Callable[[], T]) -> T:
    """The result of `work()`, run beside the event loop; SignInFailed when it takes too long.

    A hanging daemon thread does not prevent the process from exiting; one of an executor would.
    """
    result: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        name_thread("sign-in")
        if not result.set_running_or_notify_cancel():
            return  # its caller was cancelled before it began
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
        raise SignInFailed(_scope_missing("the sign-in does not include msads.manage"))
    claims = answer.get("id_token_claims")
    user = _text(claims.get("preferred_username")) if isinstance(claims, dict) else None
    return Grant(access_token, _text(answer.get("refresh_token")), _life_seconds(answer.get("expires_in")), user)


def _life_seconds(value: object) -> float:
    """`expires_in`, a number or its text, at most a day; the usual hour when there is none."""
    try:
        return min(max(1.0, float(str(value)[:32])), _MAX_LIFE_SECONDS)
    except ValueError:
        return _DEFAULT_LIFE_SECONDS


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _scope_missing(why: str) -> SignInFailure:
    return SignInFailure(Remedy.RECONNECT, "scope_missing", f"{CATALOGUE['scope_missing'].title}: {why}")
