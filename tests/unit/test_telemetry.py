"""Each event becomes a line, an entry of the journal and a metric; once, cleaned, and without an error for callers."""

import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from claim_kit import claim_of
from row_kit import stored_row
from store_kit import running_store

from sidecar.core.answer import Lost, RefusedBatch, Verdict
from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.entry import Fault, Requeue, Settled
from sidecar.core.instant import UnixMillis
from sidecar.core.intake.conversion import RejectedItem, Skipped
from sidecar.core.intake.problem import Problem
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State
from sidecar.ports.intake import Conflict, Stored
from sidecar.ports.journal import JournalEntry, JournalQuery
from sidecar.ports.queries import Backlog, Counts
from sidecar.store.sql.journal import SqlJournal
from sidecar.telemetry import DeadRow, Telemetry
from sidecar.telemetry.active_troubles import FADE_MILLIS
from sidecar.telemetry.delivery import NAMED_ROWS
from sidecar.telemetry.followers import Followers
from sidecar.telemetry.journal_buffer import MAX_WAITING, Flushed, JournalBuffer
from sidecar.telemetry.output import Output
from sidecar.troubles import CATALOGUE

NOW = 1_790_000_000_000


@dataclass
class Clock:
    """A clock that the test moves."""

    now: int = NOW

    def __call__(self) -> UnixMillis:
        return UnixMillis(self.now)


@dataclass
class Written:
    """A Telemetry, its clock, and what it wrote."""

    clock: Clock
    telemetry: Telemetry
    read_end: int
    write_end: int
    journal: SqlJournal
    _lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def output(self) -> Output:
        return self.telemetry._recorder.lines._output

    def text(self) -> str:
        """Everything that went to stdout; the last thing a test asks for."""
        self.output.close(timeout_seconds=60)
        os.close(self.write_end)
        chunks = []
        while chunk := os.read(self.read_end, 65536):
            chunks.append(chunk)
        return b"".join(chunks).decode()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]

    async def entries(self) -> list[JournalEntry]:
        """What the journal holds, oldest first."""
        await self.telemetry.flush(self.journal)
        page = await self.journal.read(JournalQuery(limit=1000))
        return [one.entry for one in page.items][::-1]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.telemetry.metrics.registry.get_sample_value(f"sidecar_{name}", labels)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqlJournal]:
    path = tmp_path / "outbox.db"
    async with running_store(path, lambda: NOW) as store:
        yield store.journal


@pytest.fixture
def written(journal: SqlJournal, request: pytest.FixtureRequest) -> Iterator[Written]:
    read_end, write_end = os.pipe()
    clock = Clock()
    telemetry = Telemetry(clock, **{"level": "debug", **getattr(request, "param", {})}, fd=write_end)
    yield Written(clock, telemetry, read_end, write_end, journal)
    telemetry.close()
    for end in (read_end, write_end):
        with contextlib.suppress(OSError):
            os.close(end)


def dead_row(number: int, *, trouble: str = "row_refused", message: str | None = None) -> DeadRow:
    return DeadRow(
        conversion_id=f"conv_{number}",
        account="main",
        trouble=trouble,
        error="OfflineConversionCurrencyInvalid",
        message=message,
        order_id=f"ORDER-{number}",
        goal="Sidecar Purchase",
    )


# --- one fact, recorded everywhere -----------------------------------------------------------------------------------


async def test_batch_is_a_line_an_entry_and_metrics_in_the_same_words(written: Written) -> None:
    steps = {3: Requeue(UnixMillis(NOW), None), 5: Settled(State.DEAD)}
    written.telemetry.delivery.batch_settled(claim_of(7, 10), steps, tracking_id="3f1c-test", seconds=0.5)
    (entry,) = await written.entries()
    assert (entry.name, entry.level, entry.account, entry.batch_id) == ("batch_settled", "info", "main", 7)
    assert (entry.tracking_id, entry.count, entry.time) == ("3f1c-test", 10, NOW)
    assert written.metric("upload_requests_total", operation="conversions", result="taken") == 1
    assert written.metric("upload_rows_sum") == 10
    assert written.metric("upload_seconds_sum") == 0.5
    assert written.metric("conversions_settled_total", goal="Sale", state="delivered", reason="") == 8
    (line,) = written.lines()
    assert list(line)[:4] == ["time", "level", "name", "message"]
    assert line["time"] == "2026-09-21T14:13:20Z"
    assert (line["message"], line["delivered"], line["dead"]) == (entry.message, 8, 1)


