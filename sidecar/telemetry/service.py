"""What happens to the service: troubles, sign-ins, start and stop, errors of its loops. One function per event."""

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict

from sidecar.core.instant import UnixMillis, text_of_millis
from sidecar.ports.queries import Backlog, Counts
from sidecar.telemetry import event_names, failure
from sidecar.telemetry.active_troubles import ActiveTrouble, Board
from sidecar.telemetry.metrics import ServiceMetrics
from sidecar.telemetry.recorder import Recorder, harmless
from sidecar.troubles import CATALOGUE, End, Severity, Symptom

NAMED_ITEMS = 5
"""What is named in one message; the rest is a number."""


class ServiceEvents:
    """What happens to the service. None of these functions raises, blocks or awaits."""

    def __init__(self, recorder: Recorder, metrics: ServiceMetrics, board: Board) -> None:
        self.recorder = recorder
        self.board = board
        self.signed_in_until: UnixMillis | None = None
        """When the access token expires; None where there is none."""
        self.is_stopping = False
        self._metrics = metrics
        metrics.token_expires_seconds.set_function(self._token_seconds)

    @harmless
    def trouble_raised(
        self,
        code: str,
        *,
        account: str | None = None,
        subject: str | None = None,
        detail: str | None = None,
        waiting: str | None = None,
        tracking_id: str | None = None,
    ) -> None:
        """Raise a trouble of the catalogue; `subject` is its goal or the like, `detail` a message about it.

        `waiting` says what waits for its end. Recorded once; while it is active, repeats are only counted. `stopping`,
        which storage may answer, is no trouble.
        """
        if code == "stopping":
            return
        raised = self._raise(code, detail, subject, account, waiting)
        if raised is None:
            return
        if raised.trouble.symptom is not None and account is not None:
            self._clear(*self.board.with_symptom(raised.trouble.symptom, account, but=code))
        self.recorder.record(
            event_names.TROUBLE_RAISED,
            raised.message,
            level=event_names.ERROR if raised.trouble.severity is Severity.ERROR else event_names.WARNING,
            account=account,
            error=code,
            fix=raised.trouble.solution,
            tracking_id=tracking_id,
        )

    @harmless
    def trouble_cleared(self, code: str, *, account: str | None = None, subject: str | None = None) -> None:
        """The trouble is over; nothing is recorded if it was not active."""
        active = self.board.find(code, account=account, subject=subject)
        if active is not None:
            self._clear(active)

    @harmless
    def account_well(self, account: str) -> None:
        """Microsoft read a batch of the account: what prevented its requests from being read is over."""
        self._clear(*self.board.ended_by(End.ANSWER, account))

    @harmless
    def not_reached(self, account: str, code: str, detail: str) -> None:
        """A request of the account had no answer, by `code`; what explained those before is over."""
        self._clear(*self.board.with_symptom(Symptom.NO_ANSWER, account, but=code))
        self.trouble_raised(code, account=account, detail=detail)

    @harmless
    def reached(self, account: str) -> None:
        """Microsoft answered a request of the account, with any answer: the way there is free."""
        self._clear(*self.board.ended_by(End.CONNECTION, account))

    @harmless
    def configuration_changed(self, accounts: Collection[str], goals: Collection[tuple[str, str]]) -> None:
        """These accounts, and goals with their account, are configured now: troubles of others are over."""
        self._clear(*self.board.left(accounts, goals))

    @harmless
    def clear_faded(self) -> None:
        """Clear the troubles that end with time."""
        self._clear(*self.board.faded(self.recorder.clock()))

    def _raise(
        self, code: str, detail: str | None, subject: str | None, account: str | None = None, waiting: str | None = None
    ) -> ActiveTrouble | None:
        now, cleaned = self.recorder.clock(), None if detail is None else self.recorder.redactor.text(detail)
        found = ActiveTrouble(
            code=code, account=account, subject=subject, detail=cleaned, waiting=waiting, since=now, seen_at=now
        )
        return self.board.add(found)

    def _clear(self, *over: ActiveTrouble) -> None:
        for active in over:
            self.board.remove(active)
            message, facts = f"Resolved: {active.headline}", {"account": active.account, "error": active.code}
            self.recorder.record(event_names.TROUBLE_CLEARED, message, count=active.count, **facts)

    @harmless
    def alert_posted(self, state: str, title: str, status: int | None, error: str | None) -> None:
        """A message went to the alerts' webhook; `error` says why it was not taken."""
        self._metrics.alerts.add(1, "taken" if error is None else "lost" if status is None else "refused")
        message = f"alert {'posted' if error is None else 'not taken'}: {state}, {title}"
        self.recorder.record(event_names.ALERT_POSTED, message, error=error)

    @harmless
    def signed_in(self) -> None:
        """Someone connected the sidecar."""
        self.recorder.record(event_names.SIGNED_IN, "connected to Microsoft Advertising")

    @harmless
    def signed_out(self) -> None:
        """Someone disconnected the sidecar."""
        self.recorder.record(event_names.SIGNED_OUT, "disconnected from Microsoft Advertising")

    @harmless
    def sign_in_failed(self, code: str, error: str) -> None:
        """A sign-in did not succeed; `code` is a trouble of the catalogue, `error` a message about it."""
        trouble = CATALOGUE[code]
        self.recorder.record(event_names.SIGN_IN_FAILED, f"{trouble.title} ({error})", error=code, fix=trouble.solution)

    @harmless
    def token_refreshed(self, expires_at: UnixMillis) -> None:
        """There is a new access token: what prevented it is over."""
        self.signed_in_until = expires_at
        self.recorder.record(event_names.TOKEN_REFRESHED, f"new access token, good until {text_of_millis(expires_at)}")
        self._clear(*self.board.ended_by(End.TOKEN))

    @harmless
    def token_lost(self) -> None:
        """There is no access token any more, even if the last one has not expired."""
        self.signed_in_until = None

    def _token_seconds(self) -> float:
        until = self.signed_in_until
        return 0.0 if until is None else max(0.0, (until - self.recorder.clock()) / 1000)

    @harmless
    def goals_read(self, account: str, goals: int) -> None:
        """The account's goals were read."""
        message = f"{goals} goal{'' if goals == 1 else 's'} read"
        self.recorder.record(event_names.GOALS_READ, message, account=account, count=goals)

    @harmless
    def report_read(self, account: str) -> None:
        """Microsoft's verdict on the account's rows was read."""
        self.recorder.record(event_names.REPORT_READ, "verdict read", account=account)

    @harmless
    def report_odd(self, account: str, oddities: Sequence[str]) -> None:
        """Something in the verdict could not be used."""
        message = f"Microsoft's report has something odd: {_first_of(oddities)}"
        fix = "Nothing to do: the rest of the report counts. If it is still so after days, please report this line."
        self.recorder.record(event_names.REPORT_ODD, message, account=account, count=len(oddities), fix=fix)

    @harmless
    def report_recounted(self, account: str, days: Sequence[str]) -> None:
        """Microsoft counts fewer rows of these days than it did before."""
        message = f"Microsoft counts fewer rows than before: {_first_of(days)}"
        self.recorder.record(event_names.REPORT_RECOUNTED, message, account=account, count=len(days))

    @harmless
    def goal_created(self, account: str, goal: str) -> None:
        """Someone had this goal created."""
        self.recorder.record(event_names.GOAL_CREATED, f"goal created: {goal}", account=account)

    @harmless
    def started(self, version: str, url: str, environment: str) -> None:
        """The sidecar serves at `url`."""
        self._metrics.build_info.labels(version).set(1)
        message = f"msads-sidecar {version} serves at {url} (microsoft.environment: {environment})"
        also = {"version": version, "url": url, "environment": environment}
        self.recorder.record(event_names.STARTED, message, also=also)

    @harmless
    def stopping(self, why: str) -> None:
        """No more conversions are accepted. It is the last entry that followers of the journal see."""
        self.recorder.record(event_names.STOPPING, f"stopping: {why}")
        self.is_stopping = True

    @harmless
    def stopped(self) -> None:
        """Everything in progress is finished."""
        self.recorder.record(event_names.STOPPED, "stopped")

    @harmless
    def reloaded(self, what: str, left: Sequence[ActiveTrouble] = ()) -> None:
        """The configuration was read again; `what` changed, and rows of what `left` wait for its return."""
        waiting = f"; rows wait: {'; '.join(active.message for active in left)}" if left else ""
        self.recorder.record(event_names.RELOADED, f"configuration reloaded: {what}{waiting}")

    @harmless
    def reload_failed(self, error: str) -> None:
        """The configuration could not be read; the old one stays. `error` has no value of the file."""
        message = "the configuration was not reloaded, the old one stays in force"
        error, fix = "; ".join(error.splitlines()), "Correct the file and send SIGHUP again."
        self.recorder.record(event_names.RELOAD_FAILED, message, error=error, fix=fix)

    @harmless
    def configuration_doubted(self, warning: str) -> None:
        """Something in the configuration is probably a mistake; `warning` has its line and key, never a value."""
        self.recorder.record(event_names.CONFIGURATION_DOUBTED, warning)

    @harmless
    def loop_failed(self, where: str, error: BaseException) -> None:
        """A loop failed with an unexpected error; recorded once while it keeps failing."""
        words = failure.words(error)
        raised = self._raise("loop_failed", words, f"{where}, {type(error).__name__}")
        if raised is not None:
            message, fix = f"{raised.trouble.title}: {where}", raised.trouble.solution
            also = {"where": where, "traceback": failure.place(error)}
            self.recorder.record(event_names.LOOP_FAILED, message, error=words, fix=fix, also=also)

    @harmless
    def outbox_seen(self, counts: Counts, backlog: Backlog) -> None:
        """Set the gauges to what is in the outbox now, and to the troubles that are active."""
        for state, rows in asdict(counts).items():
            self._metrics.outbox_rows.labels(state).set(rows)
        due_at = backlog.oldest_due_at
        waited = 0.0 if due_at is None else max(0.0, (self.recorder.clock() - due_at) / 1000)
        self._metrics.oldest_due_seconds.set(waited)
        expiry_at = backlog.first_expiry_at
        until = math.inf if expiry_at is None else (expiry_at - self.recorder.clock()) / 1000
        self._metrics.first_expiry_seconds.set(until)
        self._metrics.troubles.clear()
        for active in self.board.active():
            self._metrics.troubles.labels(active.code, active.trouble.severity.name.lower()).inc()


def _first_of(items: Sequence[str]) -> str:
    rest = len(items) - NAMED_ITEMS
    return "; ".join([*items[:NAMED_ITEMS], *([f"{rest} more"] if rest > 0 else [])])
