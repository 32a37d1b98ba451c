"""Fields that several kinds of items have: account, click id, order id, value, Idempotency-Key."""

from collections.abc import Callable, Collection
from decimal import Decimal

from sidecar.core.intake import click_ids, fields
from sidecar.core.intake.json_object import JsonObject
from sidecar.core.intake.problem import Findings, Refusal

order_id = fields.text(200)
_idempotency_key = fields.text(255)


def read_account(members: JsonObject, default: str | None, accounts: Collection[str], missing: str) -> str:
    """The account that the request names, else `default`, else the only one there is.

    `missing` is the problem when there are several and nothing names one; empty reports none.
    """
    fallback = default or (next(iter(accounts)) if len(accounts) == 1 else "")
    if members.get("account") is not None:
        return members.take("account", fields.one_of(accounts, "unknown_account", "accounts")) or fallback
    if missing and not fallback:
        members.refuse("account", "account_required", missing)
    return fallback


def read_msclkid(members: JsonObject, url_name: str) -> str | None:
    """The click id, else the last usable one in the URL, which is no problem: shoppers can change a URL."""
    given = members.take("msclkid", fields.click_id)
    url = members.take(url_name, fields.any_length)
    if members.get("msclkid") is not None or url is None:
        return given
    if len(url) > fields.LONGEST_TEXT:
        message = f"is longer than {fields.LONGEST_TEXT} characters, was not searched for an msclkid, and was left out"
        members.warn("click_id_unusable", url_name, message)
        return None
    found = click_ids.find_in_url(url)
    if found is None and "msclkid" in url.lower():
        message = "has the word msclkid, but no parameter msclkid with a usable click id before the #; it was left out"
        members.warn("click_id_unusable", url_name, message)
    return found


def read_value(members: JsonObject, reader: Callable[[object], Decimal] = fields.amount) -> Decimal | None:
    """The value; with a warning where it had more decimals than Microsoft takes."""
    value = members.take("value", reader)
    if value is not None and value != members.get("value"):
        message = "had more decimals than the 3 that Microsoft takes, and was rounded half up"
        members.warn("value_rounded", "value", message)
    return value


def read_idempotency_key(header: str | None, findings: Findings) -> str | None:
    """The Idempotency-Key of a request; None where there is none, or where it cannot be used, which is a problem."""
    if header is None:
        return None
    try:
        return _idempotency_key(header)
    except Refusal as refusal:
        findings.refuse("Idempotency-Key", refusal.code, refusal.message)
        return None