async def test_received_rows_are_counted_but_never_stored(written: Written) -> None:
    written.telemetry.intake.received("purchase", ("msclkid", "email"), 3)
    written.telemetry.intake.received("lead", ("email",))
    written.telemetry.intake.received("lead")
    assert await written.entries() == []
    assert written.metric("conversions_received_total", event="purchase") == 3
    assert written.metric("conversions_received_total", event="lead") == 2
    assert written.metric("match_total", by="msclkid") == 3
    assert written.metric("match_total", by="email") == 1
    assert [line["name"] for line in written.lines()] == ["received"] * 3


async def test_commits_and_answers_are_metrics_alone(written: Written) -> None:
    written.telemetry.intake.committed(128, 0.004)
    written.telemetry.intake.response_time(0.006)
    assert written.metric("commit_rows_sum") == 128
    assert written.metric("commit_seconds_count") == 1
    assert written.metric("intake_seconds_sum") == 0.006
    assert await written.entries() == []
    assert written.lines() == []


async def test_refusals_are_counted_per_code_and_ten_seconds(written: Written) -> None:
    for _ in range(500):
        written.telemetry.intake.refused("unknown_event")
    written.telemetry.intake.refused("too_old", 2)
    written.telemetry.intake.skipped("consent_denied", 4)
    assert await written.entries() == []
    written.clock.now += 10_000
    entries = await written.entries()
    assert [(e.name, e.error, e.count) for e in entries] == [
        ("refused", "unknown_event", 500),
        ("refused", "too_old", 2),
        ("skipped", "consent_denied", 4),
    ]
    assert entries[0].message == "500 refused: unknown_event"
    assert written.metric("conversions_settled_total", goal="", state="skipped", reason="consent_denied") == 4
    assert len(written.lines()) == 3


def stored(event: str, *matched_by: str) -> Stored:
    """A new row that names these identifiers."""
    given = {
        "msclkid": "c" if "msclkid" in matched_by else None,
        "visitor_id": "v" if "visitor" in matched_by else None,
    }
    return Stored(
        never_sent(event=event, state=State.PENDING, email_sha256="e" if "email" in matched_by else None, **given)
    )


async def test_verdicts_of_a_request_are_counted_by_event_reason_code_and_goal(written: Written) -> None:
    verdicts = [
        stored("purchase", "msclkid", "email"),
        stored("purchase", "msclkid", "email"),
        stored("lead", "visitor"),
        stored("gone", "email"),
        Skipped("no_identifier", "purchase", goal="Sale"),
        Skipped("consent_denied", "purchase", goal="Sale"),
        RejectedItem((Problem("time", "too_old", "too old"),)),
        Conflict(never_sent(), ()),
    ]
    items = [{"order_id": f"ORDER-{n}"} for n in range(len(verdicts))]
    goals = {"purchase": "Sale", "lead": "Lead"}
    written.telemetry.intake.conversions(items, verdicts, lambda account, event: goals.get(event))
    written.telemetry.intake.report_counted(last=True)
    assert {goal: share.received for goal, share in written.telemetry.intake.matches.shares.items()} == {"Sale": 3}
    assert written.metric("conversions_received_total", event="purchase") == 2
    assert written.metric("conversions_received_total", event="lead") == 1
    assert written.metric("match_total", by="msclkid") == 2
    assert written.metric("match_total", by="none") == 1
    entries = {(entry.name, entry.error, entry.count): entry.message for entry in await written.entries()}
    assert entries.keys() == {
        ("skipped", "no_identifier", 1),
        ("skipped", "consent_denied", 1),
        ("refused", "too_old", 1),
        ("refused", "conflict", 1),
    }
    assert entries["refused", "too_old", 1].endswith("(order ORDER-6)")
    assert entries["refused", "conflict", 1].endswith("(order ORDER-7)")


