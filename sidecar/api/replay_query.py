"""What POST /v1/replay is asked for: from its body to a query, or to every problem it has."""

from dataclasses import dataclass

from sidecar.api.request import query as parameters
from sidecar.api.request.body import check, object_in
from sidecar.core.intake import fields
from sidecar.core.intake.json_object import Shape
from sidecar.core.intake.problem import Refusal
from sidecar.core.states_and_reasons import State
from sidecar.ports.upkeep import ReplayQuery

SHAPE = Shape("", frozenset({"state", "reason", "event", "account", "since", "dry_run", "cursor"}))
"""Every field."""

STATES = (State.DEAD, State.SKIPPED)
"""What can be replayed."""

_text = fields.text(parameters.MAX_TEXT)


@dataclass(frozen=True, slots=True)
class Wish:
    """Which rows, whether only to count them, and after which one to go on."""

    query: ReplayQuery
    dry_run: bool
    after_seq: int


def read_wish(body: bytes) -> Wish:
    """What the body asks for; HttpProblem with everything that is wrong with it."""
    members = object_in(body, SHAPE)
    state = members.require("state", _state)
    query = ReplayQuery(
        state or State.DEAD,
        reason=members.take("reason", _text),
        event=members.take("event", _text),
        account=members.take("account", _text),
        since=members.take("since", fields.moment),
    )
    after_seq = members.take("cursor", lambda value: parameters.cursor(fields.string(value)))
    wish = Wish(query, members.take("dry_run", fields.flag) or False, after_seq or 0)
    check(members)
    return wish


def _state(value: object) -> State:
    if value in STATES:
        return State(str(value))
    raise Refusal("unknown_state", f"must be {' or '.join(STATES)}")
