"""The by-goal report on the wire: answers in tests/samples/reports and any others; Microsoft's own SDK judges."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_client.api_client import ApiClient
from openapi_client.models.campaign.get_offline_conversion_report_by_goal_ids_request import (
    GetOfflineConversionReportByGoalIdsRequest,
)
from openapi_client.models.campaign.get_offline_conversion_report_by_goal_ids_response import (
    GetOfflineConversionReportByGoalIdsResponse,
)
from openapi_client.models.campaign.offline_conversion_unattributed_reason import OfflineConversionUnattributedReason

from sidecar.core.answer import Lost, RefusedBatch
from sidecar.core.goal_days import text_of_day
from sidecar.core.instant import DAY_SECONDS, UnixSeconds
from sidecar.core.report import GoalReport, ReportCall
from sidecar.core.unattributed import MOST_REASONS, UNATTRIBUTED, reasons_of
from sidecar.microsoft.reply import HttpReply
from sidecar.microsoft.reports import decode_report, encode_report

SAMPLES = Path(__file__).parents[1] / "samples" / "reports"


def day(text: str) -> UnixSeconds:
    return UnixSeconds((date.fromisoformat(text) - date(1970, 1, 1)).days * DAY_SECONDS)


CALL = ReportCall(("48210331", "48210332"), day("2026-11-15"), day("2026-11-21"))


def decoded(body: object, status: int = 200) -> GoalReport | RefusedBatch | Lost:
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode_report(HttpReply(status, {"TrackingId": "test-tracking"}, written), CALL)


def described(answer: GoalReport | RefusedBatch | Lost) -> dict[str, Any]:
    """The answer as the samples write it: what is empty is left out, but for the days."""
    match answer:
        case Lost(why=why):
            return {"lost": why}
        case RefusedBatch(verdict=verdict):
            return {"refused": verdict.value}
    days = [
        " ".join([
            *(one.goal_id, text_of_day(one.day), str(one.attributed), str(one.unattributed)),
            *(f"{reason}={rows}" for reason, rows in one.reasons.items()),
        ])
        for one in answer.days
    ]  # fmt: skip
    rest = {"failed": {goal: fault.error for goal, fault in answer.failed.items()}, "odd": list(answer.oddities)}
    return {"days": days} | {name: value for name, value in rest.items() if value}


@pytest.mark.parametrize("name", sorted(file.stem for file in SAMPLES.iterdir()))
def test_sample_decodes_to_what_stands_beside_it(name: str) -> None:
    case = json.loads((SAMPLES / f"{name}.json").read_text())
    assert described(decoded(case["answer"])) == case["expected"]


def test_there_are_many_samples() -> None:
    assert len(list(SAMPLES.iterdir())) > 25


def test_the_sdk_reads_what_we_ask_for() -> None:
    asked = GetOfflineConversionReportByGoalIdsRequest.from_dict(json.loads(encode_report(CALL)))
    assert asked is not None
    assert ApiClient().sanitize_for_serialization(asked) == {
        "StartDateUtc": "2026-11-15T00:00:00+00:00",
        "EndDateUtc": "2026-11-21T23:59:59+00:00",
        "GoalIds": ["48210331", "48210332"],
        "UploadChannelFilter": None,
    }


def test_we_read_what_the_sdk_reads() -> None:
    answer = json.loads((SAMPLES / "documented.json").read_text())["answer"]
    theirs = GetOfflineConversionReportByGoalIdsResponse.from_dict(answer)
    assert theirs is not None
    (summary,) = theirs.offline_goal_conversion_summaries
    (line,) = summary.daily_summaries
    ours = decoded(answer)
    assert isinstance(ours, GoalReport)
    (found,) = ours.days
    assert (found.goal_id, found.attributed, found.unattributed) == (
        str(summary.goal_id), line.success_count, line.unattributed_count,
    )  # fmt: skip
    assert day(line.upload_date.date().isoformat()) == found.day
    assert found.reasons == {alert.unattributed_reason.value: int(alert.count) for alert in line.alerts}


def test_every_reason_that_the_sdk_knows_has_a_meaning_and_advice() -> None:
    names = {reason.value for reason in OfflineConversionUnattributedReason}
    assert names == set(UNATTRIBUTED)
    assert len({reason.number for reason in UNATTRIBUTED.values()}) == len(names) == 14
    assert all(reason.meaning and reason.advice.endswith(".") for reason in UNATTRIBUTED.values())


def test_reasons_beyond_the_most_that_are_kept_count_as_unknown() -> None:
    given_reasons = [("AccountMismatch", 5), *((f"Reason{number}", 2) for number in range(40))]
    found = reasons_of(given_reasons)
    assert len(found) == MOST_REASONS
    assert found["AccountMismatch"] == 5
    assert sum(found.values()) == 85
    assert found["Unknown"] == 2 * (40 - (MOST_REASONS - 2))


@given(st.binary() | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([
            "OfflineGoalConversionSummaries", "PartialErrors", "GoalId", "DailySummaries", "UploadDate",
            "SuccessCount", "UnattributedCount", "Alerts", "UnattributedReason", "Count", "Index",
            "OverallSuccessCount",
        ]), inner, max_size=4),
).map(lambda body: json.dumps({"OfflineGoalConversionSummaries": body}).encode()))  # fmt: skip
def test_any_bytes_decode_to_an_answer_within_bounds(body: bytes) -> None:
    answer = decoded(body)
    if isinstance(answer, GoalReport):
        assert all(one.day in CALL.days and one.goal_id in CALL.goal_ids for one in answer.days)
        assert all(one.attributed >= 0 and one.unattributed >= 0 for one in answer.days)
        assert len(answer.oddities) <= 6


@pytest.mark.parametrize(("status", "verdict"), [(401, "token"), (429, "throttled"), (500, "server")])
def test_refused_call_is_refused_without_a_readable_body(status: int, verdict: str) -> None:
    assert described(decoded(b"<html>", status)) == {"refused": verdict}
