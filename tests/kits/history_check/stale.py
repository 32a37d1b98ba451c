"""Batches that were settled by a claim that had passed: by an answer from before the last claim, or a second time."""

from collections.abc import Iterator, Sequence

from history_check.events import Claimed, Requested, Settled
from history_check.history import History


def check(history: History) -> Iterator[str]:
    """Each settlement that should have been refused."""
    requests = {request.tracking_id: request for request in history.all(Requested)}
    for batch, steps in history.batches.items():
        yield from _of_batch(batch, steps, requests)


def _of_batch(batch: int, steps: Sequence[Claimed | Settled], requests: dict[str, Requested]) -> Iterator[str]:
    claim: Claimed | None = None
    is_closed = False
    for step in steps:
        if isinstance(step, Claimed):
            claim = step
            if is_closed:
                yield f"batch {batch} was claimed after it was over"
            continue
        if is_closed:
            yield f"batch {batch} was settled a second time, with the answer {step.tracking_id}"
        is_closed = is_closed or step.is_closed
        request = requests.get(step.tracking_id or "")
        if claim and request and request.at < claim.at:
            late = claim.at - request.at
            yield f"batch {batch} was settled with the answer {step.tracking_id}, {late} ms older than its claim"
