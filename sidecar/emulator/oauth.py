"""The sign-in: discovery, consent page and token endpoint of Microsoft Entra, as the code flow needs them.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
"""

import base64
import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass, replace
from sqlite3 import Connection
from urllib.parse import parse_qsl, urlencode, urlsplit

from sidecar.emulator import tokens
from sidecar.emulator.call import Answer, Call, answer_json
from sidecar.emulator.options import EmulatorOptions
from sidecar.emulator.sign_in_errors import SignInRefused, description, error_answer, sign_in_error
from sidecar.emulator.tokens import Grant

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")


@dataclass(frozen=True, slots=True)
class OAuth:
    """The calls of the sign-in."""

    options: EmulatorOptions

    def discover(self, db: Connection, call: Call) -> Answer:
        """`GET /{tenant}/v2.0/.well-known/openid-configuration`."""
        endpoints = f"{call.base_url}/{call.tenant}/oauth2/v2.0"
        return answer_json(
            {
                "issuer": tokens.issuer(call),
                "authorization_endpoint": f"{endpoints}/authorize",
                "token_endpoint": f"{endpoints}/token",
                "jwks_uri": f"{call.base_url}/{call.tenant}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
                "response_modes_supported": ["query", "form_post"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["none"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    def keys(self, db: Connection, call: Call) -> Answer:
        """`GET /{tenant}/discovery/v2.0/keys`: none, as id tokens are not signed."""
        return answer_json({"keys": []})

    def authorize(self, db: Connection, call: Call) -> Answer:
        """`GET /{tenant}/oauth2/v2.0/authorize`: the one user signs in and consents at once."""
        asked = call.query
        problem = self._page_problem(asked)
        if problem is not None:
            return _page(problem, call.at)
        problem = _request_problem(asked)
        if problem is not None:
            return redirect_error(call, problem)
        grant = Grant(asked["client_id"], asked["scope"], asked.get("nonce"))
        code = tokens.issue_code(db, grant, asked["redirect_uri"], asked.get("code_challenge"), call.at)
        answer = {"code": code, "state": asked.get("state"), "session_state": "test-session"}
        if asked.get("client_info"):
            answer["client_info"] = tokens.client_info()
        return _return(asked, answer)

    def token(self, db: Connection, call: Call) -> Answer:
        """`POST /{tenant}/oauth2/v2.0/token`: a code or a refresh token for new tokens."""
        form = dict(parse_qsl(call.body.decode(errors="replace"), keep_blank_values=True))
        try:
            self._check_client(form)
            match form.get("grant_type"):
                case "authorization_code":
                    return self._redeem(db, call, form)
                case "refresh_token":
                    return self._refresh(db, call, form)
                case None:
                    raise SignInRefused(900144)
                case _:
                    raise SignInRefused(70003)
        except SignInRefused as refused:
            return error_answer(refused.reason, call.at)

    def _page_problem(self, asked: Mapping[str, str]) -> int | None:
        """A problem for the page: a redirect is unsafe while the application is not certain."""
        if not asked.get("client_id") or not asked.get("redirect_uri"):
            return 900144
        if self.options.client_id and asked["client_id"] != self.options.client_id:
            return 700016
        target = urlsplit(asked["redirect_uri"])
        is_safe = target.scheme == "https" or (target.scheme == "http" and target.hostname in _LOOPBACK)
        return None if is_safe else 50011

    def _check_client(self, form: Mapping[str, str]) -> None:
        client_id, secret = form.get("client_id"), form.get("client_secret")
        if not client_id:
            raise SignInRefused(900144)
        if self.options.client_id and client_id != self.options.client_id:
            raise SignInRefused(700016)
        if self.options.client_secret and not secret:
            raise SignInRefused(7000218)
        if self.options.client_secret and secret != self.options.client_secret:
            raise SignInRefused(7000215)

    def _redeem(self, db: Connection, call: Call, form: Mapping[str, str]) -> Answer:
        code = tokens.find_code(db, form.get("code", ""))
        if code is None or code.grant.client_id != form["client_id"]:
            raise SignInRefused(70000)
        if code.redeemed:
            raise SignInRefused(54005)
        if code.expires_at <= call.at:
            raise SignInRefused(70008)
        if code.redirect_uri != form.get("redirect_uri"):
            raise SignInRefused(500112)
        _check_verifier(code.challenge, form.get("code_verifier"))
        tokens.redeem_code(db, form["code"])
        return self._tokens(db, call, code.grant, form.get("scope", ""))

    def _refresh(self, db: Connection, call: Call, form: Mapping[str, str]) -> Answer:
        presented, asked, client_id = form.get("refresh_token", ""), form.get("scope", ""), form["client_id"]
        if asked and not tokens.is_known_scope(asked):
            raise SignInRefused(70011)
        found = tokens.find_refresh_token(db, presented, client_id, asked, call.at)
        if found is None or found.grant.client_id != client_id:
            raise SignInRefused(70000)
        if found.revoked:
            raise SignInRefused(50173)
        if found.used_at + tokens.REFRESH_TOKEN_IDLE_MS < call.at:
            raise SignInRefused(700082)
        tokens.use_refresh_token(db, presented, call.at, revoke=self.options.revoke_used_refresh_tokens)
        return self._tokens(db, call, found.grant, asked)

    def _tokens(self, db: Connection, call: Call, grant: Grant, asked: str) -> Answer:
        scope = tokens.narrow_scope(grant.scope, asked.split())
        if scope is None:
            raise SignInRefused(65001)
        seconds = self.options.access_token_seconds
        body: dict[str, object] = {
            "token_type": "Bearer",
            "scope": " ".join(name for name in scope.split() if name != "offline_access"),
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": tokens.issue_access_token(db, scope, call.at, seconds),
            "client_info": tokens.client_info(),
        }
        if "offline_access" in scope.split():
            body["refresh_token"] = tokens.issue_refresh_token(db, grant, call.at)
        if "openid" in scope.split():
            body["id_token"] = tokens.id_token(call, grant, seconds)
        return answer_json(body)


def redirect_error(call: Call, number: int) -> Answer:
    """Back to the application with an error instead of a code."""
    reason = sign_in_error(number)
    text = description(reason, call.at)
    answer = {"error": reason.error, "error_description": text, "state": call.query.get("state")}
    return replace(_return(call.query, answer), summary=f"AADSTS{number}")


def _request_problem(asked: Mapping[str, str]) -> int | None:
    if asked.get("response_type") != "code":
        return 9002313
    if asked.get("response_mode", "query") not in ("query", "form_post"):
        return 9002313
    if asked.get("code_challenge") and asked.get("code_challenge_method") != "S256":
        return 9002313
    return None if tokens.is_known_scope(asked.get("scope", "")) else 70011


def _return(asked: Mapping[str, str], answer: Mapping[str, str | None]) -> Answer:
    """Send the browser back to the application, as a redirect or by a form that posts itself."""
    given = {name: value for name, value in answer.items() if value is not None}
    target = asked.get("redirect_uri", "")
    if asked.get("response_mode") == "form_post":
        return _form(target, given)
    location = target + ("&" if urlsplit(target).query else "?") + urlencode(given)
    return Answer(302, b"", content_type="text/html", headers={"Location": location})


def _form(target: str, given: Mapping[str, str]) -> Answer:
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in given.items()
    )
    form = f'<form method="post" action="{html.escape(target)}">{inputs}<button>Continue</button></form>'
    page = f'<!doctype html><title>Sign in</title><body onload="document.forms[0].submit()">{form}'
    return Answer(200, page.encode(), content_type="text/html")


def _page(number: int, at: int) -> Answer:
    text = html.escape(description(sign_in_error(number), at))
    return Answer(400, f"<!doctype html><title>Sign in</title><p>{text}".encode(), f"AADSTS{number}", "text/html")


def _check_verifier(challenge: str | None, verifier: str | None) -> None:
    """https://datatracker.ietf.org/doc/html/rfc7636#section-4.6"""
    if challenge is None:
        return
    digest = hashlib.sha256((verifier or "").encode()).digest()
    if base64.urlsafe_b64encode(digest).decode().rstrip("=") != challenge:
        raise SignInRefused(501481)