async def test_refused_items_name_up_to_five_orders_of_each_code(written: Written) -> None:
    written.telemetry.intake.refused("too_old", 1, ["R-1"])
    written.telemetry.intake.refused("unknown_event", 4, ["A", "A", " B ", "x" * 5_000])
    written.telemetry.intake.refused("unknown_event", 5, ["C", "canary@example.com", "D", "E"])
    written.clock.now += 10_000
    one, many = await written.entries()
    assert (one.level, one.message) == ("warning", "1 refused: too_old (order R-1)")
    cut = "x" * 64
    assert many.message == f"9 refused: unknown_event (orders A, B, {cut}, C, *** and 4 more)"
    lines = written.lines()
    assert [line["order_ids"] for line in lines] == [["R-1"], ["A", "B", cut, "C", "***"]]


async def test_calls_that_brought_nothing_are_no_warning(written: Written) -> None:
    written.telemetry.intake.call_refused("not_found")
    written.telemetry.intake.call_refused("no_such_conversion")
    written.clock.now += 10_000
    (entry,) = await written.entries()
    assert (entry.name, entry.level, entry.error) == ("call_refused", "info", "not_found")
    assert [(line["name"], line["level"]) for line in written.lines()] == [
        ("call_refused", "info"),
        ("lookup_missed", "debug"),
    ]


async def test_singular_and_plural_are_right(written: Written) -> None:
    written.telemetry.delivery.batch_sent(claim_of(7, 1))
    written.telemetry.delivery.batch_lost(claim_of(7, 1), Lost("reset"), seconds=1.0)
    written.telemetry.delivery.replayed(1, State.DEAD)
    written.telemetry.service.goals_read("main", 1)
    written.telemetry.delivery.batch_sent(claim_of(8, 2))
    messages = [line["message"] for line in written.lines()]
    assert messages == [
        "batch 7 sent: 1 row",
        "no answer to batch 7 of 1 row; the same bytes go again",
        "1 dead conversion is due again",
        "1 goal read",
        "batch 8 sent: 2 rows",
    ]


async def test_trouble_that_is_over_is_resolved(written: Written) -> None:
    written.telemetry.service.trouble_raised("goal_paused", account="main", subject="Sale", waiting="2 rows wait")
    written.telemetry.service.trouble_cleared("goal_paused", account="main", subject="Sale")
    assert (await written.entries())[-1].message == "Resolved: Conversion goal is paused: Sale"


async def test_refused_batch_names_the_error_and_the_remedy(written: Written) -> None:
    answer = RefusedBatch(Verdict.ACCOUNT, (Fault("InvalidCredentials", 105, "bad"),), "developer_token_invalid", "t-1")
    written.telemetry.delivery.batch_refused(claim_of(3, 5), answer, seconds=1.0)
    (entry,) = await written.entries()
    assert (entry.name, entry.level, entry.error, entry.tracking_id) == (
        "batch_refused",
        "warning",
        "InvalidCredentials",
        "t-1",
    )
    assert entry.fix == CATALOGUE["developer_token_invalid"].solution
    assert written.metric("upload_requests_total", operation="conversions", result="account") == 1


async def test_lost_answer_says_that_the_same_bytes_go_again(written: Written) -> None:
    written.telemetry.delivery.batch_lost(claim_of(3, 5), Lost("connection reset"), seconds=60.0)
    (entry,) = await written.entries()
    assert (entry.name, entry.error) == ("batch_lost", "connection reset")
    assert "the same bytes go again" in entry.message
    assert written.metric("upload_requests_total", operation="conversions", result="lost") == 1


