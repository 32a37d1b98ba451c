"""Writes the section `accounts:` of a configuration for the ad accounts that were found, to be pasted."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from sidecar.core.ad_accounts import AdAccount, ConfiguredAccount, LookedUp, Reach, VisibleAccounts, look_up

_PLAIN = re.compile(r"[a-z][a-z0-9_]*")
_NOT_TEXT = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
"""Plain words that YAML takes for a boolean or for nothing."""

LONGEST_KEY = 40


def configured_as(configured: Sequence[ConfiguredAccount], visible: VisibleAccounts) -> dict[str, str]:
    """The name in the configuration of each visible account that it names, by account id; also with wrong ids.

    Of two names for one account that with the right ids counts.
    """
    found = [(one.name, look_up(one.customer_id, one.account_id, visible)) for one in configured]
    found.sort(key=lambda pair: pair[1].reach is Reach.VISIBLE)
    return {one.account.account_id: name for name, one in found if one.account is not None}


def accounts_yaml(configured: Sequence[ConfiguredAccount], visible: VisibleAccounts) -> str:
    """The section with a line for each visible account, then what is configured and not visible.

    Accounts that are not configured are comments: with several accounts, each event has to say which one it is for.
    Where none is configured, the first active one is in force. Empty where there is nothing to write.
    """
    if not visible.accounts:
        return ""
    names, chosen = _names(configured, visible), _chosen(configured, visible)
    goals = {one.name: one.goals for one in configured}
    lines = ["accounts:"]
    for account in visible.accounts:
        name = names[account.account_id]
        line = f"{_key(name)}: {_ids(account.customer_id, account.account_id, goals.get(name, {}))}"
        mark = "" if account.account_id in chosen else "# "
        lines.append(f"  {mark}{line}  # {_about(account)}")
    lines += _unseen(configured, visible)
    return "".join(f"{line}\n" for line in lines)


def _chosen(configured: Sequence[ConfiguredAccount], visible: VisibleAccounts) -> frozenset[str]:
    """The account ids whose lines are in force: those of the configuration, else the first that is active."""
    known = frozenset(configured_as(configured, visible))
    active = [account.account_id for account in visible.accounts if account.is_active]
    return known or frozenset(active[:1] or [visible.accounts[0].account_id])


def _names(configured: Sequence[ConfiguredAccount], visible: VisibleAccounts) -> dict[str, str]:
    """A name for each visible account, no two alike: that of the configuration, else one made of its own name.

    A configured name without a visible account goes to the first one, since events may be meant for it.
    """
    names = configured_as(configured, visible)
    free = [one.name for one in configured if one.name not in names.values()]
    taken = {one.name for one in configured}
    for account in sorted(visible.accounts, key=lambda account: not account.is_active):
        if account.account_id not in names:
            name = free.pop(0) if free else _unused(_word(account), taken)
            names[account.account_id] = name
            taken.add(name)
    return names


def _word(account: AdAccount) -> str:
    """A plain word made of the account's name, or of its id where the name has no letters of the alphabet."""
    word = re.sub(r"[^a-z0-9]+", "_", account.name.lower())[:LONGEST_KEY].strip("_")
    return word if _PLAIN.fullmatch(word) and word not in _NOT_TEXT else f"account_{account.account_id}"


def _unused(word: str, taken: set[str]) -> str:
    number = 1
    while (name := word if number == 1 else f"{word}_{number}") in taken:
        number += 1
    return name


def _unseen(configured: Sequence[ConfiguredAccount], visible: VisibleAccounts) -> Iterator[str]:
    """A comment for each configured account that has ids and is none of the visible ones."""
    for one in configured:
        found: LookedUp = look_up(one.customer_id, one.account_id, visible)
        if found.account is None and (one.customer_id or one.account_id):
            yield f"  # {_key(one.name)}: {_ids(one.customer_id, one.account_id, one.goals)}  # not among them"


def _ids(customer_id: str, account_id: str, goals: Mapping[str, str]) -> str:
    members = {"customer_id": _id(customer_id), "account_id": _id(account_id)}
    if goals:
        members["goals"] = f"{{{', '.join(f'{_key(event)}: {_text(goal)}' for event, goal in goals.items())}}}"
    return f"{{{', '.join(f'{key}: {value}' for key, value in members.items())}}}"


def _id(id_: str) -> str:
    """A number as it is; quoted where YAML would read another one, such as an octal."""
    return id_ if re.fullmatch(r"[1-9][0-9]*", id_) else _text(id_)


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name not in _NOT_TEXT else _text(name)


def _text(value: str) -> str:
    """A text in quotes, which YAML reads as JSON does."""
    return json.dumps(value, ensure_ascii=False)


def _about(account: AdAccount) -> str:
    parts = (account.name, account.number, account.currency, account.status)
    return ", ".join(part for part in parts if part)
