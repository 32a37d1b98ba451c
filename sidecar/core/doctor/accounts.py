"""The checks of each configured account: ids, role, auto-tagging. Its goals are `goals`' matter."""

from collections.abc import Iterator

from sidecar.core.ad_accounts import AdAccount, LookedUp, Reach, VisibleAccounts, look_up
from sidecar.core.doctor.check import Area, Checked, CheckStatus, Finding, Unchecked, ok
from sidecar.core.doctor.facts import AccountFacts, Facts, FailedCall, ReadAccount
from sidecar.core.doctor.sign_in import NO_TOKEN

NOT_AUTHORIZED = "not_authorized"
NOT_CHOSEN = "account_not_chosen"
WRONG_ACCOUNT = "wrong_account"
INACTIVE = "account_inactive"


def account_checks(facts: Facts, account: AccountFacts) -> Iterator[Finding]:
    """Every check of one account but those of its goals."""
    identified = ids(facts, account)
    yield identified
    yield role(facts, account, identified)
    yield auto_tagging(facts, account)


def ids(facts: Facts, account: AccountFacts) -> Finding:
    """Whether the configured ids are those of an account that the user can reach."""
    if not account.customer_id and not account.account_id:
        message = f"Account {account.name} has no ids yet."
        return Checked(Area.ACCOUNT, CheckStatus.FAILED, message, account.name, trouble=NOT_CHOSEN)
    if INACTIVE in account.raised or _trouble(account) == INACTIVE:
        message = f"{_named(account)} cannot take conversions."
        return Checked(Area.ACCOUNT, CheckStatus.FAILED, message, account.name, trouble=INACTIVE)
    if isinstance(facts.visible, VisibleAccounts):
        return _among(facts.visible, account)
    if isinstance(account.reading, ReadAccount):
        return ok(Area.ACCOUNT, f"{_named(account)} is answered.", account.name)
    if isinstance(facts.visible, FailedCall) and facts.visible.area in (Area.DEVELOPER_TOKEN, Area.ACCOUNT):
        return Unchecked(Area.ACCOUNT, "the developer token comes first", account.name)
    if _trouble(account) == WRONG_ACCOUNT and isinstance(account.reading, FailedCall):
        return _wrong(account, account.reading.detail)
    return Unchecked(Area.ACCOUNT, _why(facts, account), account.name)


def _among(visible: VisibleAccounts, account: AccountFacts) -> Finding:
    """Look the ids up among the accounts that the user can reach; an answer for them proves them, too."""
    found = look_up(account.customer_id, account.account_id, visible)
    match found:
        case LookedUp(Reach.VISIBLE, AdAccount() as there) if not there.is_active:
            message = f"{_named(account)}, {there.name}, has the status {there.status}."
            return Checked(Area.ACCOUNT, CheckStatus.FAILED, message, account.name, trouble=INACTIVE)
        case LookedUp(Reach.VISIBLE, AdAccount() as there):
            message = f"{_named(account)}, {there.name}, is one that the signed-in user can reach."
            return ok(Area.ACCOUNT, message, account.name)
        case LookedUp(Reach.SWAPPED):
            return _wrong(account, "customer_id and account_id are swapped")
        case _ if isinstance(account.reading, ReadAccount):
            message = f"{_named(account)} is answered, though Microsoft does not list it for the signed-in user."
            return ok(Area.ACCOUNT, message, account.name)
        case LookedUp(Reach.UNKNOWN, AdAccount() as there):
            return _wrong(account, f"this account belongs to customer {there.customer_id}")
        case LookedUp(Reach.UNKNOWN):
            number = len(visible.accounts)
            reached = f"{number} account{'' if number == 1 else 's'}"
            return _wrong(account, f"the signed-in user can reach {reached}, and not this one")
        case _:
            return Unchecked(Area.ACCOUNT, "the user can reach more accounts than were read", account.name)


def _wrong(account: AccountFacts, why: str) -> Checked:
    """The ids do not lead to an account of the user."""
    return Checked(
        Area.ACCOUNT,
        CheckStatus.FAILED,
        f"{_named(account)}: {why.rstrip('.')}.",
        account.name,
        trouble=WRONG_ACCOUNT,
        fix=f"`sidecar accounts` shows every account that the signed-in user can reach, and the lines to paste under "
        f"accounts.{account.name}; then reload with SIGHUP. If yours is not among them, sign in as another user at "
        "/connect.",
    )


def role(facts: Facts, account: AccountFacts, identified: Finding) -> Finding:
    """Whether the user may write conversions: by the roles that Microsoft lists, and by refused calls.

    `identified` is the check of the account's ids: a refusal of wrong ids says nothing of the user.
    """
    if isinstance(identified, Checked) and (identified.trouble == WRONG_ACCOUNT or identified.trouble == NOT_CHOSEN):
        return Unchecked(Area.ROLE, "the ids of the account come first", account.name)
    if isinstance(account.reading, FailedCall) and account.reading.trouble == NOT_AUTHORIZED:
        return _no_right(account, f"Microsoft refused a call for it: {account.reading.detail.rstrip('.')}.")
    if NOT_AUTHORIZED in account.raised:
        return _no_right(account, "Microsoft refused an upload for it.")
    if not isinstance(facts.visible, VisibleAccounts):
        return Unchecked(Area.ROLE, _why(facts, account), account.name)
    there = look_up(account.customer_id, account.account_id, facts.visible).account
    found = facts.visible.role_for(there) if there is not None else None
    if found is None:
        return Unchecked(Area.ROLE, "Microsoft lists no role of the signed-in user for it", account.name)
    if found.may_upload is False:
        return _no_right(account, f"The signed-in user has the role {found.name}, which may only read.")
    if found.may_upload is None:
        return Unchecked(Area.ROLE, f"the documentation does not say what the role {found.name} may do", account.name)
    return ok(Area.ROLE, f"The signed-in user has the role {found.name}, which may upload conversions.", account.name)


def _no_right(account: AccountFacts, message: str) -> Checked:
    return Checked(Area.ROLE, CheckStatus.FAILED, message, account.name, trouble=NOT_AUTHORIZED)


def auto_tagging(facts: Facts, account: AccountFacts) -> Finding:
    """Whether Microsoft adds click ids to landing addresses."""
    tagging = account.reading.auto_tagging if isinstance(account.reading, ReadAccount) else None
    if tagging is None:
        return Unchecked(Area.AUTO_TAGGING, _why(facts, account), account.name)
    if tagging:
        return ok(Area.AUTO_TAGGING, "Microsoft adds msclkid to landing addresses.", account.name)
    message = "Microsoft adds no msclkid to landing addresses."
    return Checked(Area.AUTO_TAGGING, CheckStatus.WARNING, message, account.name, trouble="auto_tagging_off")


def _trouble(account: AccountFacts) -> str | None:
    """The trouble of the failed reading. A 105 that was meant for the developer token counts as one of the ids."""
    if not isinstance(account.reading, FailedCall):
        return None
    return WRONG_ACCOUNT if account.reading.area is Area.DEVELOPER_TOKEN else account.reading.trouble


def _named(account: AccountFacts) -> str:
    return f"Account {account.account_id or '?'} of customer {account.customer_id or '?'}"


def _why(facts: Facts, account: AccountFacts) -> str:
    """Why Microsoft's answers show nothing of the account."""
    if isinstance(account.reading, FailedCall):
        return f"its goals could not be read ({account.reading.detail.rstrip('.')})"
    return NO_TOKEN if not facts.sign_in.connected else "Microsoft did not say"