async def test_few_dead_rows_are_recorded_one_by_one(written: Written) -> None:
    written.telemetry.delivery.rows_died(
        [dead_row(1, message="currency XXX"), dead_row(2, trouble="poison")], batch_id=9
    )
    first, second = await written.entries()
    assert (first.conversion_id, first.order_id, first.batch_id) == ("conv_1", "ORDER-1", 9)
    assert first.message == "conv_1 will not be counted: currency XXX"
    assert (first.error, first.fix) == ("OfflineConversionCurrencyInvalid", CATALOGUE["row_refused"].solution)
    assert second.fix == CATALOGUE["poison"].solution
    refused = {"goal": "Sidecar Purchase", "state": "dead", "reason": "OfflineConversionCurrencyInvalid"}
    assert written.metric("conversions_settled_total", **refused) == 1
    assert written.metric("conversions_settled_total", **{**refused, "reason": "poison"}) == 1


async def test_of_many_dead_rows_the_first_are_recorded_and_the_rest_counted(written: Written) -> None:
    written.telemetry.delivery.rows_died([dead_row(number) for number in range(1000)], batch_id=9)
    entries = await written.entries()
    assert len(entries) == NAMED_ROWS + 1
    assert entries[-1].count == 1000 - NAMED_ROWS
    refused = {"goal": "Sidecar Purchase", "state": "dead", "reason": "OfflineConversionCurrencyInvalid"}
    assert written.metric("conversions_settled_total", **refused) == 1000


def never_sent(**given: Any) -> Record:
    """A row that no claim has frozen yet."""
    return stored_row(**{"state": State.CANCELED, "account": "main", "event": "lead", **given})


ENDED: list[tuple[Callable[[Telemetry], None], str, dict[str, str]]] = [
    (
        lambda written: written.delivery.discarded(never_sent(reason="discarded")),
        "conversions",
        {"state": "canceled", "reason": "discarded"},
    ),
    (
        lambda written: written.delivery.rows_expired([never_sent(state=State.DEAD, reason="too_old")]),
        "conversions",
        {"state": "dead", "reason": "too_old"},
    ),
    (
        lambda written: written.delivery.rows_erased({("main", "lead", None): 1}),
        "conversions",
        {"state": "skipped", "reason": "erased"},
    ),
    *(
        (
            lambda written: written.intake.adjusted(
                never_sent(kind=Kind.ADJUSTMENT, type=AdjustmentType.RETRACT, reason="retracted", original=1)
            ),
            kind,
            {"state": "canceled", "reason": "retracted"},
        )
        for kind in ("conversions", "adjustments")
    ),
]


@pytest.mark.parametrize(("ends", "kind", "labels"), ENDED)
async def test_row_that_ends_before_it_was_claimed_counts_for_the_goal_it_is_mapped_to(
    written: Written, ends: Callable[[Telemetry], None], kind: str, labels: dict[str, str]
) -> None:
    written.telemetry.delivery.goal_of = lambda account, event: f"Goal of {account}/{event}"
    ends(written.telemetry)
    assert written.metric(f"{kind}_settled_total", goal="Goal of main/lead", **labels) == 1
    assert written.metric(f"{kind}_settled_total", goal="", **labels) is None


async def test_row_that_was_claimed_counts_for_the_goal_that_was_frozen(written: Written) -> None:
    written.telemetry.delivery.goal_of = lambda account, event: "Mapped Since"
    written.telemetry.delivery.rows_expired([never_sent(state=State.DEAD, reason="too_old", goal="Frozen")])
    written.telemetry.delivery.rows_erased({("main", "lead", "Frozen"): 1})
    assert written.metric("conversions_settled_total", goal="Frozen", state="dead", reason="too_old") == 1
    assert written.metric("conversions_settled_total", goal="Frozen", state="skipped", reason="erased") == 1


# --- troubles --------------------------------------------------------------------------------------------------------


