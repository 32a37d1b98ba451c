"""Answers as they stand in tests/samples, one folder each, decode to what lies beside them."""

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.answer import Answer, Lost, RefusedBatch, Taken
from sidecar.core.entry import Dead, Fault, Hold, Outcome, Retry
from sidecar.microsoft.wire import decode

SAMPLES = Path(__file__).parents[1] / "samples"
CASES = sorted(folder for folder in SAMPLES.iterdir() if (folder / "answer.http").is_file())


def recorded(case: Path) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a recorded answer; its head has one header a line."""
    head, _, body = (case / "answer.http").read_bytes().partition(b"\n\n")
    first, *lines = head.decode().splitlines()
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def in_words(outcome: Outcome | None) -> str:
    match outcome:
        case None:
            return "delivered"
        case Dead(fault=fault, ours=ours):
            return f"dead {code_of(fault)}" + (" ours" if ours else "")
        case Hold(fault=fault, reason=reason):
            return f"hold {reason} {code_of(fault)}"
        case Retry(fault=fault, known=known, trouble=trouble):
            return f"retry {trouble} {code_of(fault)}" + ("" if known else " unknown")


def code_of(fault: Fault) -> str:
    return fault.error if fault.error_code is None else f"{fault.error} {fault.error_code}"


def described(answer: Answer) -> dict[str, Any]:
    """The answer as expected.json writes it: what is absent, false or empty is left out."""
    match answer:
        case Taken(rows=rows, named=named):
            return {"taken": [in_words(named.get(place)) for place in range(rows)]}
        case Lost(why=why):
            return {"lost": why}
        case RefusedBatch():
            optional = {
                "retry_after_seconds": answer.retry_after_seconds,
                "maybe_applied": answer.maybe_applied,
                "rows": {str(index): in_words(outcome) for index, outcome in answer.rows.items()},
                "hold": answer.hold and in_words(answer.hold),
            }
            faults = [code_of(fault) for fault in answer.faults]
            message = {"refused": answer.verdict.value, "trouble": answer.trouble, "faults": faults}
            return message | {name: value for name, value in optional.items() if value}


def test_there_are_samples() -> None:
    assert len(CASES) > 50


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_recorded_answer_means_what_lies_beside_it(case: Path) -> None:
    expected = json.loads((case / "expected.json").read_text())
    answer = decode(*recorded(case), expected["size"])
    size = {"size": expected["size"], "tracking_id": answer.tracking_id}
    assert size | described(answer) == expected
