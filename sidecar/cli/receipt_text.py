"""Formats the answer of `explain` for a terminal, in the order of its JSON."""

import json
from collections.abc import Iterator

from sidecar.cli.formatting import Json, plain


def lines(receipt: Json) -> Iterator[str]:
    """All of a receipt."""
    yield f"{plain(receipt.get('id'))}: {_state(receipt)}"
    yield f"  {plain(receipt.get('summary'))}"
    yield f"  {_about(receipt)}"
    yield "What happened"
    for line in receipt.get("timeline") or ():
        yield f"  {plain(line.get('at')):<24}  {plain(line.get('what'))}"
    yield from _identifiers(receipt)
    if receipt.get("meta"):
        yield f"Your own data: {plain(json.dumps(receipt['meta'], ensure_ascii=False))}"
    yield from _clicks(receipt)
    yield from _goal(receipt)
    yield from _waiting(receipt)
    yield from _adjustments(receipt)
    yield from _verdict(receipt)
    step = receipt.get("next_step") or {}
    yield "Next step"
    yield f"  {plain(step.get('message'))}"
    yield f"  What to do: {plain(step.get('fix'))}"


def not_stored(answer: Json) -> Iterator[str]:
    """The requests of the order that were not stored."""
    yield "Not stored of this order"
    for one in answer.get("not_stored") or ():
        yield f"  {plain(one.get('message'))}"


def _state(item: Json) -> str:
    reason = f" ({plain(item['reason'])})" if item.get("reason") else ""
    return f"{plain(item.get('state'))}{reason}"


def _about(receipt: Json) -> str:
    order = f"order {plain(receipt['order_id'])}, " if receipt.get("order_id") else ""
    worth = "" if receipt.get("value") is None else f", {_worth(receipt)}"
    return f"{order}{plain(receipt.get('event'))} of account {plain(receipt.get('account'))}{worth}"


def _worth(item: Json) -> str:
    return f"{plain(item['value'])} {plain(item.get('currency') or '')}".rstrip()


def _identifiers(receipt: Json) -> Iterator[str]:
    labels = (("msclkid", "click"), ("visitor_id", "visitor"), ("email_sha256", "e-mail"), ("phone_sha256", "phone"))
    given = receipt.get("identifiers") or {}
    found = [f"{label} {plain(given[name])}" for name, label in labels if given.get(name)]
    yield f"Identifiers: {', '.join(found) or 'none'}"


def _clicks(receipt: Json) -> Iterator[str]:
    clicks = receipt.get("clicks") or {}
    if not clicks.get("known"):
        return
    more = " or more" if clicks.get("more") else ""
    yield f"Clicks of the visitor: {plain(clicks['known'])}{more}"
    for click in clicks.get("items") or ():
        mark = "*" if click.get("verdict") == "chosen" else " "
        yield f"{mark} {plain(click.get('clicked_at')):<24}  {plain(click.get('msclkid'))}  {plain(click.get('why'))}"


def _goal(receipt: Json) -> Iterator[str]:
    goal = receipt.get("goal") or {}
    traits = [plain(goal["state"])] if goal.get("state") else []
    if goal.get("window"):
        traits.append(f"window {plain(goal['window'])}")
    if goal.get("enhanced") is not None:
        traits.append("takes hashes" if goal["enhanced"] else "takes no hashes")
    note = f" ({', '.join(traits)})" if traits else ""
    yield f"Goal: {plain(goal.get('name') or 'none is mapped')}{note}"
    if goal.get("did_you_mean"):
        yield f"  did you mean {plain(goal['did_you_mean'])}?"
    if goal.get("state") not in (None, "ok") and goal.get("message"):
        until = f" Until {plain(goal['settles_at'])}." if goal.get("settles_at") else ""
        yield f"  {plain(goal['message'])}{until}"


def _waiting(receipt: Json) -> Iterator[str]:
    waits = receipt.get("waits_for")
    if waits:
        until = f", until {plain(waits['until'])}" if waits.get("until") else ""
        yield f"Waits for: {plain(waits.get('what'))}{until}"
    if receipt.get("expires_at"):
        yield f"Too old for Microsoft from: {plain(receipt['expires_at'])}"


def _adjustments(receipt: Json) -> Iterator[str]:
    adjustments = receipt.get("adjustments") or ()
    if adjustments:
        yield "Adjustments"
    for one in adjustments:
        to = "" if one.get("value") is None else f" to {_worth(one)}"
        what = f"{plain(one.get('type') or 'adjustment')}{to}, {_state(one)}"
        yield f"  {plain(one.get('id'))}: {what}{_when(one)}"
        if one.get("state") in ("dead", "pending") and one.get("fix"):
            yield f"    {plain(one.get('message'))} {plain(one['fix'])}"


def _verdict(receipt: Json) -> Iterator[str]:
    verdict = receipt.get("verdict")
    if not verdict:
        return
    yield "What Microsoft's report says, by goal and day"
    yield f"  {plain(verdict.get('message'))}"
    for line in verdict.get("differences") or ():
        yield f"  {plain(line)}"
    for one in verdict.get("advice") or ():
        yield f"  {plain(one.get('rows'))} {plain(one.get('reason'))}: {plain(one.get('message'))}"
        yield f"    What to do: {plain(one.get('fix'))}"


def _when(adjustment: Json) -> str:
    """When it was received, and when it was settled or goes out. Its `time`, that of the conversion, is above."""
    received = f"; received {plain(adjustment['received_at'])}" if adjustment.get("received_at") else ""
    if adjustment.get("settled_at"):
        return f" at {plain(adjustment['settled_at'])}{received}"
    waits = adjustment.get("state") == "pending" and adjustment.get("due_at")
    return f"{received}, goes out at {plain(adjustment['due_at'])} at the earliest" if waits else received