async def test_trouble_is_recorded_once_while_it_is_active_and_again_after_it_was_over(written: Written) -> None:
    for _ in range(100):
        written.telemetry.service.trouble_raised(
            "goal_not_found", account="main", subject="Sidecar Lead", detail="5606"
        )
    written.telemetry.service.trouble_cleared("goal_not_found", account="main", subject="Sidecar Lead")
    written.telemetry.service.trouble_cleared("goal_not_found", account="main", subject="Sidecar Lead")
    written.telemetry.service.trouble_raised("goal_not_found", account="main", subject="Sidecar Lead")
    entries = await written.entries()
    assert [e.name for e in entries] == ["trouble_raised", "trouble_cleared", "trouble_raised"]
    assert (entries[0].error, entries[0].fix) == ("goal_not_found", CATALOGUE["goal_not_found"].solution)
    assert entries[0].message == "Conversion goal not found: Sidecar Lead (5606)"
    assert entries[1].count == 100
    assert len(written.lines()) == 3


@pytest.mark.parametrize(("code", "level"), [("throttled", "warning"), ("developer_token_invalid", "error")])
async def test_trouble_that_passes_by_itself_is_a_warning(written: Written, code: str, level: str) -> None:
    written.telemetry.service.trouble_raised(code)
    (entry,) = await written.entries()
    assert entry.level == level


async def test_clean_answer_ends_the_troubles_of_its_account_but_not_those_of_goals(written: Written) -> None:
    written.telemetry.service.trouble_raised("unreachable", account="main")
    written.telemetry.service.trouble_raised("unreachable", account="other")
    written.telemetry.service.trouble_raised("goal_not_found", account="main", subject="Sidecar Lead")
    written.telemetry.service.account_well("main")
    assert [(s.code, s.account) for s in written.telemetry.board.active()] == [
        ("unreachable", "other"),
        ("goal_not_found", "main"),
    ]


async def test_clean_answer_does_not_end_what_waits_for_a_return_to_the_configuration(written: Written) -> None:
    written.telemetry.service.trouble_raised("unmapped", account="main", subject="refill")
    written.telemetry.service.account_well("main")
    assert [one.code for one in written.telemetry.board.active()] == ["unmapped"]


async def test_of_the_explanations_of_one_answer_the_last_one_stays(written: Written) -> None:
    for code, account in (
        ("developer_token_invalid", "main"),
        ("developer_token_invalid", "other"),
        ("wrong_account", "main"),
    ):
        written.telemetry.service.trouble_raised(code, account=account)
    standing = {(one.code, one.account) for one in written.telemetry.board.active()}
    assert standing == {("developer_token_invalid", "other"), ("wrong_account", "main")}


async def test_on_the_way_to_microsoft_only_the_newest_trouble_stays_and_an_answer_ends_it(written: Written) -> None:
    telemetry = written.telemetry

    def active_codes() -> list[tuple[str, str | None]]:
        return [(one.code, one.account) for one in telemetry.board.active()]

    telemetry.service.trouble_raised("proxy_login", detail="the sign-in's own")
    telemetry.service.not_reached("main", "name_not_found", "no such name")
    telemetry.service.not_reached("other", "name_not_found", "no such name")
    telemetry.service.not_reached("main", "unreachable", "no connection")
    assert active_codes() == [("proxy_login", None), ("name_not_found", "other"), ("unreachable", "main")]
    telemetry.service.not_reached("main", "tls_failed", "not trusted")
    telemetry.service.reached("main")
    assert active_codes() == [("proxy_login", None), ("name_not_found", "other")]


async def test_new_token_ends_the_troubles_of_the_sign_in(written: Written) -> None:
    written.telemetry.service.trouble_raised("client_secret_expired")
    written.telemetry.service.trouble_raised("unreachable", account="main")
    written.telemetry.service.token_refreshed(UnixMillis(NOW + 3_600_000))
    assert [s.code for s in written.telemetry.board.active()] == ["unreachable"]
    assert written.metric("token_expires_seconds") == 3600
    written.clock.now += 3_601_000
    assert written.metric("token_expires_seconds") == 0


