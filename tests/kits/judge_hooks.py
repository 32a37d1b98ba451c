"""What schemathesis must know of the sidecar: which 422 a valid call may get, and which answers do not end.

`st` loads it, through judge.toml.
"""

import json
from collections.abc import Iterator
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, HookContext, Response

CANNOT_BE_TOLD = {
    **dict.fromkeys(
        ("unknown_event", "unknown_account", "unknown_goal", "currency_required"), "the configuration decides"
    ),
    **dict.fromkeys(("too_old", "in_future"), "the clock decides"),
    "invalid_time": "a 30th of February, and a second 60 in the middle of an hour",
    "unknown_currency": "ISO 4217 changes",
    "unknown_name": "docs/operating.md has the names of log entries",
    "invalid_cursor": "an earlier answer has it",
    "unusable": "of a text only its reader can tell whether it is an address or a phone number",
    "identifier_required": "an e-mail address with a typo identifies nobody",
    "too_many_decimals": "a credit of 1e-99 is a number over 0",
    "too_many_items": "since and step together make a series too long",
    "key_on_array": "a header that goes with one form of the body",
}
"""The codes of refusals that the document cannot tell, and why not."""


@schemathesis.hook
def filter_query(context: HookContext, query: dict[str, Any] | None) -> bool:
    """A followed log does not end; tests/api/test_logs.py reads it."""
    return str((query or {}).get("follow")) != "1"


def codes(answer: Any) -> Iterator[str]:
    """The codes of all problems of an answer, and of its items that are not valid."""
    for problem in answer.get("errors", ()):
        yield problem["code"]
    for result in answer.get("results", ()):
        if result.get("status", 422) == 422:
            yield from codes(result)


@schemathesis.check
def only_what_a_schema_cannot_tell_is_refused(context: CheckContext, response: Response, case: Case) -> None:
    """A call that the document allows is refused for a reason that the document cannot express."""
    if response.status_code == 422 and case.meta and case.meta.generation.mode is GenerationMode.POSITIVE:
        unexpected = set(codes(json.loads(response.content))) - CANNOT_BE_TOLD.keys()
        assert not unexpected, f"{', '.join(sorted(unexpected))}: {response.text[:1_000]}"
