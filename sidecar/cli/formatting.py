"""Formats the sidecar's answers as lines for a terminal."""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_KEYS = "Name it with --api-key or $SIDECAR_API_KEY; one that the sidecar made lies beside its database (*.api-key)."

_NOT_STORED = {
    "no_identifier": "Nothing is left to match it by: it needs a click id, a captured visitor, an e-mail or a phone.",
    "consent_denied": "The person did not agree: consent was denied.",
}


def plain(text: object) -> str:
    """The text on one line, without control characters."""
    shown = str(text)
    return shown if shown.isprintable() else "".join(c if c.isprintable() else " " for c in shown)


def problem(status: int, body: Json) -> str:
    """A refusal: its title, the problem of every field or else the detail, and what to do."""
    return "\n".join((f"{plain(body.get('title', 'Refused'))} (HTTP {status})", *_reasons(status, body)))


def _reasons(status: int, body: Json) -> Iterator[str]:
    errors = body.get("errors") or []
    fields = [error for error in errors if error.get("field")]
    yield from _problems(fields)
    if not fields and body.get("detail"):
        yield f"  {plain(body['detail'])}"
    remedies = [error.get("message") for error in errors if not error.get("field")]
    detail = "" if fields else str(body.get("detail"))
    yield from (f"  What to do: {plain(text)}" for text in (*remedies, body.get("fix")) if text and text not in detail)
    if status == 401:
        yield f"  {_KEYS}"


def _problems(errors: list[Json]) -> Iterator[str]:
    yield from (f"  {plain(error.get('field'))}: {plain(error.get('message'))}" for error in errors)


def row(answer: Json) -> Iterator[str]:
    """A conversion or adjustment: its state, its warnings, and what to do."""
    reason = f" ({plain(answer['reason'])})" if answer.get("reason") else ""
    yield f"{plain(answer.get('id') or 'not stored')}: {plain(answer.get('state'))}{reason}"
    if answer.get("reason") in _NOT_STORED and not answer.get("id"):
        yield f"  {_NOT_STORED[answer['reason']]}"
    if answer.get("kind") == "adjustment":
        yield from _adjustment(answer)
    elif answer.get("matched_by"):
        yield f"  can be matched by: {plain(', '.join(answer['matched_by']))}"
    for warning in answer.get("warnings") or ():
        about = f", {plain(warning['field'])}" if warning.get("field") else ""
        yield f"  warning{about}: {plain(warning.get('message'))}"
    yield from remedy(answer)


def _adjustment(answer: Json) -> Iterator[str]:
    """The conversion that an adjustment changes, how, and when it goes out at the earliest."""
    order = f" (order {plain(answer['order_id'])})" if answer.get("order_id") else ""
    which = f"{plain(answer.get('conversion_id') or 'one that was uploaded elsewhere')}{order}"
    worth = f"{plain(answer.get('value'))} {plain(answer.get('currency') or '')}".rstrip()
    yield f"  takes back {which}" if answer.get("type") == "retract" else f"  restates {which} to {worth}"
    if answer.get("state") == "pending" and answer.get("due_at"):
        yield f"  goes out at {plain(answer['due_at'])} at the earliest"


def remedy(item: Json) -> Iterator[str]:
    """The error of an item, its message, and what to do."""
    for name, label in (("error", "error"), ("message", "message"), ("fix", "What to do")):
        if item.get(name):
            yield f"  {label}: {plain(item[name])}"


def rows(answer: Json) -> Iterator[str]:
    """The answer to a bulk request: the totals, then each item."""
    yield ", ".join(f"{answer.get(name, 0)} {name}" for name in ("accepted", "replayed", "skipped", "rejected"))
    for result in answer.get("results") or ():
        if result.get("errors"):
            yield f"item {result.get('index')}: refused (HTTP {result.get('status')})"
            yield from _problems(result["errors"])
        else:
            yield from row(result)
