"""What happens to the service: troubles, sign-ins, start and stop, errors of its loops. One function per event."""

from collections.abc import Collection, Container, Sequence
from dataclasses import asdict

from sidecar.core.instant import UnixMillis, text_of_millis
from sidecar.ports.queries import Backlog, Counts
from sidecar.telemetry import failure, names
from sidecar.telemetry.board import ActiveTrouble, Board
from sidecar.telemetry.metrics import ServiceMetrics
from sidecar.telemetry.recorder import Recorder, harmless
from sidecar.troubles import CATALOGUE, End, Scope, Severity, Symptom

FADE_MILLIS = 3_600_000
"""Without being seen for this long a trouble that ends with `End.TIME` is over."""


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

    # --- Troubles ----------------------------------------------------------------------------------------------------

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

        `waiting` says what waits for its end. Recorded once; while it stands, repeats are only counted. `stopping`,
        which storage may answer, is no trouble.
        """
        if code == "stopping":
            return
        if (known := CATALOGUE.get(code)) is not None:
            self._clear_symptom(known.symptom, account, but=code)
        detail = None if detail is None else self.recorder.redactor.text(detail)
        raised = self.board.raise_(
            code, self.recorder.clock(), account=account, subject=subject, detail=detail, waiting=waiting
        )
        if raised is not None:
            self.recorder.record(
                names.TROUBLE_RAISED,
                raised.message,
                level=names.ERROR if raised.trouble.severity is Severity.ERROR else names.WARNING,
                account=account,
                error=code,
                fix=raised.trouble.solution,
                tracking_id=tracking_id,
            )

    @harmless
    def trouble_cleared(self, code: str, *, account: str | None = None, subject: str | None = None) -> None:
        """The trouble is over; nothing is recorded if it did not stand."""
        self._clear(self.board.find(code, account=account, subject=subject))

    @harmless
    def account_well(self, account: str) -> None:
        """Microsoft read a batch of the account: what kept its requests from being read is over."""
        self._clear_ended(End.ANSWER, account)

    @harmless
    def not_reached(self, account: str, code: str, detail: str) -> None:
        """A request of the account had no answer, by `code`; what explained those before is over."""
        self._clear_symptom(Symptom.NO_ANSWER, account, but=code)
        self.trouble_raised(code, account=account, detail=detail)

    @harmless
    def reached(self, account: str) -> None:
        """Microsoft answered a request of the account, with any answer: the way there is free."""
        self._clear_ended(End.CONNECTION, account)

    @harmless
    def configuration_changed(self, accounts: Container[str], goals: Collection[tuple[str, str]]) -> None:
        """Clear the troubles of accounts and goals that are no longer configured; `goals` are pairs with an account."""
        names_of_goals = {goal for _, goal in goals}
        for active in self.board.active():
            account, subject, trouble = active.account, active.subject, active.trouble
            is_goal_left = trouble.scope is Scope.GOAL and (
                subject not in names_of_goals if account is None else (account, subject) not in goals
            )
            is_account_left = account is not None and account not in accounts
            if is_goal_left or (is_account_left and End.CONFIGURATION not in trouble.ends):
                self._clear(active)

    @harmless
    def clear_faded(self) -> None:
        """Clear the troubles that end with time."""
        for active in self.board.active():
            if End.TIME in active.trouble.ends and self.recorder.clock() - active.seen_at >= FADE_MILLIS:
                self._clear(active)

    def _clear_ended(self, by: End, account: str | None = None) -> None:
        for active in self.board.active(account=account):
            if by in active.trouble.ends:
                self._clear(active)

    def _clear_symptom(self, symptom: Symptom | None, account: str | None, *, but: str) -> None:
        """Clear the other explanations of a symptom: only the newest stands."""
        if symptom is None or account is None:
            return
        for active in self.board.active(account=account):
            if active.trouble.symptom is symptom and active.code != but:
                self._clear(active)

    def _clear(self, active: ActiveTrouble | None) -> None:
        if active is None:
            return
        self.board.clear(active.code, account=active.account, subject=active.subject)
        self.recorder.record(
            names.TROUBLE_CLEARED,
            f"Resolved: {active.headline}",
            account=active.account,
            error=active.code,
            count=active.count,
        )

    # --- Sign-in -----------------------------------------------------------------------------------------------------

    @harmless
    def signed_in(self) -> None:
        """Someone connected the sidecar."""
        self.recorder.record(names.SIGNED_IN, "connected to Microsoft Advertising")

    @harmless
    def sign_in_failed(self, code: str, error: str) -> None:
        """A sign-in did not succeed; `code` is a trouble of the catalogue, `error` a message about it."""
        trouble = CATALOGUE[code]
        self.recorder.record(names.SIGN_IN_FAILED, f"{trouble.title} ({error})", error=code, fix=trouble.solution)

    @harmless
    def token_refreshed(self, expires_at: UnixMillis) -> None:
        """There is a new access token: what prevented it is over."""
        self.signed_in_until = expires_at
        self.recorder.record(names.TOKEN_REFRESHED, f"new access token, good until {text_of_millis(expires_at)}")
        self._clear_ended(End.TOKEN)

    @harmless
    def token_lost(self) -> None:
        """There is no access token any more, even if the last one has not expired."""
        self.signed_in_until = None

    def _token_seconds(self) -> float:
        until = self.signed_in_until
        return 0.0 if until is None else max(0.0, (until - self.recorder.clock()) / 1000)

    # --- Goals -------------------------------------------------------------------------------------------------------

    @harmless
    def goals_read(self, account: str, goals: int) -> None:
        """The account's goals were read."""
        self.recorder.record(
            names.GOALS_READ, f"{goals} goal{'' if goals == 1 else 's'} read", account=account, count=goals
        )

    @harmless
    def goal_created(self, account: str, goal: str) -> None:
        """Someone had this goal created."""
        self.recorder.record(names.GOAL_CREATED, f"goal created: {goal}", account=account)

    # --- Start, stop, loops ------------------------------------------------------------------------------------------

    @harmless
    def started(self, version: str, url: str, environment: str) -> None:
        """The sidecar serves at `url`."""
        self._metrics.build_info.labels(version).set(1)
        message = f"msads-sidecar {version} serves at {url} (microsoft.environment: {environment})"
        self.recorder.record(names.STARTED, message, also={"version": version, "url": url, "environment": environment})

    @harmless
    def stopping(self, why: str) -> None:
        """No more conversions are accepted. It is the last entry that followers of the journal see."""
        self.recorder.record(names.STOPPING, f"stopping: {why}")
        self.is_stopping = True

    @harmless
    def stopped(self) -> None:
        """Everything in progress is finished."""
        self.recorder.record(names.STOPPED, "stopped")

    @harmless
    def reloaded(self, what: str, left: Sequence[ActiveTrouble] = ()) -> None:
        """The configuration was read again; `what` changed, and rows of what `left` wait for its return."""
        waiting = f"; rows wait: {'; '.join(active.message for active in left)}" if left else ""
        self.recorder.record(names.RELOADED, f"configuration reloaded: {what}{waiting}")

    @harmless
    def reload_failed(self, error: str) -> None:
        """The configuration could not be read; the old one stays. `error` has no value of the file."""
        message = "the configuration was not reloaded, the old one stays in force"
        error = "; ".join(error.splitlines())
        self.recorder.record(names.RELOAD_FAILED, message, error=error, fix="Correct the file and send SIGHUP again.")

    @harmless
    def configuration_doubted(self, warning: str) -> None:
        """Something in the configuration is probably a mistake; `warning` has its line and key, never a value."""
        self.recorder.record(names.CONFIGURATION_DOUBTED, warning)

    @harmless
    def loop_failed(self, where: str, error: BaseException) -> None:
        """A loop failed with an unexpected error; recorded once while it keeps failing."""
        words = failure.words(error)
        raised = self.board.raise_(
            "loop_failed",
            self.recorder.clock(),
            subject=f"{where}, {type(error).__name__}",
            detail=self.recorder.redactor.text(words),
        )
        if raised is not None:
            self.recorder.record(
                names.LOOP_FAILED,
                f"{raised.trouble.title}: {where}",
                error=words,
                fix=raised.trouble.solution,
                also={"where": where, "traceback": failure.place(error)},
            )

    # --- Gauges ------------------------------------------------------------------------------------------------------

    @harmless
    def outbox_seen(self, counts: Counts, backlog: Backlog) -> None:
        """Set the gauges of the outbox to what is in it now."""
        for state, rows in asdict(counts).items():
            self._metrics.outbox_rows.labels(state).set(rows)
        due_at = backlog.oldest_due_at
        waited = 0.0 if due_at is None else max(0.0, (self.recorder.clock() - due_at) / 1000)
        self._metrics.oldest_due_seconds.set(waited)
