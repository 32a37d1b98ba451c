"""The AADSTS numbers of Microsoft's sign-in as one table: who can fix each, and why it happens.

https://learn.microsoft.com/entra/identity-platform/reference-error-codes#aadsts-error-codes
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial


class Remedy(StrEnum):
    """What ends a failure."""

    RECONNECT = "reconnect"  # a person signs in again
    FIX = "fix"  # a person fixes the application registration; the sign-in itself stays valid
    WAIT = "wait"  # Microsoft or the network recovers by itself
    CONFIGURATION = "configuration"  # what we ask for is wrong: our configuration, or this program


LONG_PAUSE_SECONDS = 900.0
"""The wait for a person's sign-in, which ends it at once; trying more often would not help."""


@dataclass(frozen=True, slots=True)
class SignInCode:
    """The meaning of one number. `trouble` is a key of the catalogue in `sidecar.troubles`."""

    remedy: Remedy
    trouble: str
    text: str
    retry_seconds: float | None = None
    """The least wait before the next try, where the remedy's usual wait would be wrong."""


_sign_in = partial(SignInCode, Remedy.RECONNECT, "token_refresh_failed")
_blocked = partial(SignInCode, Remedy.RECONNECT, "sign_in_blocked")
_consent = partial(SignInCode, Remedy.RECONNECT, "scope_missing")
_secret = partial(SignInCode, Remedy.FIX, "client_secret_invalid")
_application = partial(SignInCode, Remedy.FIX, "app_registration")
_configuration = partial(SignInCode, Remedy.CONFIGURATION, "app_registration")
_wait = partial(SignInCode, Remedy.WAIT, "sign_in_unavailable")

_EXPIRED = _sign_in("the sign-in expired, or was unused for 90 days")
_CHANGED = _sign_in("the session is no longer valid, often after a password change")
_MFA = _sign_in("an extra sign-in step (MFA) is asked for: sign in again and complete it")
_ANOTHER = _sign_in(
    "the user does not belong to this tenant: sign in as another user, set microsoft.tenant to the user's own, or have "
    "an administrator add the user as a guest"
)
_DEVICE = _blocked(
    "the company's rules want a managed device: an administrator must exempt the application, or sign in on such a "
    "device"
)
_POLICY = _blocked("a policy of the company's directory blocks the sign-in: an administrator must allow it")
_NO_SERVICE = _consent(
    "the tenant lacks the Microsoft Advertising service: an administrator adds the enterprise application "
    "d42ffc93-c136-491d-b4fd-6f18168c68fd, or grants admin consent"
)
_ADMIN_CONSENT = _consent("an administrator of the tenant must grant the permission")
_PUBLIC = _secret("the application is public: leave microsoft.client_secret empty, or register a Web redirect URI")
_UNKNOWN_APPLICATION = _application("Microsoft does not know the application: check microsoft.client_id")
_DISABLED = _application("the application is disabled: enable it in the Azure portal")
_REDIRECT = _configuration("microsoft.redirect_uri is not among the application's redirect URIs")
_SCOPE = SignInCode(
    Remedy.CONFIGURATION, "scope_missing", "the permission asked for does not exist here: check microsoft.environment"
)
_BUSY = _wait("Microsoft's sign-in service is busy; nothing to do but wait")

