"""The sign-in errors of Microsoft Entra by AADSTS number, and the body of each.

https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from sidecar.emulator.call import Answer, answer_json

_INVALID_GRANT = "invalid_grant"
_INTERACTION = "interaction_required"
_INVALID_CLIENT = "invalid_client"
_UNAUTHORIZED = "unauthorized_client"
_INVALID_REQUEST = "invalid_request"
_UNAVAILABLE = "temporarily_unavailable"


@dataclass(frozen=True, slots=True)
class SignInError:
    """One reason. Clients should read `error`; the number is for people."""

    number: int
    error: str
    message: str
    status: int = 400
    suberror: str | None = None


class SignInRefused(Exception):
    """The token endpoint refuses the request."""

    def __init__(self, number: int) -> None:
        super().__init__(f"AADSTS{number}")
        self.reason = sign_in_error(number)


_ALL = (
    SignInError(70000, _INVALID_GRANT, "The provided grant is invalid or was issued for another client or scope."),
    SignInError(
        70008, _INVALID_GRANT, "The authorization code or refresh token has expired.", suberror="token_expired"
    ),
    SignInError(700082, _INVALID_GRANT, "The refresh token has expired due to inactivity.", suberror="token_expired"),
    SignInError(50173, _INVALID_GRANT, "The grant was revoked, a fresh sign-in is needed.", suberror="bad_token"),
    SignInError(70043, _INVALID_GRANT, "The refresh token has expired due to sign-in frequency checks."),
    SignInError(700084, _INVALID_GRANT, "The refresh token was issued to a single page app and has expired."),
    SignInError(54005, _INVALID_GRANT, "The authorization code was already redeemed."),
    SignInError(501481, _INVALID_GRANT, "The code verifier does not match the code challenge of the request."),
    SignInError(500112, _INVALID_GRANT, "The reply address does not match that of the authorization request."),
    SignInError(50020, _INVALID_GRANT, "The user account does not exist in the tenant."),
    SignInError(50034, _INVALID_GRANT, "The user account does not exist."),
    SignInError(50055, _INVALID_GRANT, "The password is expired."),
    SignInError(50057, _INVALID_GRANT, "The user account is disabled."),
    SignInError(50132, _INVALID_GRANT, "The session is not valid: the password expired or was changed."),
    SignInError(50133, _INVALID_GRANT, "The session is not valid due to a recent password change."),
    SignInError(50144, _INVALID_GRANT, "The user's password has expired."),
    SignInError(65001, _INVALID_GRANT, "No user has consented to use the application.", suberror="consent_required"),
    SignInError(65004, "access_denied", "The user declined to consent to access the app."),
    SignInError(650052, "invalid_resource", "The tenant has no service principal of the application."),
    SignInError(90094, "consent_required", "An administrator has to grant this permission."),
    SignInError(50074, _INTERACTION, "Strong authentication is required.", suberror="basic_action"),
    SignInError(50076, _INTERACTION, "Multi-factor authentication is needed.", suberror="basic_action"),
    SignInError(50078, _INTERACTION, "Multi-factor authentication has expired.", suberror="basic_action"),
    SignInError(50079, _INTERACTION, "The user has to enrol in multi-factor authentication.", suberror="basic_action"),
    SignInError(50105, _INVALID_GRANT, "The signed-in user is not assigned to a role for the application."),
    SignInError(53000, _INTERACTION, "The device is not compliant with Conditional Access.", suberror="message_only"),
    SignInError(53003, _INTERACTION, "Access was blocked by Conditional Access policies.", suberror="message_only"),
    SignInError(70011, "invalid_scope", "The scope is not valid."),
    SignInError(7000215, _INVALID_CLIENT, "Invalid client secret provided.", 401),
    SignInError(7000222, _INVALID_CLIENT, "The provided client secret keys are expired.", 401),
    SignInError(7000218, _INVALID_CLIENT, "The request must contain client_secret or client_assertion.", 401),
    SignInError(700025, _INVALID_CLIENT, "The client is public, so neither secret nor assertion may be given.", 401),
    SignInError(700016, _UNAUTHORIZED, "The application was not found in the directory."),
    SignInError(7000112, _UNAUTHORIZED, "The application is disabled."),
    SignInError(50194, _INVALID_REQUEST, "The application is not configured as a multi-tenant application."),
    SignInError(50011, _INVALID_REQUEST, "The redirect URI does not match those of the application."),
    SignInError(9002313, _INVALID_REQUEST, "The request is malformed or invalid."),
    SignInError(900144, _INVALID_REQUEST, "The request body lacks a required parameter."),
    SignInError(70003, "unsupported_grant_type", "The grant type is not supported."),
    SignInError(50196, "invalid_grant", "The server terminated an operation: it met a client request loop."),
    SignInError(70012, "server_error", "A server error occurred while authenticating.", 500),
    SignInError(90012, "server_error", "The authentication request timed out.", 500),
    SignInError(50033, _UNAVAILABLE, "An unspecified transient error occurred.", 503),
    SignInError(50087, _UNAVAILABLE, "A transient error occurred during sign-out.", 503),
    SignInError(90006, _UNAVAILABLE, "The service is temporarily unavailable.", 503),
    SignInError(90024, _UNAVAILABLE, "The service is temporarily unavailable.", 503),
    SignInError(90033, _UNAVAILABLE, "The service is temporarily unavailable.", 503),
    SignInError(90055, _UNAVAILABLE, "The tenant was throttled: too many requests.", 429),
)

_BY_NUMBER = {reason.number: reason for reason in _ALL}


def sign_in_error(number: int) -> SignInError:
    """The reason of that number; a number that the table lacks is an `invalid_grant`."""
    return _BY_NUMBER.get(number) or SignInError(number, _INVALID_GRANT, "The sign-in failed.")


def description(reason: SignInError, at: int) -> str:
    """The text for people: `AADSTS700082: ... Trace ID: ... Correlation ID: ... Timestamp: ...`."""
    trace, correlation = uuid.uuid4(), uuid.uuid4()
    head = f"AADSTS{reason.number}: {reason.message}"
    return f"{head} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {_timestamp(at)}"


def error_answer(reason: SignInError, at: int, error: str | None = None, suberror: str | None = None) -> Answer:
    """The token endpoint's refusal; `error` and `suberror` replace the usual ones, which Entra varies."""
    text = description(reason, at)
    body: dict[str, object] = {
        "error": error or reason.error,
        "error_description": text,
        "error_codes": [reason.number],
        "timestamp": _timestamp(at),
        "trace_id": text.split("Trace ID: ")[1].split(" ")[0],
        "correlation_id": text.split("Correlation ID: ")[1].split(" ")[0],
        "error_uri": f"https://login.microsoftonline.com/error?code={reason.number}",
    }
    if suberror or reason.suberror:
        body["suberror"] = suberror or reason.suberror
    return answer_json(body, reason.status, f"AADSTS{reason.number}")


def _timestamp(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
