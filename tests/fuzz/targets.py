"""What is fuzzed: each place where bytes of others are read, and what must hold of every result.

A target is given bytes. It may refuse them in its own words; anything else that is raised is a bug. How a bug becomes a
seed: CONTRIBUTING.md, Fuzzing.
"""

import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import astuple
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from sidecar.api import erasures, log_query, replay_query
from sidecar.api.http.problem import HttpProblem
from sidecar.config import ConfigError
from sidecar.config.display import masked_yaml
from sidecar.config.loader import parse as parse_config
from sidecar.core.answer import Lost, RefusedBatch, Taken
from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds
from sidecar.core.intake import adjustment as adjustment_intake
from sidecar.core.intake import click as capture
from sidecar.core.intake import click_ids, emails, hashing, phones
from sidecar.core.intake import conversion as intake
from sidecar.core.intake.conversion import EventRule, Rules
from sidecar.core.intake.json_text import BadBody, parse
from sidecar.core.intake.problem import Problem, Warning_
from sidecar.core.report import GoalReport, ReportCall
from sidecar.core.unattributed import MOST_REASONS
from sidecar.microsoft import account_properties, goals, reports, wire
from sidecar.microsoft.reply import RETRY_AFTER_LEAST_SECONDS, RETRY_AFTER_MOST_SECONDS, HttpReply
from sidecar.microsoft.sign_in_errors import classify
from sidecar.troubles import CATALOGUE

SEEDS = Path(__file__).with_name("seeds")
SAMPLES = Path(__file__).parent.with_name("samples")

NOW = UnixMillis(1_795_000_000_500)
RULES = Rules(
    events={
        "purchase": EventRule("Sidecar Purchase", currency="USD"),
        "lead": EventRule("Sidecar Lead", account="north"),
        "signup": EventRule("Sidecar Signup", value=Decimal("2.50"), currency="EUR"),
    },
    accounts=("north", "south"),
    default_country="US",
)
CLICKS = capture.CaptureRules(("north", "south"))
LONGEST_BATCH = 1_000
REPORT_CALL = ReportCall(("48210331", "48210332"), UnixSeconds(20_772 * DAY_SECONDS), UnixSeconds(20_778 * DAY_SECONDS))
"""15 to 21 November 2026."""


# --- What the app sends ----------------------------------------------------------------------------------------------


def conversions(body: bytes) -> None:
    """A body of POST /v1/conversions."""
    for item in _items(body):
        read = intake.read(item, now=NOW, rules=RULES)
        if isinstance(read, intake.Accepted):
            _check_storable(repr(read.conversion), read.conversion.order_id, read.conversion.meta)
            _check_no_plain(item, repr(read))
        _check_reasons(read)
        assert intake.read(item, now=NOW, rules=RULES) == read


def clicks(body: bytes) -> None:
    """A body of POST /v1/clicks."""
    for item in _items(body):
        read = capture.read_click(item, now=NOW, rules=CLICKS)
        if isinstance(read, capture.Clicked):
            _check_storable(read.click.visitor_id)
            assert click_ids.normalise(read.click.msclkid) == read.click.msclkid
        _check_reasons(read)


def adjustments(body: bytes) -> None:
    """A body of POST /v1/adjustments."""
    for item in _items(body):
        read = adjustment_intake.read(item, now=NOW, rules=RULES)
        if isinstance(read, adjustment_intake.AcceptedAdjustment):
            _check_storable(repr(read.adjustment))
            _check_no_plain(item, repr(read))
        _check_reasons(read)


def requests(body: bytes) -> None:
    """A body of POST /v1/erasures and of POST /v1/replay."""
    with contextlib.suppress(HttpProblem):
        wanted = erasures.read_wanted(body, "US")
        _check_storable(wanted.search_value)
    with contextlib.suppress(HttpProblem):
        wish = replay_query.read_wish(body)
        _check_storable(wish.query.reason, wish.query.event)
        _check_number(wish.after_seq)


def queries(text: bytes) -> None:
    """A query string of GET /logs, and its Last-Event-ID after a blank."""
    query, _, last = text.decode("utf-8", "replace").partition(" ")
    with contextlib.suppress(HttpProblem):
        read = log_query.read_request(parse_qsl(query, keep_blank_values=True), last or None)
        _check_storable(read.query.order_id, read.query.name)
        _check_number(read.query.before_seq or 0)
        _check_number(read.resume_after or 0)


def identifiers(text: bytes) -> None:
    """An e-mail address, a phone number, a click id or a landing URL: normalising twice equals normalising once."""
    given = text.decode("utf-8", "replace")
    for normal in (emails.normalise, phones.normalise, click_ids.normalise):
        once = normal(given)
        assert once is None or normal(once) == once, (normal, once)
    if emails.normalise(given) is None:
        assert emails.why_unusable(given)
    if phones.normalise(given, "GB") is None:
        assert phones.why_unusable(given, "GB")
    assert all(step for step in (*hashing.email_steps(given), *hashing.phone_steps(given, "GB")))
    found = click_ids.find_in_url(given)
    assert found is None or click_ids.normalise(found) == found


# --- What Microsoft sends --------------------------------------------------------------------------------------------


