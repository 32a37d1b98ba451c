"""Where a conversion or click came from: the ad account it belongs to, and the click id its request carries."""

from collections.abc import Collection

from sidecar.core.intake import fields, identity
from sidecar.core.intake.members import Members


def account(members: Members, default: str | None, accounts: Collection[str], missing: str) -> str:
    """The account that the request names, else `default`, else the only one there is.

    `missing` is the problem when there are several and nothing names one; empty leaves it unsaid.
    """
    named = None
    if members.get("account") is not None:
        named = members.take("account", fields.one_of(accounts, "unknown_account", "accounts"))
    fallback = default or (next(iter(accounts)) if len(accounts) == 1 else "")
    if missing and not fallback and members.get("account") is None:
        members.refuse("account", "account_required", missing)
    return named or fallback


def msclkid(members: Members, url_name: str) -> str | None:
    """The click id, else the last usable one in the URL, which is no problem: shoppers can change a URL."""
    given = members.take("msclkid", fields.click_id)
    url = members.take(url_name, fields.any_length)
    if members.get("msclkid") is not None or url is None:
        return given
    if len(url) > fields.LONGEST_TEXT:
        message = f"is longer than {fields.LONGEST_TEXT} characters, was not searched for an msclkid, and was left out"
        members.warn("click_id_unusable", url_name, message)
        return None
    found = identity.click_id_in(url)
    if found is None and "msclkid" in url.lower():
        message = "has the word msclkid, but no parameter msclkid with a usable click id before the #; it was left out"
        members.warn("click_id_unusable", url_name, message)
    return found
