"""What every error of Microsoft's sign-in means, and who must do what. No I/O; texts here are our own words only.

Knows the errors; leaves trying again to `tokens` and asking Microsoft to `oauth`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from sidecar.troubles import CATALOGUE


class Remedy(StrEnum):
    """Who can end a setback."""

    RECONNECT = "reconnect"  # a person signs in again
    MEND = "mend"  # a person mends the application registration; the sign-in itself stays valid
    WAIT = "wait"  # Microsoft, or the network, gets well by itself
    CONFIGURATION = "configuration"  # what we ask for is wrong: our configuration, or this program


@dataclass(frozen=True, slots=True)
class Setback:
    """Why there is no token, or no sign-in. `message` is for people and holds nothing that Microsoft wrote."""

    remedy: Remedy
    trouble: str
    """A key of the catalogue in `sidecar.troubles`."""
    message: str
    again_seconds: float | None = None
    """How long to wait at least before asking again, where the remedy's usual pace would be wrong."""

    @property
    def detail(self) -> str:
        """The message without the title of its trouble, for where the trouble brings that itself."""
        return detail_of(self.trouble, self.message)


def detail_of(trouble: str | None, message: str) -> str:
    """`Title (codes): hint` without its title: `codes: hint`."""
    title = CATALOGUE[trouble].title if trouble in CATALOGUE else ""
    rest = message.removeprefix(title)
    return message if rest == message else re.sub(r"^ \((.*?)\)", r"\1", rest).removeprefix(": ")


def of_sign_in(setback: Setback) -> Setback:
    """What went wrong while a person signed in: words about a stored sign-in, or about waiting, would mislead."""
    if setback.trouble not in ("token_refresh_failed", "sign_in_unavailable"):
        return setback
    said = setback.message if setback.remedy is Remedy.WAIT else setback.detail
    message = f"{CATALOGUE['sign_in_unsuccessful'].title}: {said}"
    return replace(setback, trouble="sign_in_unsuccessful", message=message)


class SignInFailed(Exception):
    """Microsoft gave no token. The text never holds a token, secret, code or user name."""

    def __init__(self, setback: Setback) -> None:
        super().__init__(setback.message)
        self.setback = setback


FIRST_PAUSE_SECONDS = 30.0
PAUSE_SECONDS = 60.0
LONG_PAUSE_SECONDS = 900.0
"""For what only a person can end by signing in: that wakes us at once, asking more often would not help."""


def pause_seconds(setback: Setback, failures: int) -> float:
    """How long to wait after the `failures`-th failure in a row (from 1) before asking Microsoft again."""
    if setback.remedy is Remedy.RECONNECT:
        usual = LONG_PAUSE_SECONDS
    else:
        usual = FIRST_PAUSE_SECONDS if failures <= 1 else PAUSE_SECONDS
    return max(usual, setback.again_seconds or 0.0)


def setback_of(answer: Mapping[str, object]) -> Setback:
    """Sort an error answer: of the token endpoint, of the discovery document, or of a redirect back to us.

    `error` and `suberror` decide; AADSTS numbers only choose the hint, as Microsoft asks.
    https://learn.microsoft.com/entra/identity-platform/reference-error-codes
    """
    error, suberror = _name(answer.get("error")), _name(answer.get("suberror"))
    numbers = _numbers(answer)
    hint = next((_HINTS[number] for number in numbers if number in _HINTS), None)
    trouble = (hint and hint.trouble) or _trouble(error, suberror)
    message = _message(trouble, error, numbers, hint)
    return Setback(_remedy(error), trouble, message, hint.again_seconds if hint else None)


def unavailable(why: str, again_seconds: float | None = None) -> Setback:
    """The setback when the sign-in service gave no usable answer; `why` is in our own words."""
    message = f"{CATALOGUE['sign_in_unavailable'].title}: {why}"
    return Setback(Remedy.WAIT, "sign_in_unavailable", message, again_seconds)


# --- The tables ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Hint:
    text: str
    trouble: str | None = None
    again_seconds: float | None = None


_REMEDIES = {
    "invalid_grant": Remedy.RECONNECT,
    "interaction_required": Remedy.RECONNECT,
    "consent_required": Remedy.RECONNECT,
    "login_required": Remedy.RECONNECT,
    "access_denied": Remedy.RECONNECT,
    "invalid_client": Remedy.MEND,
    "unauthorized_client": Remedy.MEND,
    "invalid_scope": Remedy.CONFIGURATION,
    "invalid_request": Remedy.CONFIGURATION,
    "invalid_resource": Remedy.CONFIGURATION,
    "invalid_tenant": Remedy.CONFIGURATION,
    "unsupported_grant_type": Remedy.CONFIGURATION,
    "unsupported_response_type": Remedy.CONFIGURATION,
    "temporarily_unavailable": Remedy.WAIT,
    "server_error": Remedy.WAIT,
}
"""An `error` that is not here may pass by itself: it is tried again, and the message names it."""

_TROUBLES = {
    "consent_required": "scope_missing",
    "access_denied": "scope_missing",
    "invalid_client": "client_secret_invalid",
    "unauthorized_client": "app_registration",
    "invalid_scope": "scope_missing",
    "invalid_resource": "scope_missing",
    "invalid_request": "app_registration",
    "invalid_tenant": "app_registration",
    "unsupported_grant_type": "app_registration",
    "unsupported_response_type": "app_registration",
}

