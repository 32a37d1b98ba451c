"""Microsoft's own REST SDK as outside judge: its models read what we send, and we read what its models write.

Passing them is necessary, not sufficient: they ignore unknown keys, so the keys are compared too.
"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from openapi_client.api_client import ApiClient
from openapi_client.models.campaign.ad_api_error import AdApiError
from openapi_client.models.campaign.ad_api_fault_detail import AdApiFaultDetail
from openapi_client.models.campaign.ad_center_authentication_fault import AdCenterAuthenticationFault
from openapi_client.models.campaign.ad_center_authorization_fault import AdCenterAuthorizationFault
from openapi_client.models.campaign.ad_center_fault import AdCenterFault
from openapi_client.models.campaign.ad_center_internal_error_fault import AdCenterInternalErrorFault
from openapi_client.models.campaign.ad_center_system_fault import AdCenterSystemFault
from openapi_client.models.campaign.api_fault_detail import ApiFaultDetail
from openapi_client.models.campaign.apply_offline_conversion_adjustments_request import (
    ApplyOfflineConversionAdjustmentsRequest,
)
from openapi_client.models.campaign.apply_offline_conversion_adjustments_response import (
    ApplyOfflineConversionAdjustmentsResponse,
)
from openapi_client.models.campaign.apply_offline_conversions_request import ApplyOfflineConversionsRequest
from openapi_client.models.campaign.apply_offline_conversions_response import ApplyOfflineConversionsResponse
from openapi_client.models.campaign.authentication_fault_code import AuthenticationFaultCode
from openapi_client.models.campaign.batch_error_base import BatchErrorBase
from openapi_client.models.campaign.editorial_api_fault_detail import EditorialApiFaultDetail
from openapi_client.models.campaign.editorial_error import EditorialError
from openapi_client.models.campaign.offline_conversion import OfflineConversion
from openapi_client.models.campaign.offline_conversion_adjustment import OfflineConversionAdjustment
from openapi_client.models.campaign.operation_error import OperationError
from openapi_client.models.customer.api_fault import ApiFault
from openapi_client.models.customer.operation_error import OperationError as CustomerOperationError

from sidecar.core.answer import Answer, RefusedBatch, Taken, Verdict
from sidecar.core.conversion import AdjustmentType, Kind, plain_decimal
from sidecar.core.entry import Dead, Entry, Lane
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.microsoft.error_codes import TABLE, row_outcome
from sidecar.microsoft.wire import decode, encode

SIZE = 6
NUMBERED = [code for code in TABLE if code.number is not None]
COLUMNS = {
    "microsoft_click_id": "msclkid",
    "conversion_name": "goal",
    "conversion_currency_code": "currency",
    "hashed_email_address": "email_sha256",
    "hashed_phone_number": "phone_sha256",
    "external_attribution_model": "external_model",
}


def written(model: Any) -> bytes:
    """A model as the SDK puts it on the wire."""
    return json.dumps(ApiClient().sanitize_for_serialization(model)).encode()


def answered(model: Any, status: int = 200, size: int = SIZE) -> Answer:
    return decode(status, {"TrackingId": "test-tracking"}, written(model), size)


def as_sent(entry: Entry, column: str) -> object:
    """A currency goes only beside a value."""
    return None if column == "currency" and entry.value is None else getattr(entry, column)


hashes = st.none() | st.text("0123456789abcdef", min_size=64, max_size=64)
entries = st.builds(
    Entry,
    seq=st.integers(1, 9),
    lane=st.just(Lane(1, "default", "purchase")),
    time=st.just(UnixSeconds(0)),
    received_at=st.just(UnixMillis(0)),
    goal=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100),
    sent_time=st.integers(1_700_000_000, 2_000_000_000).map(UnixSeconds),
    value=st.none() | st.decimals(0, 999_999_999_999, places=3).map(plain_decimal),
    currency=st.none() | st.sampled_from(["EUR", "USD", "JPY"]),
    msclkid=st.none() | st.text("0123456789abcdefABCDEF", min_size=32, max_size=32),
    email_sha256=hashes,
    phone_sha256=hashes,
    external_credit=st.none() | st.decimals("0.001", 1, places=3).map(plain_decimal),
    external_model=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)


@given(st.lists(entries, min_size=1, max_size=5))
def test_the_sdk_reads_every_request_as_we_mean_it(batch: list[Entry]) -> None:
    request = ApplyOfflineConversionsRequest.from_dict(json.loads(encode(batch)))
    assert len(request.offline_conversions) == len(batch)
    for entry, read in zip(batch, request.offline_conversions, strict=True):
        assert {ours: getattr(read, theirs) for theirs, ours in COLUMNS.items()} == {
            ours: as_sent(entry, ours) for ours in COLUMNS.values()
        }
        assert read.conversion_time == datetime.fromtimestamp(entry.sent_time or 0, UTC)
        assert read.conversion_value == (None if entry.value is None else float(entry.value))
        assert read.external_attribution_credit == (
            None if entry.external_credit is None else float(entry.external_credit)
        )


@given(entries)
def test_we_send_no_key_that_the_sdk_does_not_know(entry: Entry) -> None:
    [conversion] = json.loads(encode([entry]))["OfflineConversions"]
    assert conversion.keys() <= {field.alias for field in OfflineConversion.model_fields.values()}
    assert None not in conversion.values()


@given(entries)
def test_the_sdk_leaves_out_what_we_leave_out(entry: Entry) -> None:
    document = json.loads(encode([entry]))
    read = OfflineConversion(
        **{field: value for field, ours in COLUMNS.items() if (value := as_sent(entry, ours)) is not None}
    )
    theirs = json.loads(written(ApplyOfflineConversionsRequest(OfflineConversions=[read])))["OfflineConversions"][0]
    own = {"ConversionTime", "ConversionValue", "ExternalAttributionCredit"}
    assert {key: value for key, value in document["OfflineConversions"][0].items() if key not in own} == theirs


def as_adjustment(entry: Entry, type_: AdjustmentType, adjusted_at: int) -> Entry:
    restates = type_ is AdjustmentType.RESTATE
    return replace(
        entry,
        lane=Lane(2, "default", "purchase", Kind.ADJUSTMENT),
        type=type_,
        original=7,
        adjusted_at=UnixSeconds(adjusted_at),
        value=(entry.value or "0") if restates else None,
        currency=(entry.currency or "USD") if restates else None,
        external_credit=None,
        external_model=None,
    )


adjustments = st.builds(
    as_adjustment, entries, st.sampled_from(AdjustmentType), st.integers(1_700_000_000, 2_000_000_000)
)
ADJUSTED = {
    "microsoft_click_id": "msclkid",
    "conversion_name": "goal",
    "adjustment_currency_code": "currency",
    "hashed_email_address": "email_sha256",
    "hashed_phone_number": "phone_sha256",
}


@given(st.lists(adjustments, min_size=1, max_size=5))
def test_the_sdk_reads_every_adjustment_as_we_mean_it(batch: list[Entry]) -> None:
    request = ApplyOfflineConversionAdjustmentsRequest.from_dict(json.loads(encode(batch)))
    assert len(request.offline_conversion_adjustments) == len(batch)
    for entry, read in zip(batch, request.offline_conversion_adjustments, strict=True):
        assert {ours: getattr(read, theirs) for theirs, ours in ADJUSTED.items()} == {
            ours: getattr(entry, ours) for ours in ADJUSTED.values()
        }
        assert read.adjustment_type == {"restate": "Restate", "retract": "Retract"}[entry.type or ""]
        assert read.adjustment_time == datetime.fromtimestamp(entry.adjusted_at or 0, UTC)
        assert read.conversion_time == datetime.fromtimestamp(entry.sent_time or 0, UTC)
        assert read.adjustment_value == (None if entry.value is None else float(entry.value))


@given(adjustments)
def test_we_send_no_key_of_an_adjustment_that_the_sdk_does_not_know(entry: Entry) -> None:
    [adjustment] = json.loads(encode([entry]))["OfflineConversionAdjustments"]
    assert adjustment.keys() <= {field.alias for field in OfflineConversionAdjustment.model_fields.values()}
    assert None not in adjustment.values()


@given(entries, st.sampled_from(AdjustmentType))
def test_adjustment_names_its_conversion_with_the_bytes_that_were_sent(entry: Entry, type_: AdjustmentType) -> None:
    """Microsoft finds the conversion by these five, https://learn.microsoft.com/advertising/campaign-management-service/
    offlineconversionadjustment."""
    entry = replace(entry, msclkid=entry.msclkid or "f" * 32)
    names = ("ConversionName", "ConversionTime", "MicrosoftClickId", "HashedEmailAddress", "HashedPhoneNumber")
    [conversion] = json.loads(encode([entry]))["OfflineConversions"]
    adjusting = encode([as_adjustment(entry, type_, 2_000_000_000)]).decode()
    [adjustment] = json.loads(adjusting)["OfflineConversionAdjustments"]
    assert {name: adjustment.get(name) for name in names} == {name: conversion.get(name) for name in names}
    assert f'"ConversionTime":"{conversion["ConversionTime"]}"' in adjusting


codes = st.sampled_from(NUMBERED)
text = st.none() | st.text(max_size=20)


def batch_errors(model: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda code, index, message, details: model(
            Code=code.number, ErrorCode=code.symbols[0], Index=index, Message=message, Details=details
        ),
        codes,
        st.integers(0, SIZE - 2),
        text,
        text,
    )


editorial = batch_errors(EditorialError).map(lambda error: error.model_copy(update={"type": "EditorialError"}))


@given(st.lists(st.none() | batch_errors(BatchErrorBase) | editorial, max_size=8))
def test_we_read_every_success_that_the_sdk_writes(errors: list[Any]) -> None:
    answer = answered(ApplyOfflineConversionsResponse(PartialErrors=errors))
    assert isinstance(answer, Taken)
    named = {error.index for error in errors if error}
    assert (answer.rows, set(answer.named)) == (SIZE, named)
    for error in filter(None, errors):
        outcome = answer.named[error.index]
        said = {(each.error_code, each.code) for each in errors if each and each.index == error.index}
        assert (outcome.fault.error, outcome.fault.error_code) in said


@pytest.mark.parametrize("errors", [None, []])
def test_we_read_the_empty_success_that_the_sdk_writes(errors: list[Any] | None) -> None:
    conversions, adjustments = ApplyOfflineConversionsResponse, ApplyOfflineConversionAdjustmentsResponse
    for model in (conversions(PartialErrors=errors), conversions(), adjustments(PartialErrors=errors), adjustments()):
        assert answered(model, size=2) == Taken(2, {}, "test-tracking")


@pytest.mark.parametrize("code", NUMBERED, ids=lambda code: code.symbols[0])
def test_we_read_every_kind_of_fault_that_the_sdk_writes(code: Any) -> None:
    named = {"Code": code.number, "ErrorCode": code.symbols[0], "Message": "No."}
    operation = OperationError(**named)
    of_a_row = BatchErrorBase(**named, Index=3)
    faults = [
        AdApiFaultDetail(TrackingId="test", Errors=[AdApiError(**named, Detail="why")]),
        ApiFaultDetail(TrackingId="test", OperationErrors=[operation], BatchErrors=[]),
        ApiFaultDetail(TrackingId="test", OperationErrors=None, BatchErrors=[of_a_row]),
        EditorialApiFaultDetail(BatchErrors=[], OperationErrors=[operation], EditorialErrors=[]),
        EditorialApiFaultDetail(EditorialErrors=[EditorialError(**named, Index=3)]),
        ApiFault(TrackingId="test", OperationErrors=[CustomerOperationError(Code=code.number, Message="No.")]),
    ]
    for fault in faults:
        answer = answered(fault, status=400)
        assert isinstance(answer, RefusedBatch)
        assert (answer.faults[0].error, answer.faults[0].error_code) == (code.symbols[0], code.number)
        assert (answer.faults[0].message or "").startswith("No.")


def test_a_row_that_a_fault_of_the_sdk_names_is_decided_at_once() -> None:
    error = BatchErrorBase(Code=5604, ErrorCode="OfflineConversionMicrosoftClickIdInvalid", Index=3)
    answer = answered(ApiFaultDetail(BatchErrors=[error]), status=400)
    assert isinstance(answer, RefusedBatch)
    assert isinstance(answer.rows[3], Dead)
    assert answer.rows == {3: row_outcome(answer.faults[0])}


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (AdCenterAuthenticationFault(ErrorCode=AuthenticationFaultCode.NOCREDENTIAL), Verdict.TOKEN),
        (AdCenterAuthenticationFault(ErrorCode=AuthenticationFaultCode.INVALIDSECURITYTICKET), Verdict.TOKEN),
        (AdCenterAuthenticationFault(ErrorCode=AuthenticationFaultCode.INVALIDCUSTOMERID), Verdict.ACCOUNT),
        (AdCenterAuthenticationFault(ErrorMessage="No."), Verdict.TOKEN),
        (AdCenterAuthorizationFault(ErrorMessage="No."), Verdict.ACCOUNT),
        (AdCenterInternalErrorFault(ErrorMessage="No."), Verdict.SERVER),
        (AdCenterSystemFault(ErrorMessage="No."), Verdict.SERVER),
        (AdCenterFault(ErrorMessage="No."), Verdict.POISON),  # says nothing: HTTP 400 decides
    ],
)
def test_we_read_the_faults_without_numbers(fault: Any, verdict: Verdict) -> None:
    answer = answered(fault, status=400)
    assert isinstance(answer, RefusedBatch)
    assert answer.verdict is verdict