def answers(text: bytes) -> None:
    """An answer to an upload."""
    status, size, headers, body = _answer(text)
    decided = wire.decode(status, headers, body, size)
    match decided:
        case Taken():
            assert decided.rows == size
            assert all(0 <= place < size for place in decided.named)
            _check_storable(decided.tracking_id)
        case RefusedBatch():
            assert decided.faults
            assert decided.trouble in CATALOGUE
            assert all(0 <= index < size for index in decided.rows)
            _check_storable(*(fault.message for fault in decided.faults), *(fault.error for fault in decided.faults))
            _check_wait(decided.retry_after_seconds)
        case Lost():
            assert decided.why


def goal_answers(text: bytes) -> None:
    """An answer to the calls that read and make goals, read the account's properties, and read its report."""
    status, size, headers, body = _answer(text)
    reply = HttpReply(status, headers, body)
    found = goals.decode_goals(reply)
    if isinstance(found, tuple):
        _check_storable(*(str(value) for goal in found for value in astuple(goal)))
        for goal in found:
            _check_number(goal.window_seconds or 0)
    made = goals.decode_new(reply, size)
    assert not isinstance(made, tuple) or len(made) == size
    account_properties.decode_auto_tagging(reply)
    _check_report(reports.decode_report(reply, REPORT_CALL))


def _check_report(found: GoalReport | RefusedBatch | Lost) -> None:
    """Counts that a column takes, of what was asked for, and few words about the rest."""
    if isinstance(found, GoalReport):
        for day in found.days:
            assert day.goal_id in REPORT_CALL.goal_ids
            assert day.day in REPORT_CALL.days
            assert len(day.reasons) <= MOST_REASONS
            for count in (day.attributed, day.unattributed, *day.reasons.values()):
                assert 0 <= count < 2**62
            _check_storable(*day.reasons)
        _check_storable(*found.oddities, *(fault.message for fault in found.failed.values()))


def sign_in_answers(text: bytes) -> None:
    """What MSAL gives back of a sign-in that failed."""
    given: object = None
    with contextlib.suppress(ValueError, RecursionError):  # of the text alone: what classifies it raises neither
        given = json.loads(text)
    if isinstance(given, dict):
        failure = classify(given)
        assert failure.trouble in CATALOGUE
        _check_storable(failure.message)


# --- What the operator writes ----------------------------------------------------------------------------------------


def configuration(text: bytes) -> None:
    """A configuration file; files that it names are none."""
    try:
        given = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    try:
        config = parse_config(given, {"SET": "test-value", "EMPTY": ""})
    except ConfigError as refused:
        assert refused.problems
        assert all(problem.message for problem in refused.problems)
    else:
        assert masked_yaml(config)


# --- What must hold --------------------------------------------------------------------------------------------------


def _items(body: bytes) -> list[Any]:
    try:
        value = parse(body)
    except BadBody as refused:
        assert str(refused)
        return []
    return value if isinstance(value, list) else [value]


def _check_reasons(read: object) -> None:
    """A refused request is given the reason; nothing but problems refuses."""
    problems: tuple[Problem, ...] = getattr(read, "problems", ())
    warnings: tuple[Warning_, ...] = getattr(read, "warnings", ())
    assert all(one.message and one.code for one in (*problems, *warnings))
    assert problems or not isinstance(read, intake.RejectedItem | capture.RejectedClick)


def _check_storable(*texts: str | None) -> None:
    """SQLite takes UTF-8 only: no halves of surrogates."""
    for text in texts:
        assert text is None or text.encode()


def _check_number(number: int) -> None:
    """SQLite's integers have 64 bits."""
    assert -(2**63) <= number < 2**63


def _check_no_plain(item: dict[str, Any], shown: str) -> None:
    """A plain address never gets past reading, but as part of what else was said."""
    user = item.get("user")
    plain = user.get("email") if isinstance(user, dict) else None
    if isinstance(plain, str) and "@" in plain and len(plain) > len("a@b.example"):
        others = {name: value for name, value in item.items() if name != "user"}
        assert plain not in shown or plain in str(others), plain


def _check_wait(seconds: float | None) -> None:
    assert seconds is None or RETRY_AFTER_LEAST_SECONDS <= seconds <= RETRY_AFTER_MOST_SECONDS


def _answer(text: bytes) -> tuple[int, int, dict[str, str], bytes]:
    """Status, rows that were sent, headers and body of what is written like `tests/samples`; `Rows: 3` counts them."""
    head, _, body = text.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    size = _number(headers.get("Rows", "")) or 3
    return _number(first.removeprefix("HTTP/1.1 ")) or 200, min(size, LONGEST_BATCH), headers, body


def _number(text: str) -> int:
    """Three digits, as a status has; 0 where there are none."""
    digits = text[:3]
    return int(digits) if digits.isascii() and digits.isdigit() else 0


Target = Callable[[bytes], None]

TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        *(conversions, clicks, adjustments, requests, queries, identifiers),
        *(answers, goal_answers, sign_in_answers, configuration),
    )
}


def seeds(name: str) -> Iterable[Path]:
    """The committed inputs of a target: some of each kind, and each that once found a bug."""
    samples = SAMPLES.glob("*/answer.http") if name == answers.__name__ else ()
    return sorted((*SEEDS.joinpath(name).iterdir(), *samples))


if __name__ == "__main__":
    print(*TARGETS)