CODES = {
    # Sign in again
    70000: _sign_in("the sign-in is no longer valid, or does not carry the permission"),
    70008: _EXPIRED,
    700082: _EXPIRED,
    50089: _EXPIRED,
    50173: _sign_in("the password changed or the sign-in was revoked"),
    70043: _sign_in("a sign-in frequency policy ended it; an administrator can exempt the application"),
    700084: _sign_in(
        "the redirect URI is registered as single-page application: register it as Web, then sign in again"
    ),
    50132: _CHANGED,
    50133: _CHANGED,
    50072: _MFA,
    50074: _MFA,
    50076: _MFA,
    50078: _MFA,
    50079: _MFA,
    50158: _MFA,
    53004: _MFA,
    50055: _sign_in("the user's password has expired: change it, then sign in again"),
    50144: _sign_in("the user's domain password has expired: change it, then sign in again"),
    50135: _sign_in("the user's password must be changed first, because of a risk: change it, then sign in again"),
    50034: _sign_in("the user is unknown in this tenant: check microsoft.tenant, or sign in as another user"),
    16000: _ANOTHER,
    50020: _ANOTHER,
    51004: _ANOTHER,
    90072: _ANOTHER,
    500208: _sign_in(
        "the application does not take this kind of account (personal, or of work or school): sign in as another user"
    ),
    54005: _sign_in("the sign-in's code was used already: start again at /connect"),
    # An administrator first
    50057: _blocked("the user is disabled: an administrator must enable it, or sign in as another user"),
    50053: _blocked("the user is locked after failed sign-ins: wait a while, or an administrator unblocks the user"),
    50105: _blocked(
        "the user is not assigned to the application: an administrator assigns the user under Enterprise applications"
    ),
    50005: _DEVICE,
    50097: _DEVICE,
    50129: _DEVICE,
    50131: _POLICY,
    53000: _DEVICE,
    53001: _DEVICE,
    53002: _blocked("the company's rules allow approved applications only: an administrator must exempt this one"),
    53003: _blocked("Conditional Access blocks the sign-in: an administrator must allow it"),
    53010: _POLICY,
    53011: _blocked("the user is blocked because of a risk: an administrator must unblock the user"),
    530032: _POLICY,
    530035: _POLICY,
    500021: _POLICY,
    500022: _POLICY,
    500212: _POLICY,
    500213: _POLICY,
    # Consent
    65001: _consent("no user has consented to the permission msads.manage"),
    65004: _consent("the permission was declined"),
    90008: _consent("no user has consented to the application"),
    90094: _ADMIN_CONSENT,
    90095: _ADMIN_CONSENT,
    650052: _NO_SERVICE,
    500011: _NO_SERVICE,
    # The application, the configuration
    7000215: _secret("the secret is wrong: often its id was pasted instead of its value"),
    7000222: replace(
        _secret("the secret has expired; the sign-in itself stays valid"), trouble="client_secret_expired"
    ),
    7000218: _secret("no secret was sent: set microsoft.client_secret, or allow public client flows"),
    700025: _PUBLIC,
    90023: replace(_PUBLIC, remedy=Remedy.CONFIGURATION),
    700011: _UNKNOWN_APPLICATION,
    700016: _UNKNOWN_APPLICATION,
    70001: _DISABLED,
    7000112: _DISABLED,
    50194: _configuration(
        "the application serves one tenant only: change its supported account types, or set microsoft.tenant"
    ),
    90002: _configuration("Microsoft does not know the tenant: check microsoft.tenant"),
    50011: _REDIRECT,
    500112: _REDIRECT,
    70011: _SCOPE,
    28002: _SCOPE,
    9002313: _configuration("Microsoft does not understand the request; please report it"),
    # Wait
    50196: _wait("Microsoft saw too many equal requests", LONG_PAUSE_SECONDS),
    90055: _wait("too many sign-in requests; it is tried again later"),
    90006: _BUSY,
    90012: _BUSY,
    90024: _BUSY,
    90033: _BUSY,
    90090: _BUSY,
    50033: _BUSY,
    50087: _BUSY,
    70012: _BUSY,
}

CODES_OF_INVALID_GRANT = {
    9002313: _sign_in("the stored sign-in is damaged: Microsoft cannot read its refresh token"),
}
"""Numbers with another meaning beside `invalid_grant`: the refresh token is malformed, not the request.

Seen by others: https://github.com/AzureAD/microsoft-authentication-library-for-android/issues/558
"""


def code_of(number: int, error: str) -> SignInCode | None:
    """The meaning of `number` beside the OAuth error `error`; None where the table lacks it."""
    found = CODES_OF_INVALID_GRANT.get(number) if error == "invalid_grant" else None
    return found or CODES.get(number)