_EXPIRED = _Hint("the sign-in expired, or was unused for 90 days")
_MFA = _Hint("an extra sign-in step (MFA) is asked for: sign in again and complete it")
_BUSY = _Hint("Microsoft's sign-in service is busy; nothing to do but wait")

_HINTS = {
    70000: _Hint("the sign-in is no longer valid, or does not carry the permission"),
    70008: _EXPIRED,
    700082: _EXPIRED,
    50173: _Hint("the password changed or the sign-in was revoked"),
    70043: _Hint("a sign-in frequency policy ended it; an administrator can exempt the application"),
    700084: _Hint("the redirect URI is registered as single-page application: register it as Web, then sign in again"),
    65001: _Hint("nobody has consented to the permission msads.manage", "scope_missing"),
    65004: _Hint("the permission was declined", "scope_missing"),
    90094: _Hint("an administrator of the tenant must grant the permission", "scope_missing"),
    650052: _Hint(
        "the tenant lacks the Microsoft Advertising service: an administrator adds the enterprise application "
        "d42ffc93-c136-491d-b4fd-6f18168c68fd, or grants admin consent",
        "scope_missing",
    ),
    50074: _MFA,
    50076: _MFA,
    50078: _MFA,
    50079: _MFA,
    53003: _Hint("Conditional Access blocks the sign-in: an administrator must allow it"),
    50034: _Hint("the user is unknown in this tenant: check microsoft.tenant, or sign in as another user"),
    50055: _Hint("the user's password has expired: change it, then sign in again"),
    50057: _Hint("the user is disabled: an administrator must enable it, or sign in as another user"),
    50132: _Hint("the session is no longer valid, often after a password change"),
    50133: _Hint("the session is no longer valid, often after a password change"),
    50144: _Hint("the user's domain password has expired: change it, then sign in again"),
    54005: _Hint("the sign-in's code was used already: start again at /connect"),
    70011: _Hint("the permission asked for does not exist here: check microsoft.environment"),
    7000215: _Hint("the secret is wrong: often its id was pasted instead of its value", "client_secret_invalid"),
    7000222: _Hint("the secret has expired; the sign-in itself stays valid", "client_secret_expired"),
    7000218: _Hint(
        "no secret was sent: set microsoft.client_secret, or allow public client flows", "client_secret_invalid"
    ),
    700025: _Hint(
        "the application is public: leave microsoft.client_secret empty, or register a Web redirect URI",
        "client_secret_invalid",
    ),
    90023: _Hint(
        "the application is public: leave microsoft.client_secret empty, or register a Web redirect URI",
        "client_secret_invalid",
    ),
    700016: _Hint("Microsoft does not know the application: check microsoft.client_id", "app_registration"),
    7000112: _Hint("the application is disabled: enable it in the Azure portal", "app_registration"),
    50194: _Hint(
        "the application serves one tenant only: change its supported account types, or set microsoft.tenant",
        "app_registration",
    ),
    90002: _Hint("Microsoft does not know the tenant: check microsoft.tenant", "app_registration"),
    50011: _Hint("microsoft.redirect_uri is not among the application's redirect URIs", "app_registration"),
    9002313: _Hint("Microsoft does not understand the request; please report it"),
    50196: _Hint("Microsoft saw too many equal requests", again_seconds=LONG_PAUSE_SECONDS),
    90006: _BUSY,
    90012: _BUSY,
    90024: _BUSY,
    90033: _BUSY,
    50033: _BUSY,
    50087: _BUSY,
    70012: _BUSY,
    90055: _Hint("too many sign-in requests; it is tried again later"),
}
"""AADSTS numbers: https://learn.microsoft.com/entra/identity-platform/reference-error-codes#aadsts-error-codes"""


def _remedy(error: str) -> Remedy:
    return _REMEDIES.get(error, Remedy.WAIT)


def _trouble(error: str, suberror: str) -> str:
    if suberror == "consent_required":
        return "scope_missing"
    otherwise = "token_refresh_failed" if _remedy(error) is Remedy.RECONNECT else "sign_in_unavailable"
    return _TROUBLES.get(error, otherwise)


def _message(trouble: str, error: str, numbers: tuple[int, ...], hint: _Hint | None) -> str:
    codes = "".join(f", AADSTS{number}" for number in numbers)
    words = f": {hint.text}" if hint else ""
    return f"{CATALOGUE[trouble].title} ({error or 'no error named'}{codes}){words}"


def _name(value: object) -> str:
    """An error's name; anything that does not look like one is dropped, lest a token hides in it."""
    return value if isinstance(value, str) and re.fullmatch(r"[a-z][a-z_]{1,40}", value) else ""


def _numbers(answer: Mapping[str, object]) -> tuple[int, ...]:
    """The AADSTS numbers, from `error_codes`, or from the description of a redirect, which has only that."""
    codes = answer.get("error_codes")
    if isinstance(codes, list) and codes:
        found = [code for code in codes if isinstance(code, int) and 9999 < code < 1_000_000_000]
    else:
        found = [int(digits) for digits in re.findall(r"AADSTS(\d{5,9})\b", str(answer.get("error_description", "")))]
    return tuple(dict.fromkeys(found))[:3]
