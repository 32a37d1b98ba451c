"""Issues and stores codes, access and refresh tokens, and the id token of the user."""

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from sidecar.emulator.call import DAY_MS, MINUTE_MS, Call
from sidecar.emulator.options import SEED_REFRESH_TOKEN

CODE_LIFETIME_MS = 5 * MINUTE_MS
"""https://learn.microsoft.com/advertising/guides/authentication-oauth-consent"""

REFRESH_TOKEN_IDLE_MS = 90 * DAY_MS
"""https://learn.microsoft.com/entra/identity-platform/refresh-tokens"""

USER_ID = "300000001"
USER_NAME = "emulator@example.com"
_TENANT_ID = "00000000-0000-0000-0000-00000000e301"
_OBJECT_ID = "00000000-0000-0000-0000-00000000e302"

_SEED_SCOPE = "https://ads.microsoft.com/msads.manage offline_access"

_AD_SCOPES = frozenset(
    f"https://{host}/{name}"
    for host in ("ads.microsoft.com", "si.ads.microsoft.com")
    for name in ("msads.manage", "ads.manage", "bingads.manage")
)
_USER_SCOPES = frozenset(("openid", "profile", "offline_access", "email"))


@dataclass(frozen=True, slots=True)
class Grant:
    """The application and its granted scopes."""

    client_id: str
    scope: str
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code, before it is redeemed."""

    grant: Grant
    redirect_uri: str
    challenge: str | None
    expires_at: int
    redeemed: bool


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A stored refresh token."""

    grant: Grant
    used_at: int
    revoked: bool


def is_known_scope(scope: str) -> bool:
    """Whether each name in `scope` exists, also one that the API no longer accepts."""
    return bool(scope.split()) and all(name in _AD_SCOPES | _USER_SCOPES for name in scope.split())


def can_manage(scope: str) -> bool:
    """Whether the scope allows calls; the older `ads.manage` and `bingads.manage` no longer do (3101)."""
    return any(name.endswith("/msads.manage") for name in scope.split())


def issue_code(db: Connection, grant: Grant, redirect_uri: str, challenge: str | None, at: int) -> str:
    """Issues an authorization code, valid once and for five minutes."""
    code = f"test-code-{secrets.token_urlsafe(24)}"
    row = (code, grant.client_id, redirect_uri, grant.scope, grant.nonce, challenge, at + CODE_LIFETIME_MS)
    db.execute("INSERT INTO codes VALUES (?, ?, ?, ?, ?, ?, ?, 0)", row)
    return code


def find_code(db: Connection, code: str) -> Code | None:
    """The issued code."""
    row = db.execute(
        "SELECT client_id, scope, nonce, redirect_uri, challenge, expires_at, redeemed FROM codes WHERE code = ?",
        (code,),
    ).fetchone()
    return None if row is None else Code(Grant(*row[:3]), row[3], row[4], row[5], bool(row[6]))


def redeem_code(db: Connection, code: str) -> None:
    """Marks the code as redeemed."""
    db.execute("UPDATE codes SET redeemed = 1 WHERE code = ?", (code,))


def issue_access_token(db: Connection, scope: str, at: int, lifetime_seconds: int) -> str:
    """Issues an access token, and deletes those that expired long ago."""
    token = f"test-access-{secrets.token_urlsafe(48)}"
    db.execute("DELETE FROM access_tokens WHERE expires_at < ?", (at - 7 * DAY_MS,))
    db.execute("INSERT INTO access_tokens VALUES (?, ?, ?)", (token, scope, at + lifetime_seconds * 1000))
    return token


def find_access_token(db: Connection, token: str) -> tuple[str, int] | None:
    """Scope and expiry of an access token."""
    row = db.execute("SELECT scope, expires_at FROM access_tokens WHERE token = ?", (token,)).fetchone()
    return None if row is None else (row[0], row[1])


def issue_refresh_token(db: Connection, grant: Grant, at: int) -> str:
    """Issues a refresh token."""
    token = f"test-refresh-{secrets.token_urlsafe(48)}"
    db.execute("INSERT INTO refresh_tokens VALUES (?, ?, ?, ?, 0)", (token, grant.client_id, grant.scope, at))
    return token


def find_refresh_token(db: Connection, token: str, client_id: str, scope: str, at: int) -> RefreshToken | None:
    """The refresh token; the seed always exists, for any client and scope."""
    if token == SEED_REFRESH_TOKEN:
        return RefreshToken(Grant(client_id, scope or _SEED_SCOPE), at, revoked=False)
    row = db.execute(
        "SELECT client_id, scope, used_at, revoked FROM refresh_tokens WHERE token = ?", (token,)
    ).fetchone()
    return None if row is None else RefreshToken(Grant(row[0], row[1]), row[2], bool(row[3]))


def use_refresh_token(db: Connection, token: str, at: int, *, revoke: bool) -> None:
    """Records the use of the token, which extends its life, or revokes it."""
    db.execute("UPDATE refresh_tokens SET used_at = ?, revoked = ? WHERE token = ?", (at, int(revoke), token))


def expire_access_tokens(db: Connection, at: int) -> int:
    """Expires every access token and returns their number."""
    return db.execute("UPDATE access_tokens SET expires_at = ? WHERE expires_at > ?", (at, at)).rowcount


def revoke_refresh_tokens(db: Connection) -> int:
    """Revokes every refresh token but the seed and returns their number."""
    return db.execute("UPDATE refresh_tokens SET revoked = 1 WHERE revoked = 0").rowcount


def id_token(call: Call, grant: Grant, lifetime_seconds: int) -> str:
    """The user as a JWT without signature, which clients do not check over TLS from the issuer itself."""
    now = call.at // 1000
    claims: dict[str, object] = {
        "aud": grant.client_id,
        "iss": issuer(call),
        "iat": now,
        "nbf": now,
        "exp": now + lifetime_seconds,
        "name": "Emulator",
        "oid": _OBJECT_ID,
        "preferred_username": USER_NAME,
        "sub": "emulator",
        "tid": _TENANT_ID,
        "ver": "2.0",
    }
    if grant.nonce:
        claims["nonce"] = grant.nonce
    return ".".join((_base64(json.dumps({"typ": "JWT", "alg": "none"})), _base64(json.dumps(claims)), ""))


def client_info() -> str:
    """The key under which MSAL caches the user's tokens."""
    return _base64(json.dumps({"uid": _OBJECT_ID, "utid": _TENANT_ID}))


def issuer(call: Call) -> str:
    """The issuer of the caller's tenant."""
    return f"{call.base_url}/{call.tenant}/v2.0"


def narrow_scope(granted: str, requested: Sequence[str]) -> str | None:
    """The requested scopes if all of them were granted (none means all), else None."""
    if not requested:
        return granted
    return " ".join(requested) if set(requested) <= set(granted.split()) | _USER_SCOPES else None


def _base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