async def test_trouble_that_ends_with_time_is_over_after_an_hour_of_silence(written: Written) -> None:
    written.telemetry.service.trouble_raised("row_retried", account="main", subject="InternalError")
    written.telemetry.service.trouble_raised("goal_not_found", account="main", subject="Sidecar Lead")
    written.clock.now += FADE_MILLIS - 1
    await written.entries()
    assert written.telemetry.board.find("row_retried", account="main", subject="InternalError")
    written.clock.now += 1
    await written.entries()
    assert [s.code for s in written.telemetry.board.active()] == ["goal_not_found"]


async def test_what_leaves_the_configuration_takes_its_troubles_along_but_for_rows_that_wait_for_its_return(
    written: Written,
) -> None:
    stays = [
        ("goal_not_found", "main", "Sale"),
        ("low_match_rate", None, "Sale"),
        ("throttled", "main", None),
        ("unmapped", "gone", "lead"),
        ("disk_nearly_full", None, None),
    ]
    goes = [
        ("goal_not_found", "main", "Lead"),
        ("low_match_rate", None, "Lead"),
        ("throttled", "gone", None),
        ("row_retried", "gone", "InternalError"),
    ]
    for code, account, subject in [*stays, *goes]:
        written.telemetry.service.trouble_raised(code, account=account, subject=subject)
    written.telemetry.service.configuration_changed({"main"}, {("main", "Sale")})
    assert [(one.code, one.account, one.subject) for one in written.telemetry.board.active()] == stays


async def test_storage_that_writes_again_ends_its_own_trouble(written: Written) -> None:
    written.telemetry.service.trouble_raised("storage_failed", detail="disk I/O error")
    assert [e.name for e in await written.entries()] == ["trouble_raised"]
    assert [e.name for e in await written.entries()] == ["trouble_raised", "trouble_cleared"]


async def test_stopping_is_no_trouble(written: Written) -> None:
    written.telemetry.service.trouble_raised("stopping")
    assert written.lines() == []


# --- the service -----------------------------------------------------------------------------------------------------


async def test_life_of_the_service_is_stored(written: Written) -> None:
    written.telemetry.service.started("0.1.0", "http://127.0.0.1:8077", "emulator")
    written.telemetry.service.signed_in()
    written.telemetry.service.sign_in_failed("scope_missing", "AADSTS65001")
    written.telemetry.service.reloaded("events")
    written.telemetry.service.reload_failed("config.yaml:3: unknown key")
    written.telemetry.service.stopping("SIGTERM")
    written.telemetry.service.stopped()
    names = ["started", "signed_in", "sign_in_failed", "reloaded", "reload_failed", "stopping", "stopped"]
    assert [e.name for e in await written.entries()] == names
    assert written.metric("build_info", version="0.1.0") == 1


async def test_failed_loop_is_recorded_once_with_its_place_and_without_its_values(written: Written) -> None:
    for _ in range(10):
        try:
            local_secret = "test-local-canary"
            raise ValueError("no room for canary@example.com")
        except ValueError as error:
            written.telemetry.service.loop_failed("deliver main", error)
    del local_secret
    (entry,) = await written.entries()
    assert (entry.name, entry.error) == ("loop_failed", "ValueError: no room for ***")
    (line,) = written.lines()
    assert "test_telemetry.py" in line["traceback"]
    assert "local" not in json.dumps(line)


async def test_errors_inside_a_group_and_causes_are_named(written: Written) -> None:
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ExceptionGroup("many", [OSError("outer")]) from inner
    except ExceptionGroup as error:
        written.telemetry.service.loop_failed("deliver", error)
    (entry,) = await written.entries()
    assert "OSError: outer" in (entry.error or "")
    assert "KeyError: 'inner'" in (entry.error or "")


