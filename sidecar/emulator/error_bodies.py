"""The JSON of errors: one per refused row, or one for a whole request."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from sidecar.emulator.call import Answer, BatchError, Tally, answer_json
from sidecar.emulator.error_codes import BY_SYMBOL, ErrorCode


class FaultShape(Enum):
    """The three bodies of a refused request."""

    AD_API = "AdApiFaultDetail"
    API = "ApiFaultDetail"
    CUSTOMER = "ApiFault"


class Refused(Exception):
    """The request as a whole is refused."""

    def __init__(self, symbol: str, shape: FaultShape = FaultShape.AD_API, detail: str | None = None) -> None:
        super().__init__(symbol)
        self.code = BY_SYMBOL[symbol]
        self.shape = shape
        self.detail = detail


def batch_error(index: int, symbol: str) -> BatchError:
    """The error `symbol` of the row at `index`."""
    code = BY_SYMBOL[symbol]
    return BatchError(index, code.number, code.symbol, code.message)


def batch_error_body(error: BatchError) -> dict[str, object]:
    """https://learn.microsoft.com/advertising/campaign-management-service/batcherror"""
    return {
        "Code": error.code,
        "Details": None,
        "ErrorCode": error.symbol,
        "FieldPath": None,
        "ForwardCompatibilityMap": None,
        "Index": error.index,
        "Message": error.message,
        "Type": "BatchError",
    }


def partial_answer(body: dict[str, Any], wrong: Sequence[Sequence[BatchError]], *, descending: bool = False) -> Answer:
    """The answer with the errors of each row: `wrong` has those of every row, empty where it was taken."""
    errors = [batch_error_body(error) for found in wrong for error in found]
    refused = sum(1 for found in wrong if found)
    tally = Tally(len(wrong), len(wrong) - refused, refused)
    listed = {"PartialErrors": errors[::-1] if descending else errors}
    return answer_json(body | listed, summary="partial" if errors else "ok", tally=tally)


def fault_body(code: ErrorCode, shape: FaultShape, tracking_id: str, detail: str | None = None) -> dict[str, object]:
    """A refused request. Only `AdApiFaultDetail` has `Detail`; only `ApiFault` lacks the symbol.

    https://learn.microsoft.com/advertising/campaign-management-service/adapifaultdetail
    """
    head: dict[str, object] = {"TrackingId": tracking_id, "Type": shape.value}
    resolve_code = {"Code": code.number, "ErrorCode": code.symbol, "Message": code.message}
    match shape:
        case FaultShape.AD_API:
            return head | {"Errors": [resolve_code | {"Detail": detail}]}
        case FaultShape.API:
            return head | {"BatchErrors": [], "OperationErrors": [resolve_code | {"Details": detail}]}
        case FaultShape.CUSTOMER:
            bare = {"Code": code.number, "Details": detail, "Message": code.message}
            return head | {"OperationErrors": [bare]}


def refusal(refused: Refused, tracking_id: str) -> Answer:
    """The answer to a refused request."""
    body = fault_body(refused.code, refused.shape, tracking_id, refused.detail)
    return answer_json(body, refused.code.status, refused.code.symbol)
