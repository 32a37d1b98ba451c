"""Formats the goals of an account for `sidecar goals`: as read, as planned and as created."""

from collections.abc import Iterator

from sidecar.cli.formatting import Json, plain, remedy

OFFLINE = "OfflineConversion"


def account_lines(item: Json) -> Iterator[str]:
    """The goals of one account as last read, and the state of each event's goal."""
    yield f"{plain(item['account'])}: " + (f"read {plain(item['read_at'])}" if item["read_at"] else "not read yet")
    yield from _trouble(item)
    if item["auto_tagging"] is not None:
        yield f"  auto-tagging is {'on' if item['auto_tagging'] else 'off'}"
    for goal in item["goals"]:
        yield f"  goal {plain(goal['name'])}: {plain(', '.join(_settings(goal)))}"
    for event in item["events"]:
        yield from _event(event)


def _settings(goal: Json) -> Iterator[str]:
    """The settings of a goal, each in a few words."""
    yield goal["status"].lower() if goal["type"] == OFFLINE else f"of type {goal['type']}, takes no uploads"
    yield from _terms(goal)
    if goal["settles_at"]:
        yield f"takes conversions from {goal['settles_at']}"


def _terms(goal: Json) -> Iterator[str]:
    """Category, count type, window, revenue and whether it matches by hashes."""
    if goal["category"]:
        yield goal["category"]
    if goal["count_type"]:
        yield f"counts {goal['count_type']}"
    if goal["window"]:
        yield f"window {goal['window']}"
    if revenue := goal["revenue"]:
        amount = "" if not revenue["value"] else f" {revenue['value']}"
        yield f"{revenue['type']}{amount}" + (f" {revenue['currency']}" if revenue["currency"] else "")
    if goal["enhanced"] is not None:
        yield "enhanced" if goal["enhanced"] else "not enhanced"
    if goal.get("scope") == "Customer":
        yield "for all accounts of the customer"


def _event(event: Json) -> Iterator[str]:
    yield f"  event {plain(event['event'])} → {plain(event['goal'])}: {plain(event['state'])}"
    if event["did_you_mean"]:
        yield f"    did you mean {plain(event['did_you_mean'])}?"
    if event["settles_at"]:
        yield f"    until {plain(event['settles_at'])}"
    if event["fix"]:
        yield f"    What to do: {plain(event['fix'])}"


def plan_lines(item: Json) -> Iterator[str]:
    """What `apply` would create in one account, what it leaves as it is, and what it cannot create."""
    number = len(item["create"])
    found = "not read" if item["trouble"] else f"{number} to create" if number else "nothing to create"
    yield f"{plain(item['account'])}: {found}"
    yield from _trouble(item)
    for goal in item["create"]:
        yield f"  + {plain(goal['goal'])} (for {plain(', '.join(goal['events']))}): {plain(', '.join(_terms(goal)))}"
        yield f"    assumed: {plain(', '.join(_assumed(goal)))}"
        if goal["did_you_mean"]:
            yield f"    there is {plain(goal['did_you_mean'])}: did you mean that?"
    if number:
        yield "  Goals cannot be deleted; their scope (this account, or all of the customer) cannot be changed later."
    for each in item["differences"]:
        found, wanted = plain(each["found"]), f"events.{plain(each['event'])} has {plain(each['wanted'])}"
        yield f"  ~ {plain(each['goal'])}: {plain(each['field'])} is {found}, {wanted}"
        yield "    It is left as it is; change it in Microsoft Advertising if you want to."
    yield from blocked_lines(item)


def blocked_lines(item: Json) -> Iterator[str]:
    """The goals that cannot be created, with what to do."""
    for each in item["blocked"]:
        yield f"  ! {plain(each['goal'])}: {plain(each['state'])}: {plain(each['message'])}"
        yield f"    What to do: {plain(each['fix'])}"


def _assumed(goal: Json) -> Iterator[str]:
    """The settings that `events:` leaves out, with the values that are assumed."""
    for name in goal["assumed"]:
        value = goal[name]["type"] if name == "revenue" else goal[name]
        yield f"{name} {str(value).lower() if isinstance(value, bool) else value}"


def _trouble(item: Json) -> Iterator[str]:
    if trouble := item["trouble"]:
        yield f"  {plain(trouble['message'])}"
        yield f"  What to do: {plain(trouble['fix'])}"


def created_lines(answer: Json) -> Iterator[str]:
    """The outcome of each goal that was to be created in one account."""
    account = plain(answer["account"])
    yield from (f"{account}:{line}" for line in _trouble(answer))
    if not answer["goals"] and not answer["trouble"]:
        yield f"{account}: nothing to create"
    for goal in answer["goals"]:
        yield f"{account}: {plain(goal['goal'])}: {plain(goal['outcome'])}"
        if goal["first_conversion_at"]:
            yield f"  its first conversion may go out at {plain(goal['first_conversion_at'])}; those before it wait"
        yield from remedy(goal)
