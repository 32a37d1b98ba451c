"""What every error of Microsoft's sign-in means, and who must do what. No I/O; texts here are our own words only.

Knows the errors; leaves trying again to `tokens` and asking Microsoft to `oauth`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from sidecar.microsoft.sign_in_codes import LONG_PAUSE_SECONDS, Remedy, SignInCode, code_of
from sidecar.troubles import CATALOGUE

__all__ = [
    "LONG_PAUSE_SECONDS",
    "Remedy",
    "Setback",
    "SignInFailed",
    "detail_of",
    "of_sign_in",
    "pause_seconds",
    "setback_of",
    "unavailable",
]


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


LEAST_PAUSE_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 30.0
PAUSE_SECONDS = 60.0


def pause_seconds(setback: Setback, failures: int) -> float:
    """How long to wait after the `failures`-th failure in a row (from 1) before asking Microsoft again.

    What passes by itself mostly does so within seconds: the pause doubles from one of them to a minute, as between
    uploads. What a person has to mend is looked at twice a minute at first, then once.
    """
    match setback.remedy:
        case Remedy.RECONNECT:
            usual = LONG_PAUSE_SECONDS
        case Remedy.WAIT:
            usual = min(PAUSE_SECONDS, LEAST_PAUSE_SECONDS * 2 ** min(max(failures - 1, 0), 16))
        case Remedy.MEND | Remedy.CONFIGURATION:
            usual = FIRST_PAUSE_SECONDS if failures <= 1 else PAUSE_SECONDS
        case _:
            assert_never(setback.remedy)
    return max(usual, setback.again_seconds or 0.0)


def setback_of(answer: Mapping[str, object]) -> Setback:
    """Sort an error answer: of the token endpoint, of the discovery document, or of a redirect back to us.

    The first AADSTS number that is known decides: one `error` serves many causes, `invalid_grant` even "wait". Only
    without one do `error` and `suberror`, as Microsoft asks, since numbers may be added at any time.
    https://learn.microsoft.com/entra/identity-platform/reference-error-codes
    """
    error, suberror = _name(answer.get("error")), _name(answer.get("suberror"))
    numbers = _numbers(answer)
    code = next((code for number in numbers if (code := code_of(number, error))), None) or _by_name(error, suberror)
    return Setback(code.remedy, code.trouble, _message(code, error, numbers), code.again_seconds)


def unavailable(why: str, again_seconds: float | None = None, trouble: str = "sign_in_unavailable") -> Setback:
    """The setback when the sign-in service gave no usable answer; `why` is in our own words.

    It is tried again soon whatever the `trouble`: a network that people mend takes effect without a restart.
    """
    return Setback(Remedy.WAIT, trouble, f"{CATALOGUE[trouble].title}: {why}", again_seconds)


# --- The tables ------------------------------------------------------------------------------------------------------


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


def _remedy(error: str) -> Remedy:
    return _REMEDIES.get(error, Remedy.WAIT)


def _by_name(error: str, suberror: str) -> SignInCode:
    remedy = _remedy(error)
    if suberror == "consent_required":
        return SignInCode(remedy, "scope_missing", "")
    otherwise = "token_refresh_failed" if remedy is Remedy.RECONNECT else "sign_in_unavailable"
    return SignInCode(remedy, _TROUBLES.get(error, otherwise), "")


def _message(code: SignInCode, error: str, numbers: tuple[int, ...]) -> str:
    codes = "".join(f", AADSTS{number}" for number in numbers)
    words = f": {code.text}" if code.text else ""
    return f"{CATALOGUE[code.trouble].title} ({error or 'no error named'}{codes}){words}"


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
