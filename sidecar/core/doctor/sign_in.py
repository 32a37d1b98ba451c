"""The checks of the sign-in: token, scope and developer token, as far as each can be told apart."""

from collections.abc import Iterable

from sidecar.core.ad_accounts import VisibleAccounts
from sidecar.core.doctor.check import Area, Checked, CheckStatus, Finding, Unchecked, ok
from sidecar.core.doctor.facts import FailedCall, SignInFacts
from sidecar.core.instant import text_of_millis

UNAVAILABLE = "sign_in_unavailable"
NO_TOKEN = "there is no access token to ask with"  # noqa: S105 - words for people


def token(sign_in: SignInFacts, failed_calls: Iterable[FailedCall], *, is_cut_off: bool) -> Finding:
    """Whether the access token is valid and could be renewed just now.

    `is_cut_off` says that the connection check failed: it explains a sign-in service that gives no answer.
    """
    failure = sign_in.failure
    until = (
        f"valid until {text_of_millis(sign_in.expires_at)[11:16]} UTC" if sign_in.expires_at is not None else "valid"
    )
    rejected = next((call for call in failed_calls if call.area is Area.TOKEN), None)
    if rejected is not None:
        return Checked(Area.TOKEN, CheckStatus.FAILED, f"{rejected.detail.rstrip('.')}.", trouble=rejected.trouble)
    if failure is None:
        return ok(Area.TOKEN, f"The access token is {until}, and was renewed just now.")
    if failure.area is not Area.TOKEN or (
        is_cut_off and failure.trouble == UNAVAILABLE
    ):  # which their own checks explain
        if sign_in.connected:
            return ok(Area.TOKEN, f"The access token is {until}; it could not be renewed now.")
        return Unchecked(Area.TOKEN, NO_TOKEN)
    passes = sign_in.connected and failure.trouble == UNAVAILABLE
    status = CheckStatus.WARNING if passes else CheckStatus.FAILED
    still = f"The access token is {until}, but cannot be renewed: " if sign_in.connected else ""
    return Checked(Area.TOKEN, status, f"{still}{failure.detail.rstrip('.')}.", trouble=failure.trouble)


def scope(sign_in: SignInFacts, failed_calls: Iterable[FailedCall]) -> Finding:
    """Whether the sign-in carries the permission to manage ads."""
    found = (sign_in.failure, *failed_calls)
    missing = next((one for one in found if one is not None and one.area is Area.SCOPE), None)
    if missing is not None:
        message = f"The sign-in lacks msads.manage: {missing.detail.rstrip('.')}."
        return Checked(Area.SCOPE, CheckStatus.FAILED, message, trouble=missing.trouble)
    if not sign_in.connected:
        return Unchecked(Area.SCOPE, NO_TOKEN)
    return ok(Area.SCOPE, "The sign-in carries the permission msads.manage.")


def developer_token(
    sign_in: SignInFacts, visible: VisibleAccounts | FailedCall | None, *, any_account_read: bool
) -> Finding:
    """Whether Microsoft accepts the developer token, by a call that names no account."""
    if any_account_read or isinstance(visible, VisibleAccounts):
        return ok(Area.DEVELOPER_TOKEN, "Microsoft accepts the developer token.")
    if isinstance(visible, FailedCall) and visible.area in (Area.DEVELOPER_TOKEN, Area.ACCOUNT):
        return Checked(
            Area.DEVELOPER_TOKEN,
            CheckStatus.FAILED,
            f"Microsoft refuses a call that names no account: {visible.detail.rstrip('.')}.",
            trouble="developer_token_invalid",
            cause="The developer token is wrong, not yet approved or of the other environment; or the signed-in user "
            "is unknown to Microsoft Advertising. The ids of the accounts were not part of this call.",
            fix="Compare microsoft.developer_token with the one under Settings > Developer settings, and "
            "microsoft.environment with the one it was issued for; then restart. If they are right, sign in as another "
            "user at /connect.",
        )
    return Unchecked(Area.DEVELOPER_TOKEN, _why(sign_in, visible))


def _why(sign_in: SignInFacts, call: object) -> str:
    """Why a call to Microsoft was not made or did not show anything."""
    if isinstance(call, FailedCall):
        return f"Microsoft was asked, without a usable answer ({call.detail})"
    return NO_TOKEN if not sign_in.connected else "Microsoft was not asked"