async def test_gauges_show_the_outbox_as_it_was_seen(written: Written) -> None:
    written.telemetry.service.outbox_seen(Counts(pending=3, dead=1), Backlog(UnixMillis(NOW - 5_000), None))
    assert written.metric("outbox_rows", state="pending") == 3
    assert written.metric("outbox_rows", state="canceled") == 0
    assert written.metric("outbox_oldest_due_seconds") == 5
    written.telemetry.service.outbox_seen(Counts(), Backlog(None, None))
    assert written.metric("outbox_oldest_due_seconds") == 0


# --- without an error for callers ------------------------------------------------------------------------------------


async def test_error_while_recording_never_reaches_the_caller(written: Written) -> None:
    written.telemetry.delivery.rows_died([dead_row(1, trouble="nonsense")])
    written.telemetry.service.trouble_raised("nonsense")
    assert await written.entries() == []
    names = [line["name"] for line in written.lines()]
    assert names == ["telemetry_failed", "telemetry_failed"]


async def test_error_that_cannot_even_be_logged_never_reaches_the_caller_either(written: Written) -> None:
    written.clock.now = 10**30  # no calendar has it, so that no line gets its time
    written.telemetry.service.signed_in()
    assert written.text() == ""


async def test_run_writes_everything_before_it_ends(written: Written) -> None:
    written.telemetry.service.stopping("SIGTERM")
    written.telemetry.intake.refused("too_old")
    written.telemetry.stop()
    await written.telemetry.run(written.journal)
    page = await written.journal.read(JournalQuery())
    assert [one.entry.name for one in page.items] == ["refused", "stopping"]


async def test_facts_wait_while_storage_cannot_write_and_the_lost_ones_are_counted(written: Written) -> None:
    writer = written.journal.committer.engine.database
    await writer.call(lambda db: db.execute("PRAGMA query_only = ON"))
    for _ in range(MAX_WAITING + 2):
        written.telemetry.service.signed_in()
    await written.telemetry.flush(written.journal)
    await writer.call(lambda db: db.execute("PRAGMA query_only = OFF"))
    await written.telemetry.flush(written.journal)
    newest, *_ = reversed(await written.entries())
    assert (newest.name, newest.count) == ("journal_dropped", 2)
    page = await written.journal.read_on(JournalQuery(name="signed_in", limit=MAX_WAITING + 9), 0)
    assert len(page.items) == MAX_WAITING


async def test_facts_of_a_write_that_failed_are_given_up_and_counted(written: Written) -> None:
    """A slice that cannot be written for a reason of its own holds up no other, and is counted."""
    keeping = JournalBuffer(Followers())
    for level in ("info", "no level", "info"):
        keeping.put(JournalEntry(time=UnixMillis(1), level=level, name="received", message="m"))
    assert await keeping.flush(written.journal) == Flushed(written=0, dropped=3)
    keeping.put(JournalEntry(time=UnixMillis(1), level="info", name="received", message="m"))
    assert await keeping.flush(written.journal) == Flushed(written=1, dropped=0)


# --- lines -----------------------------------------------------------------------------------------------------------

NASTY = "a\r\nb\x1b[31mc\u2028d\u2029e\x85f\x00g\ud800h"


@pytest.mark.parametrize("written", [{"form": "json"}, {"form": "console"}], indirect=True)
async def test_one_fact_is_one_line_with_any_text_in_it(written: Written) -> None:
    written.telemetry.delivery.rows_died([dead_row(1, message=NASTY)])
    written.telemetry.delivery.batch_lost(claim_of(1, 1, NASTY), Lost(NASTY, NASTY), seconds=1)
    written.telemetry.intake.received(NASTY)
    assert len(await written.entries()) == 2
    text = written.text()
    assert len(text.splitlines()) == 3
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize("written", [{"level": "warning"}], indirect=True)
async def test_level_hides_lines_but_keeps_the_journal(written: Written) -> None:
    written.telemetry.service.signed_in()
    written.telemetry.delivery.batch_halved(claim_of(1, 10))
    written.telemetry.service.trouble_raised("throttled")
    assert len(await written.entries()) == 3
    written.telemetry.configure("info", "json")
    written.telemetry.service.signed_in()
    assert [line["name"] for line in written.lines()] == ["trouble_raised", "signed_in"]


