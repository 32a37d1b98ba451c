"""Classifies the errors of Microsoft's sign-in: the trouble, and who can fix it. No I/O, no text of Microsoft's.

`tokens` tries again, `oauth` calls Microsoft.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from sidecar.microsoft.sign_in_error_codes import LONG_PAUSE_SECONDS, Remedy, SignInCode, code_of
from sidecar.troubles import CATALOGUE


@dataclass(frozen=True, slots=True)
class SignInFailure:
    """Why there is no token, or no sign-in. `message` holds no text of Microsoft's."""

    remedy: Remedy
    trouble: str
    """A key of the catalogue in `sidecar.troubles`."""
    message: str
    retry_seconds: float | None = None
    """The least wait before the next try, where the remedy's usual wait would be wrong."""

    @property
    def detail(self) -> str:
        """The message without the title of its trouble, where that is shown beside it."""
        return detail_of(self.trouble, self.message)


def detail_of(trouble: str | None, message: str) -> str:
    """`Title (codes): hint` without its title: `codes: hint`."""
    title = CATALOGUE[trouble].title if trouble in CATALOGUE else ""
    rest = message.removeprefix(title)
    return message if rest == message else re.sub(r"^ \((.*?)\)", r"\1", rest).removeprefix(": ")


def of_interactive(failure: SignInFailure) -> SignInFailure:
    """The failure as the trouble of a sign-in in a browser, where a text about the stored sign-in would mislead."""
    trouble = CATALOGUE[failure.trouble].while_signing_in
    if trouble is None:
        return failure
    detail = failure.message if failure.remedy is Remedy.WAIT else failure.detail
    return replace(failure, trouble=trouble, message=f"{CATALOGUE[trouble].title}: {detail}")


class SignInFailed(Exception):
    """Microsoft gave no token. The text holds no token, secret, code or user name."""

    def __init__(self, failure: SignInFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


LEAST_PAUSE_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 30.0
PAUSE_SECONDS = 60.0


def pause_seconds(failure: SignInFailure, failures: int) -> float:
    """How long to wait after the `failures`-th failure in a row (from 1) before asking Microsoft again.

    An outage mostly ends within seconds: the pause doubles from one second to a minute, as between uploads. What a
    person must fix is tried after 30 seconds first, then once a minute.
    """
    match failure.remedy:
        case Remedy.RECONNECT:
            usual = LONG_PAUSE_SECONDS
        case Remedy.WAIT:
            usual = min(PAUSE_SECONDS, LEAST_PAUSE_SECONDS * 2 ** min(max(failures - 1, 0), 16))
        case Remedy.FIX | Remedy.CONFIGURATION:
            usual = FIRST_PAUSE_SECONDS if failures <= 1 else PAUSE_SECONDS
        case _:
            assert_never(failure.remedy)
    return max(usual, failure.retry_seconds or 0.0)


def classify(answer: Mapping[str, object]) -> SignInFailure:
    """The failure in an error answer: of the token endpoint, of the discovery document, or of the callback.

    The first known AADSTS number decides, since one `error` has many causes: `invalid_grant` can even mean "wait".
    Without a known number `error` and `suberror` decide, as Microsoft asks, since it adds numbers at any time.
    https://learn.microsoft.com/entra/identity-platform/reference-error-codes
    """
    error, suberror = _name(answer.get("error")), _name(answer.get("suberror"))
    numbers = _numbers(answer)
    code = next((code for number in numbers if (code := code_of(number, error))), None) or _by_name(error, suberror)
    return SignInFailure(code.remedy, code.trouble, _message(code, error, numbers), code.retry_seconds)


def unavailable(why: str, retry_seconds: float | None = None, trouble: str = "sign_in_unavailable") -> SignInFailure:
    """The failure when the sign-in service gave no usable answer; `why` must not quote the answer.

    The next try is soon with any `trouble`, so that a repaired network needs no restart.
    """
    return SignInFailure(Remedy.WAIT, trouble, f"{CATALOGUE[trouble].title}: {why}", retry_seconds)


_BY_NAME = {
    "invalid_grant": SignInCode(Remedy.RECONNECT, "token_refresh_failed", ""),
    "interaction_required": SignInCode(Remedy.RECONNECT, "token_refresh_failed", ""),
    "login_required": SignInCode(Remedy.RECONNECT, "token_refresh_failed", ""),
    "consent_required": SignInCode(Remedy.RECONNECT, "scope_missing", ""),
    "access_denied": SignInCode(Remedy.RECONNECT, "scope_missing", ""),
    "invalid_client": SignInCode(Remedy.FIX, "client_secret_invalid", ""),
    "unauthorized_client": SignInCode(Remedy.FIX, "app_registration", ""),
    "invalid_scope": SignInCode(Remedy.CONFIGURATION, "scope_missing", ""),
    "invalid_resource": SignInCode(Remedy.CONFIGURATION, "scope_missing", ""),
    "invalid_request": SignInCode(Remedy.CONFIGURATION, "app_registration", ""),
    "invalid_tenant": SignInCode(Remedy.CONFIGURATION, "app_registration", ""),
    "unsupported_grant_type": SignInCode(Remedy.CONFIGURATION, "app_registration", ""),
    "unsupported_response_type": SignInCode(Remedy.CONFIGURATION, "app_registration", ""),
}

_MAY_PASS = SignInCode(Remedy.WAIT, "sign_in_unavailable", "")
"""Every other `error`, as `temporarily_unavailable`, may pass by itself; the next try is soon."""


def _by_name(error: str, suberror: str) -> SignInCode:
    code = _BY_NAME.get(error, _MAY_PASS)
    return replace(code, trouble="scope_missing") if suberror == "consent_required" else code


def _message(code: SignInCode, error: str, numbers: tuple[int, ...]) -> str:
    codes = "".join(f", AADSTS{number}" for number in numbers)
    text = f": {code.text}" if code.text else ""
    return f"{CATALOGUE[code.trouble].title} ({error or 'no error named'}{codes}){text}"


def _name(value: object) -> str:
    """The name of an error; a text of another form is dropped, since it may hold a token."""
    return value if isinstance(value, str) and re.fullmatch(r"[a-z][a-z_]{1,40}", value) else ""


def _numbers(answer: Mapping[str, object]) -> tuple[int, ...]:
    """The AADSTS numbers of `error_codes`, or of the description, the only source in a callback."""
    codes = answer.get("error_codes")
    if isinstance(codes, list) and codes:
        found = [code for code in codes if isinstance(code, int) and 9999 < code < 1_000_000_000]
    else:
        found = [int(digits) for digits in re.findall(r"AADSTS(\d{5,9})\b", str(answer.get("error_description", "")))]
    return tuple(dict.fromkeys(found))[:3]