@pytest.mark.parametrize("written", [{"form": "console"}], indirect=True)
async def test_console_lines_are_for_people(written: Written) -> None:
    written.telemetry.service.signed_in()
    (line,) = written.text().splitlines()
    assert "connected to Microsoft Advertising" in line
    assert not line.startswith("{")


# --- secrets ---------------------------------------------------------------------------------------------------------

CANARIES = {
    "e-mail": "canary.person@example.com",
    "e-mail hash": "c0ffee" * 10 + "c0ff",
    "click id": "f894f652ea334e739002f7167ab8f8e3",
    "bearer": "Bearer test-bearer-canary",
    "refresh token": "M.C5test_BAY.0.U." + "-Canary9!" * 12,
    "client secret": "test-client-secret",
    "developer token": "test-developer-token",
    "API key": "test-api-key",
}


@pytest.mark.parametrize(
    "written", [{"level": level} for level in ("debug", "info", "warning", "error")], indirect=True
)
@pytest.mark.parametrize("canary", CANARIES.values(), ids=CANARIES)
async def test_no_canary_is_ever_written_at_any_level(written: Written, canary: str) -> None:
    written.telemetry.hide("test-client-secret", "test-developer-token", "test-api-key")
    text = f"something with {canary} inside"
    written.telemetry.delivery.rows_died([dead_row(1, message=text)])
    written.telemetry.service.trouble_raised("unreachable", account="main", detail=text)
    written.telemetry.delivery.batch_lost(claim_of(1, 1), Lost(text), seconds=1)
    written.telemetry.service.sign_in_failed("scope_missing", text)
    written.telemetry.service.reload_failed(text)
    written.telemetry.service.loop_failed("deliver", ValueError(text))
    written.telemetry.delivery.rows_died([dead_row(1, trouble=text)])
    with written.telemetry.library_logs():
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger("msal.test").log(level, "body: %s", text, exc_info=ValueError(text))
    kept = await written.entries()
    assert len(kept) == 6
    secret = canary.removeprefix("Bearer ")
    assert secret not in repr(kept)
    assert secret not in repr(written.telemetry.board.active())
    assert secret not in written.text()


async def test_libraries_speak_from_warning_on_even_at_debug(written: Written) -> None:
    loud = logging.getLogger("aiosqlite")
    with written.telemetry.library_logs():
        loud.debug("executing with parameters %s", "test")
        loud.info("opened")
        loud.warning("slow %s", "disk")
        logging.getLogger("somebody.else").error("failed", exc_info=OSError("gone"))
    lines = written.lines()
    assert [(line["name"], line["level"], line["logger"]) for line in lines] == [
        ("library", "warning", "aiosqlite"),
        ("library", "error", "somebody.else"),
    ]
    assert lines[0]["message"] == "slow disk"
    assert lines[1]["error"] == "OSError: gone"


async def test_library_record_that_cannot_be_formatted_breaks_nothing(written: Written) -> None:
    logging.raiseExceptions, before = False, logging.raiseExceptions
    with written.telemetry.library_logs():
        logging.getLogger("aiohttp").warning("%d items", "many")
    logging.raiseExceptions = before
    assert written.lines() == []


async def test_stdout_without_a_reader_stalls_neither_recording_nor_the_end(written: Written) -> None:
    claim = claim_of(7, 1_000)
    for _ in range(3_000):
        written.telemetry.delivery.batch_sent(claim)
    written.telemetry.close()
    assert written.output._thread is not None
    assert written.output._thread.is_alive(), "it waits for the reader, and was not waited for"
    assert len(await written.entries()) == 0
    os.close(written.read_end)  # lets the thread go
    written.output.close(timeout_seconds=60)
